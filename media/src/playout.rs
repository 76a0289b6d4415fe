//! What is queued to be heard on a leg, and what became of it.
//!
//! Assumptions:
//! - The leg plays what it was sent in order and without pause, from when it comes in.
//! - A leg with marks echoes each when what was sent before it was played, and all that are
//!   outstanding when it is cleared.
//! - Time is the time since the leg connected, and never runs backwards; a call with an earlier
//!   time than the last is taken as made at the last.

mod playhead;
mod speech;
mod tape;

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;

use self::{playhead::Playhead, speech::Speech, tape::Tape};
use crate::AudioFormat;

/// How a leg tells what was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// The carrier echoes a mark when it has played what was sent before it.
    Marks,
    /// Nobody tells: what was sent is heard in real time.
    Clock,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayoutOptions {
    /// How far what was sent may be ahead of what was heard: enough for a late wake-up of ours and
    /// for the way to the leg and back, little enough that an interruption cuts at once even where a
    /// leg cannot be cleared.
    pub lead: Duration,
    /// Audio that may wait to be sent: the longest reply that a voice may be ahead of the caller.
    pub capacity: Duration,
    /// What is sent at once; always whole.
    pub frame: Duration,
    /// Distance of marks: how exactly it is known what was heard when the way to the leg is slow.
    pub mark_every: Duration,
    pub hearing: Hearing,
    /// The leg can be told to drop what it has. One that cannot may play it all the same, unless its
    /// client does that by itself when it learns of an interruption.
    pub clears: bool,
}

impl Default for PlayoutOptions {
    fn default() -> Self {
        Self {
            lead: Duration::from_millis(600),
            capacity: Duration::from_secs(60),
            frame: Duration::from_millis(20),
            mark_every: Duration::from_millis(250),
            hearing: Hearing::Clock,
            clears: true,
        }
    }
}

/// What the transport shall do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlayoutAction {
    /// Send one whole frame.
    Send(Bytes),
    /// Have the leg echo this name when it has played what was sent so far.
    Mark(String),
    /// Have the leg drop what it was sent and has not played.
    Clear,
}

/// What happened to a speech; times are since the leg connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Its first sample was sent and nothing is left to be heard before it.
    Began { speech: u32, at: Duration },
    /// It was finished, and all of it was heard. Where nobody tells, that is certain once the leg
    /// gave a sign of life after the last of it was sent.
    Heard { speech: u32, at: Duration },
    /// The leg ran dry in the middle of it; said once a gap.
    Underrun { speech: u32, at: Duration },
}

/// What was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cleared {
    /// Samples of the speech that were heard before.
    pub heard_samples: u64,
    /// Part of it is with the leg; the next poll asks for it to be cleared.
    pub must_clear_leg: bool,
    /// The leg that it sounded on is gone: what was heard ends in the middle of a word.
    pub leg_was_lost: bool,
}

/// How many speeches may wait at once. Replies, fillers and `say`s come one after another; more
/// than this is a client that asks for them without end.
const SPEECHES_MAX: usize = 256;

/// Ended speeches that are remembered, so that late audio of one is refused and what was heard
/// of it can still be told. A voice is late by a few speeches at most.
const CLOSED_KEPT: usize = 256;

/// Silence between a word that broke off and what is said next, where the leg may play the word.
const PAUSE_FRAMES: usize = 3;

/// Room in the lead that is worth waking up for, unless less is left to send.
const REFILL: Duration = Duration::from_millis(60);

/// Speech queued for one leg, paced ahead of real time by a bounded lead.
///
/// After `queue`, `finish`, `clear` and `mark_played` the transport calls [`Playout::poll`] and
/// [`Playout::take_notices`], and again at [`Playout::next_due`].
pub struct Playout {
    format: AudioFormat,
    lead: u64,
    capacity: u64,
    frame: u64,
    refill: u64,
    mark_every: u64,
    hearing: Hearing,

    /// The latest time seen, in samples since the leg connected.
    tick: u64,
    playhead: Playhead,
    /// Open speeches in the order they are played.
    speeches: VecDeque<Speech>,
    /// Samples of all speeches that wait to be sent.
    queued: u64,
    /// Sent and not wholly heard, oldest first.
    frames: VecDeque<Frame>,
    /// Samples of the first of `frames` that were heard.
    front_heard: u64,
    closed: VecDeque<Closed>,
    clear_due: bool,
    /// Position of the last mark in what was sent.
    marked: u64,
    notices: Vec<Notice>,
    /// How many of them the last poll left; others came up in calls between.
    notices_polled: usize,
    tape: Tape,
}

