//! A campaign at work: what it is told goes to the core, what the core wants is carried out.

use std::{collections::HashMap, sync::Arc};

use offhook_api::campaign as wire;
use offhook_core::campaign::{
    AskId, Attempt, Campaign, Command, ContactId, Counters, Event, Fact, NumberKey, Outside, Phase,
    Truth, WallTime, ZoneId,
};
use ractor::ActorRef;
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    CampaignArgs, CampaignMsg, DISK_WAIT, Desk, DialError, Ending, Entry, FILE_AGAIN, Filing,
    Found, Glance, Inner, Loaded, Numbers, Reasons, SLEEP_MAX, UNCLEAR, journal::Journal, page,
    tell,
};
use crate::Leaf;

/// A campaign at work.
pub struct Running<D: Desk> {
    pub(super) args: CampaignArgs<D>,
    pub(super) myself: ActorRef<CampaignMsg<D::Slot>>,
    pub(super) campaign: Campaign,
    around: Around,
    pub(super) reasons: Reasons,
    pub(super) journal: Journal,
    /// Requests for slots, and slots that are not used yet.
    pub(super) asks: HashMap<AskId, Leaf>,
    pub(super) slots: HashMap<AskId, D::Slot>,
    /// What is under way for a contact: a question, a call.
    pub(super) tasks: HashMap<ContactId, Leaf>,
    pub(super) alarm: Option<Leaf>,
    pub(super) is_due: bool,
    pub(super) shown: Counters,
    pub(super) filing: Option<Leaf>,
}

/// What the campaign is told of the world, from memory.
struct Around {
    id: Uuid,
    org: Arc<str>,
    zones: wire::Zones,
    numbers: Numbers,
}

impl Outside for Around {
    fn offsets_s(&self, zone: ZoneId, at: WallTime) -> (i32, i32) {
        self.zones.offsets_s(zone, at)
    }

    fn is_barred(&self, number: NumberKey) -> bool {
        self.numbers.is_barred(&self.org, number)
    }

    fn calls_elsewhere(&self, number: NumberKey, since: WallTime) -> u32 {
        self.numbers.calls_elsewhere(&self.org, number, self.id, since)
    }
}

impl<D: Desk> Running<D> {
    pub(super) fn new(
        args: CampaignArgs<D>,
        loaded: Loaded,
        myself: ActorRef<CampaignMsg<D::Slot>>,
    ) -> Self {
        let Loaded { book, zones, reasons } = loaded;
        let spec = &args.spec;
        for (_, contact) in book.contacts() {
            for at in contact.dialled() {
                args.numbers.note_call(&spec.org, contact.number, spec.id, at);
            }
        }
        let actor = myself.clone();
        let kept = move |contact, attempt, is_kept| {
            let event = match is_kept {
                true => Event::IntentKept { contact, attempt },
                false => Event::IntentLost { contact, attempt },
            };
            tell(&actor, Inner::Event(event));
        };
        // The one who reads takes over once more: it is the only one that writes from here on.
        let token = args.ownership.take();
        let journal = Journal::new(args.store.clone(), spec.id, token, kept);
        let around =
            Around { id: spec.id, org: spec.org.clone(), zones, numbers: args.numbers.clone() };
        Self {
            campaign: Campaign::new(spec.view.plan.clone(), book),
            args,
            myself,
            around,
            reasons,
            journal,
            asks: HashMap::new(),
            slots: HashMap::new(),
            tasks: HashMap::new(),
            alarm: None,
            is_due: false,
            shown: Counters::default(),
            filing: None,
        }
    }

    pub(super) fn handle(&mut self, message: CampaignMsg<D::Slot>) {
        match message {
            CampaignMsg::Do(event, reply) => {
                self.feed(event);
                let kept = self.journal.barrier();
                tokio::spawn(async move {
                    if kept.await.is_ok() {
                        // Whoever asked may have given up.
                        let _ = reply.send(());
                    }
                });
            }
            CampaignMsg::Glance(reply) => {
                let is_over = matches!(self.campaign.book().phase(), Phase::Ended(_));
                let pace = (!is_over).then(|| self.campaign.pace());
                let _ = reply.send(Glance::of(self.campaign.book(), pace));
            }
            CampaignMsg::Contacts(ask, reply) => {
                let spec = &self.args.spec;
                let _ = reply.send(page(spec.id, self.campaign.book(), &self.reasons, &ask));
            }
            CampaignMsg::Barred(number) => self.feed(Event::Barred { number }),
            CampaignMsg::Inner(inner) => self.handle_inner(inner),
        }
        self.note_counters();
        self.set_alarm();
        self.file_if_over();
    }

