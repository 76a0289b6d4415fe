//! Whom a campaign dials, and when.
//!
//! Feed [`Event`]s in, carry [`Command`]s out in their order, wake up at [`Campaign::next_deadline`].
//! What must outlive the process is the [`Book`]: give every [`Fact`] to the journal, and build the book
//! again from them.
//!
//! # Nobody is dialled twice
//!
//! A contact is dialled in five steps: it is picked, gets a slot, its intent is written down, the
//! disk says that it has the intent, the carrier is asked. Whoever died between the last two does not know
//! whether the carrier was asked. The successor asks the carrier, and when the truth cannot be had
//! leaves the contact to a human.
//!
//! # Assumptions
//!
//! - [`Command::Dial`] is carried out at most once, and never by a process that has a successor.
//! - A request that was on its way when the process died has reached the carrier within [`SETTLE`].
//! - From [`Command::Dial`] on, the slot belongs to the call, which gives it back however it ends.
//! - A slot that was asked for is granted at most once.
//! - [`Outside::is_barred`] knows of a number before [`Event::Barred`] tells of it.

mod admission;
mod book;
mod calendar;
mod event;
mod line_up;
mod outcome;
mod pacing;
mod plan;
mod steps;

use std::{collections::BTreeMap, time::Duration};

use self::{
    admission::Admission,
    line_up::LineUp,
    pacing::Pacing,
    steps::{Step, Steps},
};
pub use self::{
    book::{
        Attempt, Book, Close, Contact, ContactId, ContactStatus, Counters, Duplicate, Fact,
        NumberKey, Phase, Skip, Standing,
    },
    calendar::{Calendar, LocalDay, Opening, WallTime, Weekdays, Window, ZoneId},
    event::{AskId, Command, Event, Predial, Truth},
    outcome::Outcome,
    plan::{ATTEMPTS_MAX, Caps, LineId, Plan, Problem, Retries, RetryRule},
};

/// What the campaign does not know by itself. Answers come from memory: nobody waits for them.
pub trait Outside {
    /// How far a zone's clocks are ahead of UTC at a moment, in seconds: the least and the most, where
    /// a number does not tell which of several zones somebody lives in.
    fn offsets_s(&self, zone: ZoneId, at: WallTime) -> (i32, i32);

    /// Whether somebody asked never to be called.
    fn is_barred(&self, number: NumberKey) -> bool;

    /// Calls to a number since a moment that are not this campaign's.
    fn calls_elsewhere(&self, number: NumberKey, since: WallTime) -> u32;
}

/// How long the client's server may take, with its own time limit (20 s at most) and a retry.
const PREDIAL_MAX: Duration = Duration::from_secs(60);

/// A slot that was asked for this long ago is not waited for any more.
const SLOT_MAX: Duration = Duration::from_secs(15 * 60);

/// A disk that does not have an intent by now is not waited for: the slot is for others.
const WRITE_MAX: Duration = Duration::from_secs(10);

/// A carrier's API that has not answered by now will not.
const DIAL_MAX: Duration = Duration::from_secs(60);

/// How long a request may take to appear in the carrier's records after it was sent.
pub const SETTLE: Duration = Duration::from_secs(30);

/// How long the carrier is asked about an attempt before a human is.
const TRUTH_MAX: Duration = Duration::from_secs(15 * 60);

/// The longest a call may last (twelve hours in the contract), and a while: then somebody forgot to
/// tell that it is over.
const LIVE_MAX: Duration = Duration::from_secs(12 * 60 * 60 + 15 * 60);

/// Contacts that are looked at in one go: whoever drives the campaign is not held up for longer.
const PICKS_MAX: usize = 256;

#[derive(Clone, Debug)]
pub struct Campaign {
    plan: Plan,
    book: Book,
    line_up: LineUp,
    pacing: Pacing,
    steps: Steps,
    /// There are more to pick than were looked at.
    has_more: bool,
    next_ask: u64,
    /// Slots that were asked for, by pool: whose turn it is among its lines.
    turns: BTreeMap<u16, usize>,
}

