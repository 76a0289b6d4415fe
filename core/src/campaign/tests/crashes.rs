//! The process dies at any instant, also between the intent and the carrier's answer.

use std::{collections::BTreeMap, env};

use super::{super::*, world::Due, *};

const CONTACTS: u32 = 20;
const SEEDS: u64 = 1_000;

/// Marks what a dead process left at the carrier.
const ORPHAN: AskId = AskId(u64::MAX);

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

fn plan() -> Plan {
    Plan { concurrency_max: 6, ..quick() }
}

/// The process dies and another takes over: it has what was on disk, and maybe some more.
fn crash(world: &mut World, dice: &mut Dice) {
    let unsure = world.journal.len() - world.flushed;
    let kept = world.flushed + dice.roll(unsure as u64 + 1) as usize;
    world.journal.truncate(kept);
    world.flushed = kept;
    let dues = std::mem::take(&mut world.dues);
    for ((at, _), mut due) in dues {
        // The slots of the dead process are free; its calls hold none of the new one's.
        let mut is_orphan = false;
        if let Due::Arrive { ask, .. } | Due::HangUp { ask, .. } = &mut due {
            is_orphan = *ask == ORPHAN;
            *ask = ORPHAN;
        }
        match due {
            Due::Tell(_) | Due::Flushed(_) => {}
            // It has been on its way since an earlier crash.
            Due::Arrive { .. } if is_orphan => world.later(at.after(world.now), due),
            // What was sent arrives or is lost, and may take its time.
            Due::Arrive { .. } => {
                if dice.roll(2) == 0 {
                    let wait = Duration::from_millis(dice.roll(SETTLE.as_millis() as u64 / 2));
                    world.later(wait, due);
                }
            }
            // A call may end with its process, or go on.
            Due::HangUp { .. } => {
                let wait = if dice.roll(2) == 0 { Duration::ZERO } else { at.after(world.now) };
                world.later(wait, due);
            }
        }
    }
    let down = Duration::from_millis(dice.roll(40_000));
    world.be_dead_until(world.now + down);
    let mut restored = book(CONTACTS, 1);
    for fact in &world.journal {
        assert!(restored.apply(fact), "does not fit: {fact:?}");
    }
    world.campaign = Campaign::new(plan(), restored);
}

/// What is flushed in batches reaches the disk now and then.
fn run(world: &mut World, dice: &mut Dice, steps: u64) {
    for _ in 0..steps {
        if !world.step() {
            return;
        }
        if dice.roll(8) == 0 {
            world.flushed = world.journal.len();
        }
    }
}

fn dials_of_each(world: &World) -> BTreeMap<ContactId, usize> {
    let mut count = BTreeMap::new();
    for dial in &world.dials {
        *count.entry(dial.contact).or_default() += 1;
    }
    count
}

fn simulate(seed: u64, is_blind: bool) -> World {
    let mut dice = Dice(seed);
    let mut world = world(plan(), CONTACTS);
    world.carrier_is_blind = is_blind;
    for _ in 0..=dice.roll(4) {
        let steps = dice.roll(160);
        run(&mut world, &mut dice, steps);
        crash(&mut world, &mut dice);
    }
    run(&mut world, &mut dice, u64::MAX);
    world
}

fn seeds() -> impl Iterator<Item = u64> {
    let only = env::var("OFFHOOK_SEED").ok().and_then(|seed| seed.parse().ok());
    only.map_or(0..SEEDS, |seed| seed..seed + 1)
}

#[test]
fn whoever_crashes_when_each_contact_is_dialled_exactly_once() {
    for seed in seeds() {
        let world = simulate(seed, false);
        let dials = dials_of_each(&world);
        for contact in (0..CONTACTS).map(ContactId) {
            assert_eq!(dials.get(&contact), Some(&1), "seed {seed}: {contact:?}");
        }
        let counters = world.campaign.book().counters();
        let expected = Counters {
            completed: CONTACTS,
            dialled: CONTACTS,
            connected: CONTACTS,
            ..Counters::default()
        };
        assert_eq!(counters, expected, "seed {seed}");
        assert_eq!(world.campaign.book().phase(), Phase::Ended(Close::Done), "seed {seed}");
        assert_eq!(world.slots_in_use(), 0, "seed {seed}");
        world.check_replay();
    }
}

#[test]
fn with_a_carrier_that_cannot_tell_nobody_is_dialled_twice_and_a_human_is_asked() {
    let mut unclear = 0;
    for seed in seeds() {
        let world = simulate(seed, true);
        let dials = dials_of_each(&world);
        let book = world.campaign.book();
        for (id, contact) in book.contacts() {
            let count = dials.get(&id).copied().unwrap_or(0);
            if contact.standing == Standing::Unclear {
                assert!(count <= 1, "seed {seed}: {id:?}");
            } else {
                assert_eq!(count, 1, "seed {seed}: {id:?}");
                let answered = Standing::Over(Outcome::Answered);
                assert_eq!(contact.standing, answered, "seed {seed}: {id:?}");
            }
        }
        unclear += book.counters().unclear;
        assert_eq!(book.phase(), Phase::Ended(Close::Done), "seed {seed}");
        world.check_replay();
    }
    assert!(unclear > 0, "no crash left anything unclear");
}