    pub(super) fn handle_inner(&mut self, inner: Inner<D::Slot>) {
        match inner {
            // Only the first is handled, and not here.
            Inner::Loaded(_) => {}
            Inner::Due => {
                self.is_due = false;
                if self.journal.has_room() {
                    let commands = self.campaign.handle_timeout(self.args.desk.now(), &self.around);
                    self.carry_out(commands);
                }
            }
            Inner::Event(event) => self.feed(event),
            Inner::Slot { contact, ask, slot } => {
                // A request that was withdrawn meanwhile: dropping the slot frees it.
                if self.asks.remove(&ask).is_none() {
                    return;
                }
                match slot {
                    Some((line, slot)) => {
                        self.slots.insert(ask, slot);
                        self.feed(Event::SlotGranted { contact, ask, line });
                    }
                    None => self.feed(Event::SlotRefused { contact, ask }),
                }
            }
            Inner::Placed { contact, attempt, placed } => match placed {
                Ok(live) => {
                    self.feed(Event::Dialled { contact, attempt });
                    self.watch(contact, attempt, live);
                }
                Err(DialError::Refused(ending)) => self.end(contact, attempt, ending),
                Err(DialError::Unclear) => self.feed(Event::DialUnclear { contact, attempt }),
            },
            Inner::Found { contact, attempt, found } => {
                let truth = match found {
                    Found::NeverDialled => Truth::NeverDialled,
                    Found::Live(live) => {
                        self.feed(Event::Truth { contact, attempt, truth: Truth::Live });
                        self.watch(contact, attempt, live);
                        return;
                    }
                    Found::Over(ending) => {
                        self.reasons.set(contact, ending.reason);
                        Truth::Over(ending.outcome)
                    }
                    Found::Unreachable | Found::Unknown => Truth::Unknown,
                };
                self.feed(Event::Truth { contact, attempt, truth });
            }
            Inner::Over { contact, attempt, ending } => self.end(contact, attempt, ending),
            Inner::Filed(true) => self.myself.stop(None),
            Inner::Filed(false) => self.filing = None,
        }
    }

    pub(super) fn end(&mut self, contact: ContactId, attempt: Attempt, ending: Ending) {
        self.tasks.remove(&contact);
        self.reasons.set(contact, ending.reason);
        self.feed(Event::Over { contact, attempt, outcome: ending.outcome });
    }

    pub(super) fn feed(&mut self, event: Event) {
        let commands = self.campaign.handle(self.args.desk.now(), &self.around, event);
        self.carry_out(commands);
    }

    pub(super) fn carry_out(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Keep(fact) => {
                    if let Fact::Unclear { contact, .. } = fact {
                        self.reasons.set(contact, UNCLEAR.into());
                        self.tasks.remove(&contact);
                    }
                    let entry = self.entry(fact);
                    self.announce(&entry);
                    self.journal.append(entry);
                }
                Command::KeepThenTell(fact) => {
                    if let Fact::Intended { contact, attempt, .. } = fact {
                        self.journal.append_intent(Entry { fact, why: None }, contact, attempt);
                    }
                }
                Command::Predial { contact } => self.predial(contact),
                Command::RequestSlot { contact, ask, lines } => {
                    self.request_slot(contact, ask, lines);
                }
                Command::WithdrawSlot { ask } | Command::ReleaseSlot { ask } => {
                    self.asks.remove(&ask);
                    self.slots.remove(&ask);
                }
                Command::Dial { contact, attempt, line, ask } => {
                    self.dial(contact, attempt, line, ask);
                }
                Command::AskCarrier { contact, attempt, line, since } => {
                    self.ask_carrier(contact, attempt, line, since);
                }
            }
        }
    }

    pub(super) fn entry(&self, fact: Fact) -> Entry {
        let why = match fact {
            Fact::Finished { contact, .. } | Fact::Unclear { contact, .. } => {
                self.reasons.of(contact).map(|why| why.to_string())
            }
            Fact::Began
            | Fact::Paused
            | Fact::Resumed
            | Fact::Closed { .. }
            | Fact::Intended { .. }
            | Fact::Revoked { .. }
            | Fact::Placed { .. }
            | Fact::Skipped { .. }
            | Fact::PredialFailed { .. } => None,
        };
        Entry { fact, why }
    }

    pub(super) fn set_alarm(&mut self) {
        if self.is_due {
            return;
        }
        let Some((at, _)) = self.campaign.next_deadline() else {
            self.alarm = None;
            return;
        };
        let mut wait = at.after(self.args.desk.now()).min(SLEEP_MAX);
        if !self.journal.has_room() {
            wait = wait.max(DISK_WAIT);
        }
        let myself = self.myself.clone();
        if wait.is_zero() {
            self.is_due = true;
            self.alarm = None;
            tell(&myself, Inner::Due);
        } else {
            self.alarm = Some(Leaf::spawn(async move {
                sleep(wait).await;
                tell(&myself, Inner::Due);
            }));
        }
    }

    /// A campaign that is over is written down as such, and then needs no actor.
    pub(super) fn file_if_over(&mut self) {
        let book = self.campaign.book();
        let is_over = matches!(book.phase(), Phase::Ended(_)) && book.is_done();
        if !is_over || self.filing.is_some() {
            return;
        }
        let filing = Filing {
            phase: book.phase(),
            counters: book.counters(),
            voicemails: Glance::of(book, None).voicemails,
            has_begun: book.contacts().any(|(_, contact)| contact.dialled().len() > 0),
        };
        let (args, myself) = (self.args.clone(), self.myself.clone());
        let kept = self.journal.barrier();
        self.filing = Some(Leaf::spawn(async move {
            let is_kept = kept.await.is_ok();
            let is_filed = is_kept && args.desk.file(args.spec, filing).await;
            if !is_filed {
                sleep(FILE_AGAIN).await;
            }
            tell(&myself, Inner::Filed(is_filed));
        }));
    }
}
