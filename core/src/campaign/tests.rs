mod crashes;
mod days;
mod disorder;
mod world;

use std::collections::BTreeSet as Set;

use self::world::World;
use super::*;

/// Monday 2026-11-23T09:00Z.
const MORNING: WallTime = WallTime::from_millis(1_795_392_000_000 + 9 * 3_600_000);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A plan that a test need not wait for.
fn quick() -> Plan {
    Plan { calls_per_second_max: 100.0, ..Plan::default() }
}

fn book(contacts: u32, zones: u16) -> Book {
    let mut book = Book::new(1);
    for index in 0..contacts {
        let zone = ZoneId((index % u32::from(zones)) as u16);
        book.add(NumberKey(15_550_000_000 + u64::from(index)), zone, 0).unwrap();
    }
    book
}

fn world(plan: Plan, contacts: u32) -> World {
    World::new(Campaign::new(plan, book(contacts, 1)), MORNING, 1_000)
}

fn standing(world: &World, contact: u32) -> Standing {
    world.campaign.book().contact(ContactId(contact)).unwrap().standing
}

fn office_hours() -> Calendar {
    let window = Window { days: Weekdays::WORKING, from_minute: 9 * 60, to_minute: 17 * 60 };
    Calendar { windows: vec![window], holidays: Set::new() }
}

#[test]
fn everybody_is_dialled_once_in_order_and_the_campaign_ends() {
    let mut world = world(quick(), 30);
    world.run();
    let order: Vec<_> = world.dials.iter().map(|dial| dial.contact.0).collect();
    assert_eq!(order, (0..30).collect::<Vec<_>>());
    assert_eq!(world.campaign.book().phase(), Phase::Ended(Close::Done));
    let counters = world.campaign.book().counters();
    let expected = Counters { completed: 30, dialled: 30, connected: 30, ..Counters::default() };
    assert_eq!(counters, expected);
    world.check_replay();
    assert_eq!(world.slots_in_use(), 0);
}

#[test]
fn a_campaign_that_died_before_it_could_close_closes_when_it_is_back() {
    let mut world = world(quick(), 3);
    world.run();
    assert_eq!(world.journal.pop(), Some(Fact::Closed { how: Close::Done }));
    let mut restored = book(3, 1);
    assert!(world.journal.iter().all(|fact| restored.apply(fact)));
    world.campaign = Campaign::new(quick(), restored);
    world.run();
    assert_eq!(world.journal.last(), Some(&Fact::Closed { how: Close::Done }));
    assert_eq!(world.dials.len(), 3);
}

#[test]
fn a_number_that_comes_twice_is_called_once() {
    let mut book = book(3, 1);
    let again = book.add(NumberKey(15_550_000_001), ZoneId(0), 0);
    assert_eq!(again, Err(Duplicate { of: ContactId(1) }));
}

#[test]
fn the_intent_is_on_disk_before_the_carrier_is_asked() {
    let mut campaign = Campaign::new(quick(), book(1, 1));
    let outside = world::Outer::default();
    let commands = campaign.handle_timeout(MORNING, &outside);
    let (contact, ask, attempt, line) = (ContactId(0), AskId(0), Attempt(1), LineId(0));
    let expected =
        [Command::Keep(Fact::Began), Command::RequestSlot { contact, ask, lines: vec![line] }];
    assert_eq!(commands, expected);
    let commands = campaign.handle(MORNING, &outside, Event::SlotGranted { contact, ask, line });
    let intent = Fact::Intended { contact, attempt, line, at: MORNING };
    assert_eq!(commands, [Command::KeepThenTell(intent)]);
    let commands = campaign.handle(MORNING, &outside, Event::IntentKept { contact, attempt });
    assert_eq!(commands, [Command::Dial { contact, attempt, line, ask }]);
    let commands = campaign.handle(MORNING, &outside, Event::IntentKept { contact, attempt });
    assert_eq!(commands, [], "told twice, dialled once");
}