impl Campaign {
    /// Begins, or goes on where the book ends: what its last owner left unclear is asked about.
    pub fn new(plan: Plan, book: Book) -> Self {
        let mut campaign = Self {
            pacing: Pacing::new(plan.calls_per_second_max, plan.answered_min),
            plan,
            line_up: LineUp::default(),
            steps: Steps::default(),
            has_more: false,
            next_ask: 0,
            turns: BTreeMap::new(),
            book: Book::new(0),
        };
        for (id, contact) in book.contacts() {
            let attempt = contact.attempt;
            match contact.standing {
                Standing::Waiting { not_before } => {
                    campaign.line_up.insert(contact.zone, id, not_before);
                }
                // The disk may have taken its time before the carrier was asked.
                Standing::Intended { at, .. } => {
                    campaign.steps.set(id, Step::Unsure { attempt }, at + WRITE_MAX + SETTLE);
                }
                Standing::Placed { .. } => {
                    campaign.steps.set(id, Step::Unsure { attempt }, WallTime::ZERO);
                }
                Standing::Over(_)
                | Standing::Skipped(_)
                | Standing::PredialFailed
                | Standing::Unclear => {}
            }
        }
        campaign.book = book;
        campaign
    }

    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    pub const fn book(&self) -> &Book {
        &self.book
    }

    /// Calls a second that the campaign allows itself.
    pub fn pace(&self) -> f64 {
        self.pacing.rate()
    }

    pub fn handle(&mut self, now: WallTime, outside: &dyn Outside, event: Event) -> Vec<Command> {
        let mut out = Vec::new();
        match event {
            Event::Pause => {
                self.halt(&mut out);
                self.keep(Fact::Paused, &mut out);
            }
            Event::Resume => self.keep(Fact::Resumed, &mut out),
            Event::Stop => self.close(Close::Stopped, &mut out),
            Event::Barred { number } => self.on_barred(number, &mut out),
            Event::Predialled { contact, verdict } => {
                self.on_predialled(now, contact, verdict, &mut out);
            }
            Event::SlotGranted { contact, ask, line } => {
                if self.steps.of(contact) == Some(Step::Asking { ask }) {
                    self.steps.set(contact, Step::Ready { ask, line }, WallTime::MAX);
                } else {
                    out.push(Command::ReleaseSlot { ask });
                }
            }
            Event::SlotRefused { contact, ask } => {
                if self.steps.of(contact) == Some(Step::Asking { ask }) {
                    self.put_back(contact);
                    self.pacing.on_refused(now);
                }
            }
            Event::IntentKept { contact, attempt } => {
                self.on_intent_kept(now, outside, contact, attempt, &mut out);
            }
            Event::IntentLost { contact, attempt } => {
                if let Some(Step::Writing { attempt: own, .. }) = self.steps.of(contact)
                    && own == attempt
                {
                    self.call_off(contact, &mut out);
                    self.pacing.on_refused(now);
                }
            }
            Event::Dialled { contact, attempt } => {
                if self.is_out(contact, attempt) {
                    self.go_live(now, contact, attempt, &mut out);
                }
            }
            Event::DialUnclear { contact, attempt } => {
                if self.steps.of(contact) == Some(Step::Dialling { attempt }) {
                    self.steps.set(contact, Step::Unsure { attempt }, now + SETTLE);
                }
            }
            Event::Over { contact, attempt, outcome } => {
                if self.is_out(contact, attempt) {
                    self.finish(now, outside, contact, attempt, outcome, &mut out);
                }
            }
            Event::Truth { contact, attempt, truth } => {
                if self.steps.of(contact) == Some(Step::Asked { attempt }) {
                    self.on_truth(now, outside, contact, attempt, truth, &mut out);
                }
            }
        }
        self.advance(now, outside, &mut out);
        out
    }

    /// To be called at [`Campaign::next_deadline`], and once at the start.
    pub fn handle_timeout(&mut self, now: WallTime, outside: &dyn Outside) -> Vec<Command> {
        let mut out = Vec::new();
        self.advance(now, outside, &mut out);
        out
    }

