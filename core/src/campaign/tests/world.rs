//! A campaign with slots, a disk, a carrier and people, in virtual time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{super::*, seconds};

pub const HOLD_ANSWERED: Duration = seconds_of(60);
pub const HOLD_UNANSWERED: Duration = seconds_of(25);
const DISK: Duration = Duration::from_millis(5);
const TO_CARRIER: Duration = Duration::from_millis(80);

const fn seconds_of(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[derive(Default)]
pub struct Outer {
    pub barred: BTreeSet<NumberKey>,
    pub elsewhere: BTreeMap<NumberKey, Vec<WallTime>>,
    /// Zone `n` is so many hours ahead of UTC as its place says.
    pub offsets_h: Vec<i32>,
}

impl Outside for Outer {
    fn offsets_s(&self, zone: ZoneId, _: WallTime) -> (i32, i32) {
        let offset = self.offsets_h.get(usize::from(zone.0)).map_or(0, |hours| hours * 3_600);
        (offset, offset)
    }

    fn is_barred(&self, number: NumberKey) -> bool {
        self.barred.contains(&number)
    }

    fn calls_elsewhere(&self, number: NumberKey, since: WallTime) -> u32 {
        let calls = self.elsewhere.get(&number).into_iter().flatten();
        calls.filter(|&&at| at > since).count() as u32
    }
}

/// A request that reached the carrier.
#[derive(Clone, Copy, Debug)]
pub struct Dial {
    pub contact: ContactId,
    pub attempt: Attempt,
    pub line: LineId,
    pub at: WallTime,
}

#[derive(Clone, Debug)]
pub enum Due {
    Tell(Event),
    /// The request reaches the carrier.
    Arrive {
        contact: ContactId,
        attempt: Attempt,
        line: LineId,
        ask: AskId,
    },
    /// Somebody hangs up.
    HangUp {
        contact: ContactId,
        attempt: Attempt,
        ask: AskId,
        outcome: Outcome,
    },
    /// What was written until then is on disk.
    Flushed(usize),
}

pub struct World {
    pub campaign: Campaign,
    pub now: WallTime,
    pub outside: Outer,
    pub journal: Vec<Fact>,
    /// How much of the journal is on disk.
    pub flushed: usize,
    pub dials: Vec<Dial>,
    pub ended: BTreeMap<(ContactId, Attempt), Outcome>,
    pub outcome: fn(ContactId, Attempt) -> Outcome,
    /// `None`: the client's server does not answer.
    pub predial: fn(ContactId) -> Option<Predial>,
    pub disk_is_dead: bool,
    /// The first request gets no answer; this is what is found out later.
    pub carrier_is_mute: Option<Truth>,
    /// What it says of any attempt.
    pub carrier_is_blind: bool,
    pub most_at_once: usize,
    pub dues: BTreeMap<(WallTime, u64), Due>,
    seq: u64,
    slots: usize,
    granted: BTreeSet<AskId>,
    asking: VecDeque<(ContactId, AskId, LineId)>,
}

impl World {
    pub fn new(campaign: Campaign, now: WallTime, slots: usize) -> Self {
        let mut world = Self {
            campaign,
            now,
            outside: Outer::default(),
            journal: Vec::new(),
            flushed: 0,
            dials: Vec::new(),
            ended: BTreeMap::new(),
            outcome: |_, _| Outcome::Answered,
            predial: |_| Some(Predial::Eligible),
            disk_is_dead: false,
            carrier_is_mute: None,
            carrier_is_blind: false,
            most_at_once: 0,
            dues: BTreeMap::new(),
            seq: 0,
            slots,
            granted: BTreeSet::new(),
            asking: VecDeque::new(),
        };
        // A zone's offset may be set before its clock is looked at: nothing happens before a step.
        world.outside.offsets_h = vec![0];
        world
    }

    pub fn slots_in_use(&self) -> usize {
        self.granted.len()
    }

    /// Slots in use, of those that there are.
    pub fn calls_at_once(&self) -> usize {
        self.granted.len()
    }

    /// Until nothing happens any more.
    pub fn run(&mut self) {
        while self.step() {}
    }

    pub fn run_until(&mut self, end: WallTime) {
        while self.next_at().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = self.now.max(end);
    }

    /// The next thing that happens. False: nothing will.
    pub fn step(&mut self) -> bool {
        let Some(at) = self.next_at() else {
            return false;
        };
        self.now = self.now.max(at);
        let due = self.dues.first_key_value().map(|(&key, _)| key);
        match due.filter(|&(at, _)| at <= self.now).and_then(|key| self.dues.remove(&key)) {
            Some(due) => self.happen(due),
            None => {
                let commands = self.campaign.handle_timeout(self.now, &self.outside);
                self.carry_out(commands);
                let next = self.campaign.next_deadline();
                assert!(
                    next.is_none_or(|(at, _)| at > self.now || at == WallTime::ZERO),
                    "still due: {next:?}"
                );
            }
        }
        true
    }

    pub fn send(&mut self, event: Event) {
        let commands = self.campaign.handle(self.now, &self.outside, event);
        self.carry_out(commands);
    }

    /// The facts in their order give the same book.
    pub fn check_replay(&self) {
        let own = self.campaign.book();
        let mut book = Book::new(self.campaign.plan().pools.len());
        for (_, contact) in own.contacts() {
            book.add(contact.number, contact.zone, contact.pool).unwrap();
        }
        for fact in &self.journal {
            assert!(book.apply(fact), "does not fit: {fact:?}");
        }
        assert_eq!(&book, own);
    }

    pub fn later(&mut self, wait: Duration, due: Due) {
        self.seq += 1;
        self.dues.insert((self.now + wait, self.seq), due);
    }

    /// There is no process: what happens at the carrier happens all the same, and nobody is told.
    pub fn be_dead_until(&mut self, end: WallTime) {
        self.granted.clear();
        self.asking.clear();
        while let Some((&(at, seq), _)) = self.dues.first_key_value()
            && at <= end
        {
            self.now = self.now.max(at);
            match self.dues.remove(&(at, seq)) {
                Some(Due::Arrive { contact, attempt, line, ask }) => {
                    self.arrive(contact, attempt, line, ask);
                }
                Some(Due::HangUp { contact, attempt, outcome, .. }) => {
                    self.ended.insert((contact, attempt), outcome);
                }
                Some(Due::Tell(_) | Due::Flushed(_)) | None => {}
            }
        }
        self.dues.retain(|_, due| !matches!(due, Due::Tell(_) | Due::Flushed(_)));
        self.now = end;
    }

    fn next_at(&self) -> Option<WallTime> {
        let due = self.dues.first_key_value().map(|(&(at, _), _)| at);
        let deadline = self.campaign.next_deadline().map(|(at, _)| at);
        due.into_iter().chain(deadline).min()
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Tell(event) => self.send(event),
            Due::Flushed(until) => self.flushed = self.flushed.max(until),
            Due::Arrive { contact, attempt, line, ask } => {
                self.arrive(contact, attempt, line, ask);
            }
            Due::HangUp { contact, attempt, ask, outcome } => {
                self.ended.insert((contact, attempt), outcome);
                self.free(ask);
                self.send(Event::Over { contact, attempt, outcome });
            }
        }
    }

    fn arrive(&mut self, contact: ContactId, attempt: Attempt, line: LineId, ask: AskId) {
        self.dials.push(Dial { contact, attempt, line, at: self.now });
        let outcome = (self.outcome)(contact, attempt);
        let hold = match outcome {
            Outcome::Answered | Outcome::Voicemail => HOLD_ANSWERED,
            Outcome::Busy | Outcome::NoAnswer | Outcome::Failed => HOLD_UNANSWERED,
        };
        self.later(hold, Due::HangUp { contact, attempt, ask, outcome });
        self.later(TO_CARRIER, Due::Tell(Event::Dialled { contact, attempt }));
    }

    fn carry_out(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Keep(fact) => self.write(fact),
                Command::KeepThenTell(fact) => {
                    self.write(fact);
                    let Fact::Intended { contact, attempt, .. } = fact else {
                        panic!("only an intent is waited for, not {fact:?}");
                    };
                    let event = Event::IntentKept { contact, attempt };
                    if !self.disk_is_dead {
                        self.later(DISK, Due::Flushed(self.journal.len()));
                        self.later(DISK, Due::Tell(event));
                    }
                }
                Command::Predial { contact } => {
                    if let Some(verdict) = (self.predial)(contact) {
                        let event = Event::Predialled { contact, verdict };
                        self.later(seconds(1), Due::Tell(event));
                    }
                }
                Command::RequestSlot { contact, ask, lines } => {
                    self.asking.push_back((contact, ask, lines[0]));
                    self.grant();
                }
                Command::WithdrawSlot { ask } | Command::ReleaseSlot { ask } => self.free(ask),
                Command::Dial { contact, attempt, line, ask } => {
                    assert!(self.granted.contains(&ask), "dialled without a slot");
                    self.dial(contact, attempt, line, ask);
                }
                Command::AskCarrier { contact, attempt, .. } => {
                    let truth = self.truth(contact, attempt);
                    let event = Event::Truth { contact, attempt, truth };
                    self.later(TO_CARRIER, Due::Tell(event));
                }
            }
        }
    }

    fn dial(&mut self, contact: ContactId, attempt: Attempt, line: LineId, ask: AskId) {
        if self.carrier_is_mute.is_some() && self.dials.is_empty() {
            self.dials.push(Dial { contact, attempt, line, at: self.now });
            self.free(ask);
            self.later(seconds(20), Due::Tell(Event::DialUnclear { contact, attempt }));
            return;
        }
        self.later(TO_CARRIER, Due::Arrive { contact, attempt, line, ask });
    }

    fn truth(&mut self, contact: ContactId, attempt: Attempt) -> Truth {
        if let Some(truth) = self.carrier_is_mute {
            return truth;
        }
        if self.carrier_is_blind {
            return Truth::Unknown;
        }
        let is_here = self.dials.iter().any(|it| it.contact == contact && it.attempt == attempt);
        match self.ended.get(&(contact, attempt)) {
            Some(&outcome) => Truth::Over(outcome),
            None if is_here => Truth::Live,
            None => Truth::NeverDialled,
        }
    }

    fn write(&mut self, fact: Fact) {
        self.journal.push(fact);
    }

    fn free(&mut self, ask: AskId) {
        self.asking.retain(|&(_, other, _)| other != ask);
        self.granted.remove(&ask);
        self.grant();
    }

    fn grant(&mut self) {
        while self.granted.len() < self.slots
            && let Some((contact, ask, line)) = self.asking.pop_front()
        {
            self.granted.insert(ask);
            self.most_at_once = self.most_at_once.max(self.granted.len());
            let granted = Event::SlotGranted { contact, ask, line };
            self.later(Duration::from_millis(1), Due::Tell(granted));
        }
    }
}
