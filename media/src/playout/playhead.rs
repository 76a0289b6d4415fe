use std::{collections::VecDeque, time::Duration};

use super::{Hearing, PlayoutOptions};
use crate::AudioFormat;

/// How long after its time a mark may be echoed before the leg is taken for one that lost it. Longer
/// than the way to any carrier and back, shorter than what a caller takes for a dead line. Without
/// echoes the clock counts, until one comes again.
const MARK_PATIENCE: Duration = Duration::from_secs(1);

/// What was sent for so long before the last sign of a leg that has fallen silent may not have come to
/// it: a way there and back, over a slow network.
const UNDER_WAY: Duration = Duration::from_millis(200);

/// Outstanding marks that are remembered. A lead of 600 ms has three or four; a leg that never
/// echoes must not grow the list.
const MARKS_MAX: usize = 64;

/// Where the caller's ear is in what was sent. Positions and times are in samples.
///
/// What was sent while nothing was left to hear begins a run. In a run nothing is heard faster
/// than real time. With marks it is also not heard before the first echo, not faster than real time
/// since the last echo, and not up to a mark that is still outstanding.
pub(super) struct Playhead {
    hearing: Hearing,
    clears: bool,
    patience: u64,
    under_way: u64,
    sent: u64,
    heard: u64,
    run: Run,
    /// Oldest first.
    outstanding: VecDeque<Mark>,
    marks: u64,
    /// Marks come back.
    trusting: bool,
    alive: Option<Alive>,
    /// Until then a leg that cannot be cleared may play what was taken back.
    busy_until: u64,
}

struct Run {
    position: u64,
    tick: u64,
    /// The last mark of this run that was echoed: its position, and when.
    proof: Option<(u64, u64)>,
}

/// The last sign of the leg's life.
struct Alive {
    at: u64,
    /// Nothing is taken for heard behind this time.
    until: u64,
    /// What was sent and heard then.
    sent: u64,
    heard: u64,
}

struct Mark {
    name: String,
    position: u64,
    sent_at: u64,
}

impl Playhead {
    pub(super) fn new(options: &PlayoutOptions, format: AudioFormat) -> Self {
        Self {
            hearing: options.hearing,
            clears: options.clears,
            patience: format.samples_in(MARK_PATIENCE),
            under_way: format.samples_in(UNDER_WAY),
            sent: 0,
            heard: 0,
            run: Run { position: 0, tick: 0, proof: None },
            outstanding: VecDeque::new(),
            marks: 0,
            trusting: true,
            alive: None,
            busy_until: 0,
        }
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) fn heard(&self) -> u64 {
        self.heard
    }

    /// Sent and not heard.
    pub(super) fn ahead(&self) -> u64 {
        self.sent - self.heard
    }

    /// Begins a run: something will be sent, and all before it was heard, or taken back. Returns
    /// whether the leg may still play some of that: then a pause has to be sent first.
    pub(super) fn start(&mut self, tick: u64, pause: u64) -> bool {
        let is_busy = tick < self.busy_until;
        let tick = if is_busy { self.busy_until + pause } else { tick };
        self.run = Run { position: self.sent, tick, proof: None };
        is_busy
    }

    pub(super) fn handle_sent(&mut self, samples: u64) {
        self.sent += samples;
    }

    /// Takes nothing for heard so long after a sign of life, until told of another: the leg may be
    /// dead.
    pub(super) fn trust(&mut self, at: u64, time: u64) {
        if self.alive.as_ref().is_none_or(|alive| alive.at < at) {
            let (sent, heard) = (self.sent, self.heard);
            self.alive = Some(Alive { at, until: at + time, sent, heard });
        }
    }

    /// How far it will be heard when the leg is lost at a time, and nothing that was sent after its
    /// last sign of life has come to it. A client plays what it has. A carrier drops what it has not
    /// played when its stream ends, and plays it when its stream has only fallen silent.
    pub(super) fn played_out(&self, tick: u64, alive: u64, lead: u64) -> u64 {
        let clock = self.run.position + alive.saturating_sub(self.run.tick);
        match (self.hearing, &self.alive) {
            (Hearing::Clock, _) => self.sent.min(self.sent_by(alive, lead)),
            (Hearing::Marks, Some(last)) if tick > last.until => {
                last.sent.saturating_sub(self.under_way).max(last.heard)
            }
            (Hearing::Marks, Some(last)) => self.heard.min(last.heard),
            (Hearing::Marks, None) if self.trusting => self.heard,
            (Hearing::Marks, None) => self.heard.min(clock),
        }
    }