    /// When there is something to do, and what. A time that has passed means at once.
    pub fn next_deadline(&self) -> Option<(WallTime, &'static str)> {
        let due = self.steps.first_due().map(|(at, _)| (at, "a step takes too long"));
        let phase = self.book.phase();
        let begins = (phase == Phase::Scheduled)
            .then(|| (self.plan.earliest.unwrap_or(WallTime::ZERO), "the campaign begins"));
        let latest = match phase {
            Phase::Scheduled | Phase::Running | Phase::Paused => self.plan.latest,
            Phase::Ended(_) => None,
        };
        let ends = latest.map(|at| (at, "the campaign's time is over"));
        let done = (matches!(phase, Phase::Running | Phase::Paused) && self.book.is_done())
            .then_some((WallTime::ZERO, "nobody is left"));
        let is_running = phase == Phase::Running;
        let dial = (is_running && self.steps.has_ready())
            .then(|| (self.pacing.dial_at(), "the next call may be dialled"));
        let pick = if !is_running || !self.has_room() {
            None
        } else if self.has_more {
            Some(WallTime::ZERO)
        } else {
            self.line_up.next_at().map(|at| at.max(self.pacing.ask_at()))
        };
        let pick = pick.map(|at| at.max(self.plan.earliest.unwrap_or(WallTime::ZERO)));
        let pick = pick.map(|at| (at, "the next contact may be picked"));
        let deadlines = [due, begins, ends, done, dial, pick].into_iter().flatten();
        deadlines.filter(|&(at, _)| at != WallTime::MAX).min()
    }

    fn advance(&mut self, now: WallTime, outside: &dyn Outside, out: &mut Vec<Command>) {
        self.pacing.on_clock(now);
        let is_over = self.plan.latest.is_some_and(|latest| latest <= now);
        let has_begun = self.plan.earliest.is_none_or(|earliest| earliest <= now);
        match self.book.phase() {
            Phase::Scheduled | Phase::Running | Phase::Paused if is_over => {
                self.close(Close::TooLate, out);
            }
            Phase::Scheduled if has_begun => self.keep(Fact::Began, out),
            Phase::Scheduled | Phase::Running | Phase::Paused | Phase::Ended(_) => {}
        }
        while let Some((at, contact)) = self.steps.first_due()
            && at <= now
        {
            self.on_due(now, contact, out);
        }
        // A campaign that was paused before it began may have been resumed before it begins, too.
        if self.book.phase() == Phase::Running && has_begun {
            self.dial_ready(now, outside, out);
            self.pick(now, outside, out);
        }
        let may_close = matches!(self.book.phase(), Phase::Running | Phase::Paused);
        if may_close && self.book.is_done() {
            self.close(Close::Done, out);
        }
    }

    /// A step took too long, or the carrier is to be asked.
    fn on_due(&mut self, now: WallTime, contact: ContactId, out: &mut Vec<Command>) {
        let Some(step) = self.steps.of(contact) else {
            return;
        };
        match step {
            Step::Predial => {
                self.steps.end(contact);
                self.keep(Fact::PredialFailed { contact }, out);
            }
            Step::Asking { .. } | Step::Ready { .. } | Step::Writing { .. } => {
                self.call_off(contact, out);
                self.pacing.on_refused(now);
            }
            Step::Dialling { attempt } => {
                self.steps.set(contact, Step::Unsure { attempt }, now + SETTLE);
            }
            Step::Live { attempt } | Step::Unsure { attempt } => {
                let standing = self.book.contact(contact).map(|it| it.standing);
                let (Some(Standing::Intended { at, line }) | Some(Standing::Placed { at, line })) =
                    standing
                else {
                    self.steps.end(contact);
                    return;
                };
                self.steps.set(contact, Step::Asked { attempt }, now + TRUTH_MAX);
                out.push(Command::AskCarrier { contact, attempt, line, since: at });
            }
            Step::Asked { attempt } => {
                self.steps.end(contact);
                self.keep(Fact::Unclear { contact, attempt }, out);
            }
        }
    }

    fn dial_ready(&mut self, now: WallTime, outside: &dyn Outside, out: &mut Vec<Command>) {
        while self.pacing.dial_at() <= now
            && let Some((contact, ask, line)) = self.steps.first_ready()
        {
            match self.admit(now, outside, contact) {
                Admission::Go => self.intend(now, contact, ask, line, out),
                // Its window closed while it waited for a slot, or somebody else called it.
                Admission::Later(at) => {
                    self.steps.end(contact);
                    out.push(Command::ReleaseSlot { ask });
                    self.line_up_at(contact, at);
                }
                Admission::Never(why) => {
                    self.steps.end(contact);
                    out.push(Command::ReleaseSlot { ask });
                    self.keep(Fact::Skipped { contact, why }, out);
                }
            }
        }
    }