#[test]
fn a_disk_that_does_not_take_the_intent_gives_the_slot_back() {
    let mut world = world(quick(), 1);
    world.disk_is_dead = true;
    world.run_until(MORNING + seconds(30));
    assert_eq!(world.dials.len(), 0);
    assert!(world.slots_in_use() <= 1);
    world.disk_is_dead = false;
    world.run();
    assert_eq!(world.dials.len(), 1);
    world.check_replay();
}

#[test]
fn pausing_stops_dialling_at_once_and_calls_under_way_go_on() {
    let mut world = world(quick(), 100);
    world.run_until(MORNING + seconds(3));
    let dialled = world.dials.len();
    assert!((1..100).contains(&dialled));
    world.send(Event::Pause);
    world.run_until(MORNING + seconds(3_600));
    assert_eq!(world.dials.len(), dialled);
    assert_eq!(world.slots_in_use(), 0, "nothing is held in a pause");
    assert_eq!(world.campaign.book().counters().dispatched, 0);
    world.send(Event::Resume);
    world.run();
    assert_eq!(world.dials.len(), 100);
    world.check_replay();
}

#[test]
fn stopping_is_for_good_and_says_who_was_not_called() {
    let mut world = world(quick(), 100);
    world.run_until(MORNING + seconds(3));
    let dialled = world.dials.len() as u32;
    world.send(Event::Stop);
    world.send(Event::Resume);
    world.run();
    let counters = world.campaign.book().counters();
    assert_eq!((counters.completed, counters.skipped), (dialled, 100 - dialled));
    assert_eq!(standing(&world, 99), Standing::Skipped(Skip::Stopped));
    world.check_replay();
    assert_eq!(world.slots_in_use(), 0);
}

#[test]
fn nobody_is_dialled_before_earliest_or_from_latest_on() {
    let plan = Plan {
        earliest: Some(MORNING + seconds(600)),
        latest: Some(MORNING + seconds(630)),
        calls_per_second_max: 1.0,
        ..Plan::default()
    };
    let mut world = world(plan, 100);
    world.run();
    let ats: Vec<_> = world.dials.iter().map(|dial| dial.at).collect();
    assert!(ats[0] >= MORNING + seconds(600) && ats[0] < MORNING + seconds(602));
    assert!(ats.iter().all(|&at| at < MORNING + seconds(630)));
    assert_eq!(world.campaign.book().phase(), Phase::Ended(Close::TooLate));
    assert_eq!(standing(&world, 99), Standing::Skipped(Skip::TooLate));
    world.check_replay();
}

#[test]
fn outcomes_are_tried_again_by_their_own_rules() {
    let minute = seconds(60);
    let plan = Plan {
        retries: Retries {
            busy: RetryRule { retries: 3, backoff: minute, backoff_max: minute * 3 },
            no_answer: RetryRule { retries: 1, backoff: minute * 10, backoff_max: minute * 10 },
            ..Retries::default()
        },
        ..quick()
    };
    let mut world = world(plan, 3);
    world.outcome = |contact, _| match contact.0 {
        0 => Outcome::Busy,
        1 => Outcome::NoAnswer,
        _ => Outcome::Voicemail,
    };
    world.run();
    let waits = |contact| {
        let ats: Vec<_> = world
            .dials
            .iter()
            .filter(|dial| dial.contact.0 == contact)
            .map(|dial| dial.at)
            .collect();
        let hold = world::HOLD_UNANSWERED;
        ats.windows(2)
            .map(|pair| (pair[1].after(pair[0]).saturating_sub(hold).as_secs() + 30) / 60)
            .collect::<Vec<_>>()
    };
    assert_eq!(waits(0), [1, 2, 3]);
    assert_eq!(waits(1), [10]);
    assert!(waits(2).is_empty());
    assert_eq!(standing(&world, 0), Standing::Over(Outcome::Busy));
    assert_eq!(world.campaign.book().counters().connected, 0);
    world.check_replay();
}

