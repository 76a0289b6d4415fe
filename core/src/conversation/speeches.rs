//! The assistant's speeches: waiting, in play, and cut off.

use std::{collections::VecDeque, time::Duration};

use super::history::{Key, join};
use crate::{CallTime, EndedReason, SpeechId, SpeechSource, TimedWord, TurnId};

/// How long the voice has to say how much of a speech it cut was heard; then nobody waits for it.
pub(super) const CUT_ANSWER_DUE: Duration = Duration::from_millis(200);

/// What a voice may take for a speech besides saying it: failover, connecting, playout.
const SPEECH_GRACE: Duration = Duration::from_secs(15);

/// The slowest speech we believe in: a third of a usual 15 characters per second and more.
const SLOWEST_PER_CHAR: Duration = Duration::from_millis(150);

/// Messages that may wait to be spoken: half a minute of them at least.
const QUEUE_MAX: usize = 16;

/// Cut speeches whose answer is remembered as due.
const CUTS_MAX: usize = 16;

/// A message that will be spoken when its time has come.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Queued {
    pub id: SpeechId,
    pub text: String,
    pub interruptible: bool,
    /// Why the call ends after it was heard, if it does.
    pub then_end: Option<EndedReason>,
}

/// A speech that the voice was given.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Speech {
    pub id: SpeechId,
    pub turn: TurnId,
    /// Its place in the history.
    pub key: Key,
    pub source: SpeechSource,
    pub text: String,
    /// What was heard of it before it was stopped and resumed with the rest, `text`.
    pub before: String,
    pub interruptible: bool,
    pub then_end: Option<EndedReason>,
    /// All of its sound was there before: no voice is needed for it.
    pub is_kept: bool,
    pub began_at: Option<CallTime>,
    /// When that which was heard before began to sound.
    pub first_began_at: Option<CallTime>,
    /// When the voice had all of its text; `None` while more may come.
    pub finished_at: Option<CallTime>,
    /// Something was said before it in the same turn.
    pub follows: bool,
    /// Stretches of its words whose times are known and that were not told of; never more than it
    /// has words.
    pub timed: VecDeque<Vec<TimedWord>>,
    /// Words of it were told of with their times.
    pub is_captioned: bool,
    /// How much of its text was there when it was told of last.
    pub told_bytes: usize,
    /// Characters of `text` that the caller is known to have heard, white space apart.
    pub heard_chars: u32,
    /// When that was last told.
    pub heard_at: Option<CallTime>,
}

impl Speech {
    /// All of it, whether it was stopped in the middle or not.
    pub(super) fn whole_text(&self) -> String {
        join(&self.before, self.text.trim())
    }

    /// What of `text` the caller is known to have heard.
    pub(super) fn heard_so_far(&self) -> &str {
        let mut left = self.heard_chars;
        let end = self.text.char_indices().find_map(|(at, char)| {
            let is_heard = left > 0;
            left = left.saturating_sub(u32::from(!char.is_whitespace()));
            (!is_heard).then_some(at)
        });
        self.text[..end.unwrap_or(self.text.len())].trim_end()
    }

    /// When its first word began to sound.
    pub(super) fn first_began_at(&self) -> Option<CallTime> {
        self.first_began_at.or(self.began_at)
    }
}

/// A speech that was cut off, until the voice says how much of it was heard.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cut {
    pub speech: Speech,
    /// Until then the next reply waits for the answer.
    pub answer_due: CallTime,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Speeches {
    last_id: SpeechId,
    queue: VecDeque<Queued>,
    /// In the order of playing; only the last can be without its end.
    playing: Vec<Speech>,
    /// Since when the first of `playing` has been the first.
    first_since: CallTime,
    cuts: VecDeque<Cut>,
}

impl Speeches {
    pub(super) fn new_id(&mut self) -> SpeechId {
        self.last_id = self.last_id.next();
        self.last_id
    }

    /// Lets a message wait; returns whether there was room for it.
    pub(super) fn enqueue(&mut self, message: Queued) -> bool {
        let has_room = self.queue.len() < QUEUE_MAX;
        if has_room {
            self.queue.push_back(message);
        }
        has_room
    }

    pub(super) fn next_queued(&self) -> Option<&Queued> {
        self.queue.front()
    }