    /// Up to where what was taken for heard is so whatever becomes of the leg: it was sent before
    /// the last sign of life. Marks say it themselves.
    pub(super) fn certain(&self, lead: u64) -> u64 {
        match (self.hearing, &self.alive) {
            (Hearing::Clock, Some(last)) => self.sent_by(last.at, lead),
            (Hearing::Clock, None) | (Hearing::Marks, _) => self.heard,
        }
    }

    /// How far may have been sent at a time. What was played before this run was sent earlier yet.
    fn sent_by(&self, tick: u64, lead: u64) -> u64 {
        (self.run.position + tick + lead).saturating_sub(self.run.tick)
    }

    /// Moves on to a position, whatever the time. Returns by how many samples.
    pub(super) fn move_to(&mut self, position: u64) -> u64 {
        let before = self.heard;
        self.heard = position.clamp(before, self.sent);
        self.heard - before
    }

    /// Drops what was not heard; marks sent before prove nothing.
    pub(super) fn handle_clear(&mut self) {
        if !self.clears {
            self.busy_until = self.run.tick + (self.sent - self.run.position);
        }
        self.sent = self.heard;
        self.outstanding.clear();
    }

    /// What is sent from here on goes to another leg.
    pub(super) fn handle_lost(&mut self) {
        self.busy_until = 0;
    }

    /// Names a mark behind what was sent.
    pub(super) fn mark(&mut self, tick: u64) -> String {
        self.marks += 1;
        let name = format!("m{}", self.marks);
        if self.outstanding.len() == MARKS_MAX {
            self.outstanding.pop_front();
        }
        let mark = Mark { name: name.clone(), position: self.sent, sent_at: tick };
        self.outstanding.push_back(mark);
        name
    }

    pub(super) fn handle_echo(&mut self, tick: u64, name: &str) {
        let Some(index) = self.outstanding.iter().position(|mark| mark.name == name) else {
            return;
        };
        // An echo lost on the way does not matter: this one lies behind it.
        if let Some(mark) = self.outstanding.drain(..=index).next_back()
            && mark.position > self.run.position
        {
            self.run.proof = Some((mark.position, tick));
        }
        self.trusting = true;
    }

    /// Moves on to a time. Returns by how many samples.
    pub(super) fn advance(&mut self, tick: u64) -> u64 {
        let before = self.heard;
        self.heard = self.position(tick);
        self.trusting = self.trusts(tick);
        self.heard - before
    }

    /// The position at a time, if no echo comes before.
    pub(super) fn position(&self, tick: u64) -> u64 {
        let trusts = self.trusts(tick);
        let tick = self.alive.as_ref().map_or(tick, |alive| tick.min(alive.until));
        let clock = self.run.position + tick.saturating_sub(self.run.tick);
        let position = match self.hearing {
            Hearing::Marks if trusts => clock.min(self.proven(tick)),
            Hearing::Marks | Hearing::Clock => clock,
        };
        position.min(self.sent).max(self.heard)
    }

    /// When a position will be reached, if no echo comes before; `None` when it was not sent.
    pub(super) fn due(&self, position: u64) -> Option<u64> {
        if position > self.sent {
            return None;
        }
        let clock = self.run.tick + position.saturating_sub(self.run.position);
        if position <= self.heard {
            return Some(self.run.tick);
        }
        match self.hearing {
            Hearing::Marks if self.trusting => {
                let is_open = self.outstanding.front().is_none_or(|mark| position < mark.position);
                match self.run.proof {
                    Some((proven, at)) if is_open => {
                        Some(clock.max(at + position.saturating_sub(proven)))
                    }
                    Some(_) | None => {
                        self.outstanding.front().map(|mark| clock.max(self.deadline(mark)))
                    }
                }
            }
            Hearing::Marks | Hearing::Clock => Some(clock),
        }
    }

    fn proven(&self, tick: u64) -> u64 {
        let Some((position, at)) = self.run.proof else { return self.run.position };
        let clock = position + tick.saturating_sub(at);
        match self.outstanding.front() {
            Some(mark) => clock.min(mark.position.saturating_sub(1)),
            None => clock,
        }
    }

    /// Whether marks come back. A leg that may be dead brings none, and says nothing by that.
    fn trusts(&self, tick: u64) -> bool {
        let tick = self.alive.as_ref().map_or(tick, |alive| tick.min(alive.at));
        self.trusting && self.outstanding.front().is_none_or(|mark| tick < self.deadline(mark))
    }

    /// When a mark is given up: some time after it should have been played.
    fn deadline(&self, mark: &Mark) -> u64 {
        let (position, tick) = self.run.proof.unwrap_or((self.run.position, self.run.tick));
        let played = tick + mark.position.saturating_sub(position);
        played.max(mark.sent_at) + self.patience
    }
}