struct Frame {
    speech: u32,
    audio: Bytes,
    /// Samples of the speech in it; silence fills the rest.
    voiced: u64,
}

struct Closed {
    speech: u32,
    heard: u64,
}

impl Playout {
    pub fn new(format: AudioFormat, options: PlayoutOptions) -> Self {
        let frame = format.samples_in(options.frame).max(1);
        let lead = format.samples_in(options.lead).max(frame);
        let refill = format.samples_in(REFILL).min(lead / 2).max(frame);
        Self {
            format,
            lead,
            capacity: format.samples_in(options.capacity),
            frame,
            refill,
            mark_every: format.samples_in(options.mark_every),
            hearing: options.hearing,
            tick: 0,
            playhead: Playhead::new(&options, format),
            speeches: VecDeque::new(),
            queued: 0,
            frames: VecDeque::new(),
            front_heard: 0,
            closed: VecDeque::new(),
            clear_due: false,
            marked: 0,
            notices: Vec::new(),
            notices_polled: 0,
            tape: Tape::new(format),
        }
    }

    pub fn format(&self) -> AudioFormat {
        self.format
    }

    /// How much more may be queued.
    pub fn room(&self) -> Duration {
        self.format.duration_of(self.capacity.saturating_sub(self.queued))
    }

    /// Appends whole samples to a speech. Refuses all of them when they do not fit, or when the
    /// speech was finished or cleared. Speeches are played in the order they were first named in.
    pub fn queue(&mut self, speech: u32, audio: Bytes) -> bool {
        let width = self.format.bytes_per_sample();
        debug_assert!(audio.len().is_multiple_of(width), "queued audio ends within a sample");
        let audio = audio.slice(..audio.len() - audio.len() % width);
        let samples = self.format.samples_in_bytes(audio.len());

        if samples > self.capacity.saturating_sub(self.queued) {
            return false;
        }
        match self.open(speech) {
            Some(speech) if !speech.finished => speech.append(audio, samples),
            Some(_) | None => return false,
        }
        self.queued += samples;
        true
    }

    /// Says that nothing more comes. [`Notice::Heard`] follows once all of it was heard; at the
    /// next poll for a speech without audio.
    pub fn finish(&mut self, speech: u32) {
        if let Some(speech) = self.open(speech) {
            speech.finished = true;
        }
    }

    /// Drops what waits to be sent of a speech behind this many of its samples, so that another voice
    /// goes on there. Returns how many it has then: more, where they were sent already.
    pub fn truncate(&mut self, speech: u32, samples: u64) -> u64 {
        let format = self.format;
        let Some(open) = self.speeches.iter_mut().find(|open| open.id == speech) else { return 0 };
        let before = open.unsent();
        let length = open.truncate(format, samples);
        self.queued -= before - open.unsent();
        length
    }

    /// Drops what is queued or sent of a speech and was not heard, and whatever comes for it later.
    /// Other speeches keep their place: what the leg loses of them with the clearing is sent again.
    ///
    /// Returns `None` for a speech that is unknown, cleared before, or wholly heard.
    pub fn clear(&mut self, now: Duration, speech: u32) -> Option<Cleared> {
        self.advance(now);
        let Some(index) = self.speeches.iter().position(|open| open.id == speech) else {
            if !self.closed.iter().any(|closed| closed.speech == speech) {
                self.close(speech, 0);
            }
            return None;
        };
        let must_clear_leg =
            self.unheard().any(|(frame, voiced)| frame.speech == speech && !voiced.is_empty());
        if must_clear_leg {
            self.take_back();
        }
        let leg_was_lost = self.speeches[index].is_orphaned;
        let heard_samples = match self.speeches.remove(index) {
            Some(removed) => {
                self.queued -= removed.unsent();
                removed.heard
            }
            None => 0,
        };
        self.close(speech, heard_samples);
        Some(Cleared { heard_samples, must_clear_leg, leg_was_lost })
    }

    /// The leg was known to live at `alive`: takes nothing for heard behind so much time after it,
    /// until told of a later sign of life. By then the leg may be dead, and what was sent to it lost.
    pub fn trust(&mut self, alive: Duration, time: Duration) {
        self.playhead.trust(self.format.samples_in(alive), self.format.samples_in(time));
    }

