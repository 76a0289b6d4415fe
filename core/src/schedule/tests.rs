use std::collections::BTreeMap;

use proptest::{prelude::*, test_runner::TestCaseResult};

use super::*;

const RULES: AgendaRules = AgendaRules { calls_max: 8, turns_max: 2 };

fn at(seconds: u64) -> WallTime {
    WallTime::from_millis(seconds * 1_000)
}

fn between(earliest: u64, latest: u64) -> Appointment {
    Appointment { earliest: at(earliest), latest: at(latest) }
}

fn agenda(calls: &[(&'static str, u64, u64)]) -> Agenda<&'static str> {
    let mut agenda = Agenda::new(RULES);
    for &(call, earliest, latest) in calls {
        agenda.add(at(0), call, between(earliest, latest)).unwrap();
        agenda.put_back(&call, None);
    }
    agenda
}

#[test]
fn calls_have_their_turns_in_the_order_of_their_times_and_not_before() {
    let mut agenda = agenda(&[("b", 20, 90), ("a", 10, 90)]);
    assert_eq!(agenda.next_deadline().unwrap().0, at(10));
    assert_eq!(agenda.next_turn(at(9)), None);
    assert_eq!(agenda.next_turn(at(30)), Some(("a", Turn::Dial { latest: at(90) })));
    assert_eq!(agenda.next_turn(at(30)), Some(("b", Turn::Dial { latest: at(90) })));
    assert_eq!(agenda.next_turn(at(30)), None);
}

#[test]
fn a_call_that_found_no_slot_lets_others_try_and_lapses_in_the_end() {
    let mut agenda = agenda(&[("a", 10, 40), ("b", 11, 40)]);
    assert_eq!(agenda.next_turn(at(11)).unwrap().0, "a");
    agenda.put_back(&"a", Some(at(20)));
    assert_eq!(agenda.next_turn(at(12)).unwrap().0, "b");
    agenda.forget(&"b");
    assert_eq!(agenda.next_turn(at(19)), None);
    assert_eq!(agenda.next_turn(at(40)), Some(("a", Turn::Lapsed { was_there: true })));
}

#[test]
fn a_call_whose_time_passed_before_the_agenda_had_it_was_not_there() {
    let mut agenda = Agenda::new(RULES);
    agenda.add(at(50), "a", between(10, 40)).unwrap();
    agenda.put_back(&"a", None);
    assert_eq!(agenda.next_turn(at(50)), Some(("a", Turn::Lapsed { was_there: false })));
}

#[test]
fn lapsed_calls_are_told_of_while_all_turns_are_out() {
    let mut agenda = agenda(&[("a", 1, 90), ("b", 1, 90), ("c", 1, 5)]);
    assert!(agenda.next_turn(at(1)).is_some() && agenda.next_turn(at(1)).is_some());
    assert_eq!(agenda.next_turn(at(2)), None);
    assert_eq!(agenda.next_deadline().unwrap().0, at(5));
    assert_eq!(agenda.next_turn(at(5)), Some(("c", Turn::Lapsed { was_there: true })));
}

#[test]
fn nobody_dials_what_its_client_holds_and_nobody_holds_what_is_dialled() {
    let mut agenda = agenda(&[("a", 1, 90)]);
    assert_eq!(agenda.hold(&"a"), Holding::Yes);
    assert_eq!(agenda.next_turn(at(2)), None);
    agenda.move_to(&"a", between(30, 60));
    agenda.put_back(&"a", None);
    assert_eq!(agenda.next_turn(at(29)), None);
    assert_eq!(agenda.next_turn(at(30)), Some(("a", Turn::Dial { latest: at(60) })));
    assert_eq!(agenda.hold(&"a"), Holding::Busy);
    agenda.forget(&"a");
    assert_eq!(agenda.hold(&"a"), Holding::Unknown);
    assert!(agenda.is_empty());
}

#[test]
fn an_agenda_takes_no_more_calls_than_it_may() {
    let mut agenda = Agenda::new(RULES);
    for call in 0..8 {
        agenda.add(at(0), call, between(1, 2)).unwrap();
    }
    assert_eq!(agenda.add(at(0), 8, between(1, 2)), Err(AgendaFull { calls_max: 8 }));
}

#[test]
fn an_appointment_lies_ahead_and_within_a_year() {
    let hour = Duration::from_secs(3_600);
    let now = at(1_000_000);
    let new = |earliest: u64, latest: Option<u64>| {
        Appointment::new(now, at(earliest), latest.map(at), hour)
    };
    assert_eq!(new(1_000_010, None), Ok(between(1_000_010, 1_003_610)));
    assert_eq!(new(999_990, Some(1_000_001)), Ok(between(999_990, 1_000_001)));
    let said = |problems: Result<Appointment, Vec<BadAppointment>>| {
        problems.unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    assert!(said(new(900_000, None)).contains("earliestAt has passed"));
    assert!(said(new(1_000_010, Some(1_000_010))).contains("must be after"));
    assert_eq!(said(new(999_990, Some(999_999))), "schedulePlan.latestAt has passed");
    assert!(said(new(50_000_000, None)).contains("earliestAt must be within 366 days"));
    assert!(said(new(1_000_010, Some(50_000_000))).contains("latestAt must be within 366 days"));
}

#[derive(Clone, Debug)]
enum Act {
    Add {
        earliest: u64,
        length: u64,
    },
    Wait(u64),
    Turns,
    /// Whoever has the nth turn says what became of it.
    Over(usize),
    Again(usize, u64),
    Hold(u8),
    PutBack(u8),
    Move(u8, u64, u64),
    Delete(u8),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        (0..200_u64, 1..100_u64).prop_map(|(earliest, length)| Act::Add { earliest, length }),
        (0..60_u64).prop_map(Act::Wait),
        Just(Act::Turns),
        (0..4_usize).prop_map(Act::Over),
        (0..4_usize, 0..40_u64).prop_map(|(turn, wait)| Act::Again(turn, wait)),
        (0..12_u8).prop_map(Act::Hold),
        (0..12_u8).prop_map(Act::PutBack),
        (0..12_u8, 0..200_u64, 1..100_u64)
            .prop_map(|(call, at, length)| Act::Move(call, at, length)),
        (0..12_u8).prop_map(Act::Delete),
    ];
    prop::collection::vec(act, 1..80)
}

/// What a client knows of its calls.
#[derive(Default)]
struct Model {
    appointments: BTreeMap<u8, Appointment>,
    held: Vec<u8>,
    out: Vec<(u8, Turn)>,
    dialled: Vec<u8>,
    next: u8,
    now: u64,
}

fn run(acts: Vec<Act>) -> TestCaseResult {
    let mut agenda = Agenda::new(RULES);
    let mut it = Model::default();
    for act in acts {
        match act {
            Act::Add { earliest, length } => {
                let appointment = between(it.now + earliest, it.now + earliest + length);
                let is_added = agenda.add(at(it.now), it.next, appointment).is_ok();
                prop_assert_eq!(is_added, it.appointments.len() < RULES.calls_max);
                if is_added {
                    it.appointments.insert(it.next, appointment);
                    it.held.push(it.next);
                    it.next += 1;
                }
            }
            Act::Wait(seconds) => it.now += seconds,
            Act::Turns => take_turns(&mut agenda, &mut it)?,
            Act::Over(turn) if turn < it.out.len() => {
                let (call, turn) = it.out.remove(turn);
                agenda.forget(&call);
                it.appointments.remove(&call);
                if let Turn::Dial { .. } = turn {
                    prop_assert!(!it.dialled.contains(&call), "dialled twice");
                    it.dialled.push(call);
                }
            }
            Act::Again(turn, wait) if turn < it.out.len() => {
                let (call, _) = it.out.remove(turn);
                agenda.put_back(&call, Some(at(it.now + wait)));
            }
            Act::Over(_) | Act::Again(..) => {}
            Act::Hold(call) => {
                let is_out = it.held.contains(&call) || it.out.iter().any(|&(out, _)| out == call);
                let expected = match it.appointments.contains_key(&call) {
                    false => Holding::Unknown,
                    true if is_out => Holding::Busy,
                    true => Holding::Yes,
                };
                prop_assert_eq!(agenda.hold(&call), expected);
                if expected == Holding::Yes {
                    it.held.push(call);
                }
            }
            Act::PutBack(call) if it.held.contains(&call) => {
                it.held.retain(|&other| other != call);
                agenda.put_back(&call, None);
            }
            Act::Move(call, earliest, length) if it.held.contains(&call) => {
                let appointment = between(it.now + earliest, it.now + earliest + length);
                agenda.move_to(&call, appointment);
                it.appointments.insert(call, appointment);
            }
            Act::Delete(call) if it.held.contains(&call) => {
                it.held.retain(|&other| other != call);
                it.appointments.remove(&call);
                agenda.forget(&call);
            }
            Act::PutBack(_) | Act::Move(..) | Act::Delete(_) => {}
        }
        prop_assert_eq!(agenda.len(), it.appointments.len());
    }
    // Once everybody lets go, everybody has had a turn.
    for call in std::mem::take(&mut it.held) {
        agenda.put_back(&call, None);
    }
    for _ in 0..200 {
        for (call, _) in std::mem::take(&mut it.out) {
            agenda.forget(&call);
            it.appointments.remove(&call);
        }
        if let Some((due, _)) = agenda.next_deadline() {
            it.now = it.now.max(due.as_millis() / 1_000);
        }
        take_turns(&mut agenda, &mut it)?;
    }
    prop_assert!(it.appointments.is_empty(), "forgotten: {:?}", it.appointments);
    Ok(())
}

fn take_turns(agenda: &mut Agenda<u8>, it: &mut Model) -> TestCaseResult {
    while let Some((call, turn)) = agenda.next_turn(at(it.now)) {
        let Appointment { earliest, latest } = it.appointments[&call];
        prop_assert!(!it.held.contains(&call), "its client holds it");
        prop_assert!(it.out.iter().all(|&(other, _)| other != call), "it is out already");
        match turn {
            Turn::Dial { latest: told } => {
                prop_assert_eq!(told, latest);
                prop_assert!(earliest <= at(it.now) && at(it.now) < latest);
                prop_assert!(it.out.len() < RULES.turns_max);
            }
            Turn::Lapsed { .. } => prop_assert!(latest <= at(it.now)),
        }
        it.out.push((call, turn));
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_call_is_handed_to_one_holder_at_a_time_within_its_time_and_none_is_forgotten(
        acts in acts()
    ) {
        run(acts)?;
    }
}