    pub(super) fn pop_queued(&mut self) -> Option<Queued> {
        self.queue.pop_front()
    }

    /// Drops the waiting messages that are not wanted any more.
    pub(super) fn drop_queued(&mut self, is_dropped: impl Fn(&Queued) -> bool) -> Vec<SpeechId> {
        let dropped = self.queue.iter().filter(|message| is_dropped(message)).map(|m| m.id);
        let dropped = dropped.collect();
        self.queue.retain(|message| !is_dropped(message));
        dropped
    }

    pub(super) fn play(&mut self, speech: Speech, now: CallTime) {
        if self.playing.is_empty() {
            self.first_since = now;
        }
        self.playing.push(speech);
    }

    /// Since when the first of them has been the first.
    pub(super) fn first_since(&self) -> Option<CallTime> {
        self.first().map(|_| self.first_since)
    }

    /// Has a speech play in front of those that have not begun.
    pub(super) fn play_first(&mut self, speech: Speech, now: CallTime) {
        let place = self.playing.iter().take_while(|it| it.began_at.is_some()).count();
        if place == 0 {
            self.first_since = now;
        }
        self.playing.insert(place, speech);
    }

    /// Why the call ends after one of them, where a client asked for that.
    pub(super) fn asked_end(&self) -> Option<EndedReason> {
        let playing = self.playing.iter().find_map(|speech| speech.then_end.clone());
        playing.or_else(|| self.queue.iter().find_map(|message| message.then_end.clone()))
    }

    pub(super) fn playing(&self) -> &[Speech] {
        &self.playing
    }

    pub(super) fn first(&self) -> Option<&Speech> {
        self.playing.first()
    }

    pub(super) fn get_mut(&mut self, id: SpeechId) -> Option<&mut Speech> {
        self.playing.iter_mut().find(|speech| speech.id == id)
    }

    /// The speech that more text may come for.
    pub(super) fn open(&self) -> Option<&Speech> {
        self.playing.last().filter(|speech| speech.finished_at.is_none())
    }

    /// Whether the caller can hear one of them.
    pub(super) fn is_audible(&self) -> bool {
        self.playing.iter().any(|speech| speech.began_at.is_some())
    }

    pub(super) fn remove(&mut self, id: SpeechId, now: CallTime) -> Option<Speech> {
        let index = self.playing.iter().position(|speech| speech.id == id)?;
        if index == 0 {
            self.first_since = now;
        }
        Some(self.playing.remove(index))
    }

    pub(super) fn remember_cut(&mut self, speech: Speech, answer_due: CallTime) {
        if self.cuts.len() == CUTS_MAX {
            self.cuts.pop_front();
        }
        self.cuts.push_back(Cut { speech, answer_due });
    }

    pub(super) fn cut_mut(&mut self, id: SpeechId) -> Option<&mut Speech> {
        self.cuts.iter_mut().map(|cut| &mut cut.speech).find(|speech| speech.id == id)
    }

    pub(super) fn take_cut(&mut self, id: SpeechId) -> Option<Speech> {
        let index = self.cuts.iter().position(|cut| cut.speech.id == id)?;
        self.cuts.remove(index).map(|cut| cut.speech)
    }

    /// Takes a speech whose answer will not come.
    pub(super) fn pop_cut(&mut self) -> Option<Speech> {
        self.cuts.pop_front().map(|cut| cut.speech)
    }

    /// Until when the answers that are due are worth waiting for.
    pub(super) fn cut_answers_due(&self) -> CallTime {
        self.cuts
            .iter()
            .filter(|cut| cut.speech.began_at.is_some())
            .map(|cut| cut.answer_due)
            .max()
            .unwrap_or(CallTime::ZERO)
    }

    /// When the first speech has taken so long that the voice must have lost it.
    ///
    /// A speech without its end is watched with the reply that it belongs to.
    pub(super) fn lost_at(&self) -> Option<CallTime> {
        let first = self.first()?;
        let from = first.finished_at?.max(self.first_since);
        Some(from + longest(&first.text))
    }
}

/// The longest that hearing `text` can take.
pub(super) fn longest(text: &str) -> Duration {
    let chars = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    SPEECH_GRACE.saturating_add(SLOWEST_PER_CHAR.saturating_mul(chars))
}