    /// The leg is gone, and was last known to live at `alive`: what was sent until then is played out
    /// by whoever has it (see [`Hearing`]), and nothing after it was heard. Nothing more is sent of the speeches at hand: each waits to be
    /// cleared, and whoever does that learns what was heard of it.
    pub fn lost(&mut self, now: Duration, alive: Duration) {
        self.advance(now);
        let alive = self.format.samples_in(alive);
        let played_out = self.playhead.played_out(self.tick, alive, self.lead);
        let (tick, heard) = (self.tick, self.playhead.heard());
        if let Some(mut doubtful) = heard.checked_sub(played_out) {
            for speech in self.speeches.iter_mut().rev() {
                let unheard = speech.heard.min(doubtful);
                speech.heard -= unheard;
                doubtful -= unheard;
            }
        } else {
            let left = self.playhead.move_to(played_out);
            self.note_heard(tick, left);
            self.settle(tick, heard);
        }
        self.take_back();
        self.playhead.handle_lost();
        self.speeches.iter_mut().for_each(|speech| speech.is_orphaned = true);
    }

    /// Begins at a later time than zero: nothing was sent before.
    pub fn begin_at(&mut self, now: Duration) {
        self.tick = self.format.samples_in(now);
        self.tape.begin_at(self.tick);
    }

    /// The speech that sounds, and how many samples of it will be heard if the leg is lost now.
    pub fn sounding(&self) -> Option<(u32, u64)> {
        let speech = self.speeches.front().filter(|speech| speech.began)?;
        let ahead = match self.hearing {
            Hearing::Marks => 0,
            Hearing::Clock => self
                .unheard()
                .filter(|(frame, _)| frame.speech == speech.id)
                .map(|(_, voiced)| self.samples(&voiced))
                .sum(),
        };
        Some((speech.id, speech.heard + ahead))
    }

    /// What to send at this time.
    pub fn poll(&mut self, now: Duration) -> Vec<PlayoutAction> {
        self.advance(now);
        let mut actions = Vec::new();
        if std::mem::take(&mut self.clear_due) {
            actions.push(PlayoutAction::Clear);
        }
        while self.playhead.ahead() + self.frame <= self.lead {
            let Some(index) = self.sendable() else { break };
            self.send_frame(index, &mut actions);
        }
        self.mark_last_end(&mut actions);
        self.settle(self.tick, self.playhead.heard());
        self.notices_polled = self.notices.len();
        actions
    }

    /// Takes note of a mark that the leg says it has reached. One that was sent before a clearing
    /// proves nothing, and is ignored like an unknown one.
    pub fn mark_played(&mut self, now: Duration, name: &str) {
        self.advance(now);
        self.playhead.handle_echo(self.tick, name);
        self.advance(now);
    }

    /// Whether whatever waits or sounds will be heard to its end without a voice.
    pub fn is_complete(&self) -> bool {
        self.speeches.iter().all(|speech| speech.finished)
    }

    /// When there is something to send or to tell again, unless somebody calls before; `None` when
    /// idle or waiting for a voice. Never before `now`.
    pub fn next_due(&self, now: Duration) -> Option<Duration> {
        let at_once =
            self.clear_due || self.notices.len() > self.notices_polled || self.has_ended();
        let due = match at_once {
            true => Some(self.tick),
            false => self.next_positions().filter_map(|at| self.playhead.due(at)).min(),
        };
        due.map(|tick| self.time_of(tick).max(now))
    }