    fn intend(
        &mut self,
        now: WallTime,
        contact: ContactId,
        ask: AskId,
        line: LineId,
        out: &mut Vec<Command>,
    ) {
        let Some(it) = self.book.contact(contact) else {
            return;
        };
        let attempt = Attempt(it.attempt.0.wrapping_add(1));
        let fact = Fact::Intended { contact, attempt, line, at: now };
        self.book.apply(&fact);
        self.steps.set(contact, Step::Writing { ask, attempt, line }, now + WRITE_MAX);
        self.pacing.on_dial(now);
        out.push(Command::KeepThenTell(fact));
    }

    fn pick(&mut self, now: WallTime, outside: &dyn Outside, out: &mut Vec<Command>) {
        self.has_more = false;
        for _ in 0..PICKS_MAX {
            if !self.has_room() || self.pacing.ask_at() > now {
                return;
            }
            let Some(contact) = self.line_up.take_next(now, &self.plan.calendar, outside) else {
                return;
            };
            let is_free = self.book.contact(contact).is_some_and(Contact::is_waiting);
            if !is_free || self.steps.of(contact).is_some() {
                continue;
            }
            match self.admit(now, outside, contact) {
                Admission::Go => {
                    self.pacing.on_ask(now);
                    if self.plan.has_predial {
                        self.steps.set(contact, Step::Predial, now + PREDIAL_MAX);
                        out.push(Command::Predial { contact });
                    } else {
                        self.request_slot(now, contact, out);
                    }
                }
                Admission::Later(at) => self.line_up_at(contact, at),
                Admission::Never(why) => self.keep(Fact::Skipped { contact, why }, out),
            }
        }
        self.has_more = true;
    }

    /// Whether another contact may be on its way to be dialled.
    fn has_room(&self) -> bool {
        self.steps.early() < self.pacing.asks_max()
            && self.steps.len() < self.plan.concurrency_max as usize
    }

    fn request_slot(&mut self, now: WallTime, contact: ContactId, out: &mut Vec<Command>) {
        let ask = AskId(self.next_ask);
        self.next_ask += 1;
        self.steps.set(contact, Step::Asking { ask }, now + SLOT_MAX);
        let lines = self.lines_for(contact);
        out.push(Command::RequestSlot { contact, ask, lines });
    }

    /// The lines of a contact's pool, whose turn it is first. Those who are on their way to be dialled
    /// have had their turns.
    fn lines_for(&mut self, contact: ContactId) -> Vec<LineId> {
        let pool = self.book.contact(contact).map_or(0, |it| it.pool);
        let lines = self.plan.pools.get(usize::from(pool)).map_or(&[][..], Vec::as_slice);
        let turn = self.turns.entry(pool).or_insert_with(|| self.book.turn(pool));
        let (last, first) = lines.split_at(*turn % lines.len().max(1));
        *turn = turn.wrapping_add(1);
        [first, last].concat()
    }

    fn on_predialled(
        &mut self,
        now: WallTime,
        contact: ContactId,
        verdict: Predial,
        out: &mut Vec<Command>,
    ) {
        if self.steps.of(contact) != Some(Step::Predial) {
            return;
        }
        match verdict {
            Predial::Eligible => self.request_slot(now, contact, out),
            Predial::NotEligible => {
                self.steps.end(contact);
                self.keep(Fact::Skipped { contact, why: Skip::NotEligible }, out);
            }
            Predial::Failed => {
                self.steps.end(contact);
                self.keep(Fact::PredialFailed { contact }, out);
            }
        }
    }

    fn on_barred(&mut self, number: NumberKey, out: &mut Vec<Command>) {
        let Some(contact) = self.book.with_number(number) else {
            return;
        };
        if self.steps.of(contact).is_some_and(Step::is_early) {
            self.call_off(contact, out);
        }
        // Who is being called is not called again: an attempt that ends asks the list.
        if self.book.contact(contact).is_some_and(Contact::is_waiting) {
            self.keep(Fact::Skipped { contact, why: Skip::DoNotCall }, out);
        }
    }

    fn on_intent_kept(
        &mut self,
        now: WallTime,
        outside: &dyn Outside,
        contact: ContactId,
        attempt: Attempt,
        out: &mut Vec<Command>,
    ) {
        let Some(Step::Writing { ask, attempt: own, line }) = self.steps.of(contact) else {
            return;
        };
        if own != attempt {
            return;
        }
        let number = self.book.contact(contact).map(|it| it.number);
        if number.is_some_and(|number| outside.is_barred(number)) {
            self.call_off(contact, out);
            self.keep(Fact::Skipped { contact, why: Skip::DoNotCall }, out);
        } else if self.plan.latest.is_some_and(|latest| latest <= now) {
            self.call_off(contact, out);
        } else {
            self.steps.set(contact, Step::Dialling { attempt }, now + DIAL_MAX);
            out.push(Command::Dial { contact, attempt, line, ask });
        }
    }

