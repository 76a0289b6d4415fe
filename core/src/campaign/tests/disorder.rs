//! Whatever is told, in whatever order, late, twice, or of what never was.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{super::*, *};

const CONTACTS: u32 = 6;

#[derive(Clone, Debug)]
enum Step {
    Event(Event),
    /// The answer that one of the commands so far asked for, again perhaps.
    Answer(usize, u8),
    Pass(u64),
    OnDeadline,
}

fn contact() -> impl Strategy<Value = ContactId> {
    (0..CONTACTS + 1).prop_map(ContactId)
}

fn event() -> impl Strategy<Value = Event> {
    let attempt = (0..4u16).prop_map(Attempt);
    prop_oneof![
        1 => Just(Event::Pause),
        2 => Just(Event::Resume),
        1 => (0..8u64).prop_map(|it| Event::Barred { number: NumberKey(15_550_000_000 + it) }),
        1 => (contact(), attempt.clone())
            .prop_map(|(contact, attempt)| Event::IntentLost { contact, attempt }),
        2 => (contact(), attempt.clone())
            .prop_map(|(contact, attempt)| Event::DialUnclear { contact, attempt }),
        2 => (contact(), attempt.clone())
            .prop_map(|(contact, attempt)| Event::Dialled { contact, attempt }),
        2 => (contact(), attempt).prop_map(|(contact, attempt)| Event::Over {
            contact,
            attempt,
            outcome: Outcome::Busy,
        }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => event().prop_map(Step::Event),
        12 => (any::<usize>(), any::<u8>()).prop_map(|(of, how)| Step::Answer(of, how)),
        1 => (0..100_000u64).prop_map(Step::Pass),
        3 => (0..500u64).prop_map(Step::Pass),
        6 => Just(Step::OnDeadline),
    ]
}

fn outcome(how: u8) -> Outcome {
    match how % 3 {
        0 => Outcome::Answered,
        1 => Outcome::Busy,
        _ => Outcome::Failed,
    }
}

/// An answer that fits a command.
fn answer(command: &Command, how: u8) -> Option<Event> {
    Some(match *command {
        Command::Predial { contact } => Event::Predialled { contact, verdict: Predial::Eligible },
        Command::RequestSlot { contact, ask, .. } if how.is_multiple_of(5) => {
            Event::SlotRefused { contact, ask }
        }
        Command::RequestSlot { contact, ask, ref lines } => {
            let line = *lines.get(usize::from(how) % lines.len().max(1))?;
            Event::SlotGranted { contact, ask, line }
        }
        Command::KeepThenTell(Fact::Intended { contact, attempt, .. }) => {
            Event::IntentKept { contact, attempt }
        }
        Command::Dial { contact, attempt, .. } if how.is_multiple_of(2) => {
            Event::Dialled { contact, attempt }
        }
        Command::Dial { contact, attempt, .. } => {
            Event::Over { contact, attempt, outcome: outcome(how) }
        }
        Command::AskCarrier { contact, attempt, .. } => {
            let truth = match how % 4 {
                0 => Truth::NeverDialled,
                1 => Truth::Live,
                2 => Truth::Unknown,
                _ => Truth::Over(outcome(how)),
            };
            Event::Truth { contact, attempt, truth }
        }
        Command::Keep(_)
        | Command::KeepThenTell(_)
        | Command::WithdrawSlot { .. }
        | Command::ReleaseSlot { .. } => return None,
    })
}

#[derive(Default)]
struct Check {
    journal: Vec<Fact>,
    intents: BTreeSet<(ContactId, Attempt)>,
    dialled: BTreeSet<(ContactId, Attempt)>,
    /// Asked for and neither withdrawn, released nor used.
    asks: BTreeMap<AskId, ContactId>,
    /// Asked the carrier, and nothing known since.
    open: BTreeSet<ContactId>,
}

impl Check {
    fn see(&mut self, command: &Command) {
        match *command {
            Command::Keep(fact) | Command::KeepThenTell(fact) => {
                self.journal.push(fact);
                match fact {
                    Fact::Intended { contact, attempt, .. } => {
                        assert!(self.intents.insert((contact, attempt)), "intended twice");
                    }
                    Fact::Finished { contact, .. }
                    | Fact::Revoked { contact, .. }
                    | Fact::Unclear { contact, .. } => {
                        self.open.remove(&contact);
                    }
                    Fact::Began
                    | Fact::Paused
                    | Fact::Resumed
                    | Fact::Closed { .. }
                    | Fact::Placed { .. }
                    | Fact::Skipped { .. }
                    | Fact::PredialFailed { .. } => {}
                }
            }
            Command::RequestSlot { contact, ask, .. } => {
                assert_eq!(self.asks.insert(ask, contact), None);
            }
            Command::WithdrawSlot { ask } => {
                assert!(self.asks.remove(&ask).is_some(), "withdrawn: {ask:?}");
            }
            // One that is granted after it was withdrawn is released again.
            Command::ReleaseSlot { ask } => {
                self.asks.remove(&ask);
            }
            Command::Dial { contact, attempt, ask, .. } => {
                assert!(self.intents.contains(&(contact, attempt)), "without an intent");
                assert!(self.dialled.insert((contact, attempt)), "dialled twice");
                assert_eq!(self.asks.remove(&ask), Some(contact), "without a slot");
                assert!(self.open.insert(contact), "while another attempt is open");
            }
            Command::Predial { .. } | Command::AskCarrier { .. } => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_events_dials_twice_or_loses_a_slot_or_a_contact(
        steps in proptest::collection::vec(step(), 1..250),
        has_predial in any::<bool>(),
    ) {
        let busy = RetryRule { retries: 2, backoff: seconds(60), backoff_max: seconds(60) };
        let plan = Plan {
            has_predial,
            concurrency_max: 4,
            retries: Retries { busy, ..Retries::default() },
            latest: Some(MORNING + seconds(3_600)),
            ..quick()
        };
        let mut outside = world::Outer::default();
        let mut campaign = Campaign::new(plan, book(CONTACTS, 1));
        let mut now = MORNING;
        let mut told: Vec<Command> = Vec::new();
        let mut check = Check::default();
        // In the end everybody is heard of: the time of the campaign passes.
        let ending = (0..2_000).map(|_| Step::OnDeadline);
        for step in steps.into_iter().chain(ending) {
            let commands = match step {
                Step::Event(event) => {
                    if let Event::Barred { number } = event {
                        outside.barred.insert(number);
                    }
                    campaign.handle(now, &outside, event)
                }
                Step::Answer(of, how) => {
                    let of = of % told.len().max(1);
                    let Some(event) = told.get(of).and_then(|command| answer(command, how)) else {
                        continue;
                    };
                    // A slot is granted or refused, once.
                    if let Event::SlotGranted { .. } = event {
                        told.remove(of);
                    } else if let Event::SlotRefused { ask, .. } = event {
                        told.remove(of);
                        check.asks.remove(&ask);
                    }
                    campaign.handle(now, &outside, event)
                }
                Step::Pass(ms) => {
                    now = now + Duration::from_millis(ms);
                    continue;
                }
                Step::OnDeadline => {
                    let Some((due, _)) = campaign.next_deadline() else { continue };
                    now = now.max(due);
                    let commands = campaign.handle_timeout(now, &outside);
                    if let Some((due, why)) = campaign.next_deadline() {
                        prop_assert!(due > now, "still due: {}", why);
                    }
                    commands
                }
            };
            for command in &commands {
                check.see(command);
            }
            told.extend(commands);
            told.drain(..told.len().saturating_sub(40));
        }
        prop_assert_eq!(check.asks, BTreeMap::new(), "slots that nobody gives back");
        prop_assert!(matches!(campaign.book().phase(), Phase::Ended(_)));
        for (id, contact) in campaign.book().contacts() {
            prop_assert!(contact.standing.is_final(), "{:?}: {:?}", id, contact.standing);
        }
        let mut replayed = book(CONTACTS, 1);
        for fact in &check.journal {
            prop_assert!(replayed.apply(fact), "does not fit: {:?}", fact);
        }
        prop_assert_eq!(&replayed, campaign.book());
    }
}
