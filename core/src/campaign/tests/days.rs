//! A hundred thousand people around the world, over days.

use std::{collections::BTreeMap, mem::size_of};

use super::{super::*, *};

const CONTACTS: u32 = 100_000;
const ZONES: u16 = 24;
const RETRY: Duration = Duration::from_secs(600);

/// One in twenty is busy at first, one in a hundred three times in a row.
fn outcome(contact: ContactId, attempt: Attempt) -> Outcome {
    let is_busy = match attempt.0 {
        1 => contact.0.is_multiple_of(20),
        2 | 3 => contact.0.is_multiple_of(100),
        _ => false,
    };
    if is_busy { Outcome::Busy } else { Outcome::Answered }
}

#[test]
fn a_hundred_thousand_people_in_24_zones_are_called_in_order_by_day_and_within_caps() {
    let plan = Plan {
        calendar: office_hours(),
        concurrency_max: 5_000,
        calls_per_second_max: 50.0,
        caps: Caps { per_day: Some(2), ..Plan::default().caps },
        retries: Retries {
            busy: RetryRule { retries: 5, backoff: RETRY, backoff_max: RETRY },
            ..Retries::default()
        },
        ..Plan::default()
    };
    let midnight = MORNING.before(seconds(9 * 3_600));
    let mut world = World::new(Campaign::new(plan, book(CONTACTS, ZONES)), midnight, 5_000);
    world.outcome = outcome;
    world.outside.offsets_h = (-11..=12).collect();
    world.run();

    let counters = world.campaign.book().counters();
    assert_eq!((counters.completed, counters.connected), (CONTACTS, CONTACTS));
    let mut of_contact: BTreeMap<_, Vec<WallTime>> = BTreeMap::new();
    let mut last_fresh = BTreeMap::new();
    for dial in &world.dials {
        let zone = dial.contact.0 % u32::from(ZONES);
        let local_ms = dial.at.as_millis() as i64 + (i64::from(zone) - 11) * 3_600_000;
        let hour = local_ms.rem_euclid(86_400_000) as f64 / 3_600_000.0;
        // The request itself takes a moment after the intent.
        assert!((9.0..17.001).contains(&hour), "{dial:?} at {hour} o'clock");
        let weekday = (local_ms.div_euclid(86_400_000) + 3).rem_euclid(7);
        assert!(weekday < 5, "{dial:?} on a weekend");
        let ats = of_contact.entry(dial.contact).or_default();
        if ats.is_empty() {
            let before = last_fresh.insert(zone, dial.contact);
            assert!(before < Some(dial.contact), "{dial:?} after {before:?}");
        } else {
            let wait = dial.at.after(ats[ats.len() - 1]);
            assert!(wait >= RETRY, "{dial:?} again after {wait:?}");
        }
        ats.push(dial.at);
    }
    for (contact, ats) in &of_contact {
        let attempts = match contact.0 {
            id if id.is_multiple_of(100) => 4,
            id if id.is_multiple_of(20) => 2,
            _ => 1,
        };
        assert_eq!(ats.len(), attempts, "{contact:?}");
        for three in ats.windows(3) {
            assert!(three[2].after(three[0]) > seconds(8 * 3_600), "{contact:?}: {three:?}");
        }
    }
    assert_eq!(of_contact.len(), CONTACTS as usize);
    let days = world.dials[world.dials.len() - 1].at.after(midnight).as_secs() / 86_400;
    assert!(days <= 2, "{days} days");
    assert_eq!(world.slots_in_use(), 0);

    let bytes: usize = world.journal.iter().map(|it| serde_json::to_vec(it).unwrap().len()).sum();
    let of_each = bytes / CONTACTS as usize;
    assert!(of_each <= 1_024, "{of_each} bytes of journal for each contact");
}

#[test]
fn a_contact_costs_less_memory_than_its_line_in_a_file() {
    // With the attempts that it may have, its place in the line-up, and its number in the index.
    let attempts = usize::from(ATTEMPTS_MAX) * size_of::<u32>();
    assert!(size_of::<Contact>() + attempts <= 200, "{}", size_of::<Contact>());
}