#[test]
fn caps_by_day_and_week_put_attempts_off() {
    let day = seconds(24 * 3_600);
    let plan = Plan {
        caps: Caps { per_day: Some(2), per_week: Some(5), attempts: 7, ..Plan::default().caps },
        retries: Retries {
            busy: RetryRule { retries: 20, backoff: seconds(60), backoff_max: seconds(60) },
            ..Retries::default()
        },
        calendar: office_hours(),
        ..quick()
    };
    let mut world = world(plan, 1);
    world.outcome = |_, _| Outcome::Busy;
    world.run();
    let days: Vec<_> =
        world.dials.iter().map(|dial| dial.at.after(MORNING).as_secs() / day.as_secs()).collect();
    // Monday and Tuesday twice, Wednesday once; again when Monday's are a week old.
    assert_eq!(days, [0, 0, 1, 1, 2, 7, 7]);
    world.check_replay();
}

#[test]
fn calls_of_others_to_a_number_count_for_its_cap() {
    let plan = Plan { caps: Caps { number_per_day: Some(3), ..Plan::default().caps }, ..quick() };
    let mut world = world(plan, 2);
    world.outside.elsewhere.insert(NumberKey(15_550_000_000), vec![MORNING; 3]);
    world.run();
    let order: Vec<_> = world.dials.iter().map(|dial| dial.contact.0).collect();
    assert_eq!(order, [1, 0]);
    assert!(world.dials[1].at >= MORNING + seconds(15 * 3_600), "the next day");
}

#[test]
fn whoever_asks_not_to_be_called_is_not_called_even_with_the_intent_on_its_way() {
    let mut world = world(Plan { calls_per_second_max: 1.0, ..Plan::default() }, 4);
    world.outside.barred.insert(NumberKey(15_550_000_000));
    let second = NumberKey(15_550_000_001);
    let is_writing = |it: &World| matches!(standing(it, 1), Standing::Intended { .. });
    while !is_writing(&world) {
        world.step();
    }
    world.outside.barred.insert(second);
    world.send(Event::Barred { number: second });
    world.outside.barred.insert(NumberKey(15_550_000_003));
    world.run();
    let called: Vec<_> = world.dials.iter().map(|dial| dial.contact.0).collect();
    assert_eq!(called, [2]);
    assert_eq!(world.campaign.book().counters().skipped, 3);
    world.check_replay();
    assert_eq!(world.slots_in_use(), 0);
}

#[test]
fn the_clients_server_decides_before_a_slot_is_taken() {
    let mut world = world(Plan { has_predial: true, ..quick() }, 4);
    world.predial = |contact| match contact.0 {
        0 => Some(Predial::NotEligible),
        1 => Some(Predial::Failed),
        2 => None,
        _ => Some(Predial::Eligible),
    };
    world.run();
    assert_eq!(world.dials.len(), 1);
    let counters = world.campaign.book().counters();
    assert_eq!((counters.skipped, counters.predial_failed, counters.completed), (1, 2, 1));
    world.check_replay();
}

#[test]
fn numbers_to_call_from_take_turns() {
    let plan = Plan { pools: vec![vec![LineId(4), LineId(7)]], ..quick() };
    let mut world = world(plan, 5);
    world.run();
    let lines: Vec<_> = world.dials.iter().map(|dial| dial.line.0).collect();
    assert_eq!(lines, [4, 7, 4, 7, 4]);
}

#[test]
fn calls_at_once_stay_within_the_plan() {
    let mut world = world(Plan { concurrency_max: 7, ..quick() }, 60);
    world.run();
    assert_eq!(world.most_at_once, 7);
}

#[test]
fn slots_are_used_and_never_exceeded_with_six_in_ten_answering() {
    let plan = Plan { concurrency_max: 200, calls_per_second_max: 30.0, ..Plan::default() };
    let mut world = World::new(Campaign::new(plan, book(6_000, 1)), MORNING, 200);
    world.outcome = |contact, _| match contact.0 % 5 {
        0..3 => Outcome::Answered,
        _ => Outcome::NoAnswer,
    };
    let ramped = MORNING + seconds(60);
    world.run_until(ramped);
    let mut used = 0;
    let mut looks = 0;
    while world.campaign.book().counters().pending > 0 {
        world.run_until(world.now + Duration::from_millis(500));
        used += world.calls_at_once();
        looks += 1;
    }
    let share = used as f64 / f64::from(looks) / 200.0;
    assert!(share >= 0.9, "{share}");
    assert!(world.most_at_once <= 200);
    assert!(looks > 500, "it takes minutes");
}