    /// What happened since the last call, in order.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.notices_polled = 0;
        std::mem::take(&mut self.notices)
    }

    /// Samples of a speech that were heard by now; 0 for an unknown one, and for one that ended
    /// long ago.
    pub fn heard_samples(&self, now: Duration, speech: u32) -> u64 {
        if let Some(closed) = self.closed.iter().find(|closed| closed.speech == speech) {
            return closed.heard;
        }
        let Some(open) = self.speeches.iter().find(|open| open.id == speech) else { return 0 };
        let tick = self.tick.max(self.format.samples_in(now));
        let mut left = self.front_heard + self.playhead.position(tick) - self.playhead.heard();
        let mut heard = open.heard;
        for (index, frame) in self.frames.iter().enumerate() {
            if frame.speech == speech {
                let before = if index == 0 { self.front_heard } else { 0 };
                heard += left.min(frame.voiced).saturating_sub(before);
            }
            left = left.saturating_sub(self.samples(&frame.audio));
        }
        heard
    }

    /// What the caller heard since the last call, silence where nothing was played: exactly as many
    /// samples as the time has. What was cleared is not in it. Without a reader only the newest
    /// seconds are kept, and the rest is given as silence.
    pub fn played(&mut self, until: Duration) -> Bytes {
        self.advance(until);
        self.tape.read(self.format.samples_in(until))
    }

    /// The open speech of this number, made when it is new; none when it was closed or there are
    /// too many.
    fn open(&mut self, speech: u32) -> Option<&mut Speech> {
        match self.speeches.iter().position(|open| open.id == speech) {
            Some(index) => self.speeches.get_mut(index),
            None if self.closed.iter().any(|closed| closed.speech == speech)
                || self.speeches.len() >= SPEECHES_MAX =>
            {
                None
            }
            None => {
                self.speeches.push_back(Speech::new(speech));
                self.speeches.back_mut()
            }
        }
    }

    fn close(&mut self, speech: u32, heard: u64) {
        if self.closed.len() == CLOSED_KEPT {
            self.closed.pop_front();
        }
        self.closed.push_back(Closed { speech, heard });
    }

    /// The speech that the next frame is of.
    fn sendable(&self) -> Option<usize> {
        let index = self.speeches.iter().position(|speech| !speech.is_drained())?;
        (self.speeches.get(index)?.sendable(self.frame) > 0).then_some(index)
    }

    fn send_frame(&mut self, index: usize, actions: &mut Vec<PlayoutAction>) {
        let Some(speech) = self.speeches.get_mut(index) else { return };
        let first_of_run = self.playhead.ahead() == 0;
        let pause = self.frame * PAUSE_FRAMES as u64;
        if first_of_run && self.playhead.start(self.tick, pause) {
            let silence = PlayoutAction::Send(self.format.silence(self.frame));
            actions.extend(std::iter::repeat_n(silence, PAUSE_FRAMES));
        }
        let (audio, voiced) = speech.take_frame(self.format, self.frame, self.playhead.sent());
        let id = speech.id;
        let is_last = speech.is_drained();
        self.queued -= voiced;
        self.playhead.handle_sent(self.frame);
        self.frames.push_back(Frame { speech: id, audio: audio.clone(), voiced });
        actions.push(PlayoutAction::Send(audio));
        if first_of_run || is_last || self.playhead.sent() - self.marked >= self.mark_every {
            self.mark(actions);
        }
    }

    /// Marks the end of a speech that was finished only after its last frame was sent.
    fn mark_last_end(&mut self, actions: &mut Vec<PlayoutAction>) {
        if self.marked == self.playhead.sent() {
            return;
        }
        let Some(last) = self.frames.back().map(|frame| frame.speech) else { return };
        let open = self.speeches.iter().find(|speech| speech.id == last);
        if open.is_some_and(Speech::is_drained) {
            self.mark(actions);
        }
    }

    fn mark(&mut self, actions: &mut Vec<PlayoutAction>) {
        match self.hearing {
            Hearing::Marks => {
                self.marked = self.playhead.sent();
                actions.push(PlayoutAction::Mark(self.playhead.mark(self.tick)));
            }
            Hearing::Clock => {}
        }
    }

    /// Moves what was heard up to this time.
    fn advance(&mut self, now: Duration) {
        let (tick, heard) = (self.tick, self.playhead.heard());
        self.tick = tick.max(self.format.samples_in(now));
        let left = self.playhead.advance(self.tick);
        self.note_heard(tick, left);
        self.settle(tick, heard);
    }

    /// Counts the next samples of what was sent as heard, from a time on.
    fn note_heard(&mut self, tick: u64, mut left: u64) {
        let mut at = tick;
        while left > 0
            && let Some(frame) = self.frames.front()
        {
            let samples = self.samples(&frame.audio);
            let (begin, end) = (self.front_heard, samples.min(self.front_heard + left));
            let width = self.format.bytes_per_sample();
            self.tape.push(at, &frame.audio[begin as usize * width..end as usize * width]);
            if let Some(speech) = self.speeches.iter_mut().find(|open| open.id == frame.speech) {
                speech.heard += end.min(frame.voiced).saturating_sub(begin);
            }
            at += end - begin;
            left -= end - begin;
            self.front_heard = end;
            if end == samples {
                self.frames.pop_front();
                self.front_heard = 0;
            }
        }
    }

    /// Tells what became of the speeches while the playhead moved on from a position at a time.
    fn settle(&mut self, from_tick: u64, from: u64) {
        let heard = self.playhead.heard();
        let tick_of = |position: u64| match position.checked_sub(from) {
            Some(passed @ 1..) => self.tick.min(from_tick + passed),
            Some(0) | None => self.tick,
        };
        let certain = self.certain();
        let mut ended = Vec::new();
        for speech in &mut self.speeches {
            if let Some(begin) = speech.begin.filter(|&begin| begin <= heard && !speech.began) {
                speech.began = true;
                let at = self.format.duration_of(tick_of(begin));
                self.notices.push(Notice::Began { speech: speech.id, at });
            }
            if speech.is_over(certain) {
                let at = self.format.duration_of(tick_of(speech.end));
                self.notices.push(Notice::Heard { speech: speech.id, at });
                ended.push((speech.id, speech.heard));
            } else if speech.is_heard() {
                // What comes after it is told after it.
                break;
            }
        }
        self.speeches.retain(|speech| ended.iter().all(|(id, _)| *id != speech.id));
        if let Some(speech) = self.speeches.front_mut()
            && self.playhead.ahead() == 0
            && speech.runs_dry()
        {
            let at = tick_of(heard);
            if at < self.tick || speech.sendable(self.frame) == 0 {
                speech.in_gap = true;
                let at = self.format.duration_of(at);
                self.notices.push(Notice::Underrun { speech: speech.id, at });
            }
        }
        for (speech, heard) in ended {
            self.close(speech, heard);
        }
    }

    /// Whether the end of a speech is to be told.
    fn has_ended(&self) -> bool {
        let certain = self.certain();
        let told = self.speeches.iter().find(|speech| speech.is_heard());
        told.is_some_and(|speech| speech.is_over(certain))
    }

    fn certain(&self) -> u64 {
        self.playhead.certain(self.lead)
    }

    /// Takes back all that the leg has not played, to be sent again in order.
    fn take_back(&mut self) {
        let back: Vec<(u32, Bytes)> =
            self.unheard().map(|(frame, voiced)| (frame.speech, voiced)).collect();
        for (speech, audio) in back.into_iter().rev().filter(|(_, audio)| !audio.is_empty()) {
            let samples = self.samples(&audio);
            if let Some(speech) = self.speeches.iter_mut().find(|open| open.id == speech) {
                speech.take_back(audio, samples);
                self.queued += samples;
            }
        }
        self.frames.clear();
        self.front_heard = 0;
        self.playhead.handle_clear();
        self.marked = self.playhead.sent();
        self.clear_due = true;
    }

    /// The frames with the leg and what was not heard of the speech in them.
    fn unheard(&self) -> impl Iterator<Item = (&Frame, Bytes)> {
        let width = self.format.bytes_per_sample();
        self.frames.iter().enumerate().map(move |(index, frame)| {
            let heard = if index == 0 { self.front_heard.min(frame.voiced) } else { 0 };
            let voiced = heard as usize * width..frame.voiced as usize * width;
            (frame, frame.audio.slice(voiced))
        })
    }

    /// Positions at which there is something to send or to tell.
    fn next_positions(&self) -> impl Iterator<Item = u64> {
        let mut to_send = 0;
        for speech in &self.speeches {
            to_send += speech.sendable(self.frame);
            if !speech.finished || to_send >= self.refill {
                break;
            }
        }
        let chunk = to_send.min(self.refill);
        let send = (chunk > 0).then(|| {
            (self.playhead.sent() + chunk).saturating_sub(self.lead).max(self.playhead.heard())
        });
        let begin = self.speeches.iter().find(|speech| !speech.began).and_then(|s| s.begin);
        let end = self.speeches.iter().find(|speech| speech.is_drained());
        // One that waits for a sign of life is told with that.
        let end = end.filter(|speech| !speech.is_heard()).map(|speech| speech.end);
        let dry = self.speeches.front().filter(|s| s.runs_dry()).map(|_| self.playhead.sent());
        [send, begin, end, dry].into_iter().flatten()
    }

    fn samples(&self, audio: &Bytes) -> u64 {
        self.format.samples_in_bytes(audio.len())
    }

    /// The first time, to the microsecond, that is not before a tick.
    fn time_of(&self, tick: u64) -> Duration {
        let time = self.format.duration_of(tick);
        if self.format.samples_in(time) < tick { time + Duration::from_micros(1) } else { time }
    }
}

#[cfg(test)]
mod tests;