    fn on_truth(
        &mut self,
        now: WallTime,
        outside: &dyn Outside,
        contact: ContactId,
        attempt: Attempt,
        truth: Truth,
        out: &mut Vec<Command>,
    ) {
        let standing = self.book.contact(contact).map(|it| it.standing);
        let was_placed = matches!(standing, Some(Standing::Placed { .. }));
        match truth {
            Truth::NeverDialled if !was_placed => {
                self.keep(Fact::Revoked { contact, attempt }, out);
                self.put_back(contact);
            }
            // It took the call, and knows nothing of it.
            Truth::NeverDialled | Truth::Unknown => {
                self.steps.end(contact);
                self.keep(Fact::Unclear { contact, attempt }, out);
            }
            Truth::Live => self.go_live(now, contact, attempt, out),
            Truth::Over(outcome) => self.finish(now, outside, contact, attempt, outcome, out),
        }
    }

    fn go_live(
        &mut self,
        now: WallTime,
        contact: ContactId,
        attempt: Attempt,
        out: &mut Vec<Command>,
    ) {
        self.steps.set(contact, Step::Live { attempt }, now + LIVE_MAX);
        self.keep(Fact::Placed { contact, attempt }, out);
    }

    fn finish(
        &mut self,
        now: WallTime,
        outside: &dyn Outside,
        contact: ContactId,
        attempt: Attempt,
        outcome: Outcome,
        out: &mut Vec<Command>,
    ) {
        self.steps.end(contact);
        self.pacing.on_outcome(outcome);
        let retry_at = self.retry_at(now, outside, contact, outcome);
        self.keep(Fact::Finished { contact, attempt, outcome, retry_at }, out);
        if let Some(at) = retry_at {
            self.line_up_at(contact, at);
        }
    }

    fn close(&mut self, how: Close, out: &mut Vec<Command>) {
        self.halt(out);
        self.line_up.clear();
        self.keep(Fact::Closed { how }, out);
    }

    /// Calls off whatever the carrier has not been asked for.
    fn halt(&mut self, out: &mut Vec<Command>) {
        for contact in self.steps.all_early() {
            self.call_off(contact, out);
        }
    }

    /// Takes a contact back from its way to be dialled, to wait again.
    fn call_off(&mut self, contact: ContactId, out: &mut Vec<Command>) {
        match self.steps.of(contact) {
            Some(Step::Asking { ask }) => out.push(Command::WithdrawSlot { ask }),
            Some(Step::Ready { ask, .. }) => out.push(Command::ReleaseSlot { ask }),
            Some(Step::Writing { ask, attempt, .. }) => {
                self.keep(Fact::Revoked { contact, attempt }, out);
                out.push(Command::ReleaseSlot { ask });
            }
            Some(
                Step::Predial
                | Step::Dialling { .. }
                | Step::Live { .. }
                | Step::Unsure { .. }
                | Step::Asked { .. },
            )
            | None => {}
        }
        self.put_back(contact);
    }

    fn put_back(&mut self, contact: ContactId) {
        self.steps.end(contact);
        self.line_up_at(contact, WallTime::ZERO);
    }

    fn line_up_at(&mut self, contact: ContactId, at: WallTime) {
        if let Some(it) = self.book.contact(contact).filter(|it| it.is_waiting()) {
            self.line_up.insert(it.zone, contact, at);
        }
    }

    /// Whether the carrier was asked for this attempt, and its end is not known.
    fn is_out(&self, contact: ContactId, attempt: Attempt) -> bool {
        self.steps
            .of(contact)
            .is_some_and(|step| !step.is_early() && step.attempt() == Some(attempt))
    }

    /// What does not fit is not written down: a pause of a campaign that has ended, a call that was
    /// known to be placed.
    fn keep(&mut self, fact: Fact, out: &mut Vec<Command>) {
        if self.book.apply(&fact) {
            out.push(Command::Keep(fact));
        }
    }
}

#[cfg(test)]
mod tests;