#[test]
fn the_carrier_is_never_asked_faster_than_the_plan_says() {
    let mut world = world(Plan { concurrency_max: 500, calls_per_second_max: 7.0, ..quick() }, 300);
    world.run();
    let ats: Vec<_> = world.dials.iter().map(|dial| dial.at).collect();
    assert!(ats.windows(8).all(|eight| eight[7].after(eight[0]) >= seconds(1)));
}

#[test]
fn a_dial_without_an_answer_is_asked_about_and_not_repeated() {
    for (truth, dials) in
        [(Truth::Over(Outcome::Answered), 1), (Truth::Unknown, 1), (Truth::NeverDialled, 2)]
    {
        let mut world = world(quick(), 1);
        world.carrier_is_mute = Some(truth);
        world.run();
        assert_eq!(world.dials.len(), dials, "{truth:?}");
        let expected = match truth {
            Truth::Unknown => Standing::Unclear,
            Truth::Over(_) | Truth::NeverDialled | Truth::Live => Standing::Over(Outcome::Answered),
        };
        assert_eq!(standing(&world, 0), expected);
        world.check_replay();
    }
}

#[test]
fn a_plan_that_cannot_be_carried_out_says_everything_that_is_wrong() {
    let outside = world::Outer::default();
    let says = |plan: Plan| -> Vec<String> {
        let problems = plan.problems(MORNING, [ZoneId(0)], &outside);
        problems.iter().map(ToString::to_string).collect()
    };
    assert_eq!(says(quick()), [""; 0]);
    let bad = Plan {
        concurrency_max: 0,
        calls_per_second_max: 0.0,
        pools: vec![vec![]],
        latest: Some(MORNING),
        ..Plan::default()
    };
    assert_eq!(
        says(bad),
        [
            "entry 0 of the dial plan has no phone number to call from",
            "maxConcurrency must be at least 1",
            "calls per second must be above 0, not 0",
            "schedulePlan.latestAt has passed",
        ]
    );
    let over_midnight = Window { days: Weekdays::ALL, from_minute: 1_200, to_minute: 60 };
    let calendar = Calendar { windows: vec![over_midnight], ..Calendar::default() };
    assert!(says(Plan { calendar, ..quick() })[0].starts_with("calling window 0 must have a day"));
    let tonight = Plan {
        calendar: office_hours(),
        earliest: Some(MORNING + seconds(9 * 3_600)),
        latest: Some(MORNING + seconds(12 * 3_600)),
        ..quick()
    };
    assert!(says(tonight)[0].starts_with("the first calling window in time zone 0 opens at"));
    let nobody = quick().problems(MORNING, [], &outside);
    assert_eq!(nobody, [Problem::NoContacts]);
}

#[test]
fn slots_are_asked_of_all_lines_and_each_comes_first_in_turn() {
    let lines = [LineId(3), LineId(5), LineId(8)];
    let plan = Plan { pools: vec![lines.to_vec()], calls_per_second_max: 1_000.0, ..quick() };
    let mut campaign = Campaign::new(plan, book(4, 1));
    let outside = world::Outer::default();
    let (mut firsts, mut lines_used, mut now) = (Vec::new(), Vec::new(), MORNING);
    while firsts.len() < 4 {
        let mut commands = campaign.handle_timeout(now, &outside);
        while let Some(command) = commands.pop() {
            if let Command::RequestSlot { contact, ask, lines: asked } = command {
                assert_eq!(asked.len(), lines.len());
                firsts.push(asked[0]);
                // The last is the one that is free.
                let granted = Event::SlotGranted { contact, ask, line: asked[2] };
                commands.extend(campaign.handle(now, &outside, granted));
            } else if let Command::KeepThenTell(Fact::Intended { line, .. }) = command {
                lines_used.push(line);
            }
        }
        now = now + Duration::from_secs(1);
    }
    assert_eq!(lines_used[..3], [lines[2], lines[0], lines[1]]);
    assert_eq!(firsts, [lines[0], lines[1], lines[2], lines[0]]);
}
