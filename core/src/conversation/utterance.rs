//! What the caller is saying: everything since the last turn was taken from them.

use std::time::Duration;

use super::{
    history::{Key, join},
    phrases,
};
use crate::{CallTime, StartSpeaking};

/// How long after the end of speech its words may take to arrive; then it was a noise.
///
/// Replacing a silent transcriber takes up to 1.5 s, and replaying the audio to the next one a
/// little longer.
const WORDS_DUE: Duration = Duration::from_millis(2_500);

/// How long the first words of another breath may take to arrive; then it was a noise, and the turn
/// is over with the words before it.
///
/// Streaming transcribers have a partial within 300 ms of the sound, and under load within twice
/// that.
const BREATH_WORDS_DUE: Duration = Duration::from_millis(800);

/// How long after its beginning a word is known, which has to be waited for where only words tell
/// whether the caller goes on.
const WORD_DUE: Duration = Duration::from_millis(400);

/// How long the turn waits for a final when it is over and there is only a partial.
///
/// Streaming transcribers finalise within 300 ms of silence; longer would be heard as hesitation.
const FINAL_DUE: Duration = Duration::from_millis(300);

/// Voice that brings no more words for this long is a noise in the background: the turn is over.
const VOICE_WITHOUT_MORE_WORDS: Duration = Duration::from_secs(5);

/// The same after a pause in the words, where the transcriber is one that tells of words as they come:
/// longer than one that has fallen silent goes unnoticed.
const VOICE_AFTER_PAUSE: Duration = Duration::from_secs(2);

/// How long after the text of the last words, which itself comes after them, the caller's voice may
/// still sound.
const VOICE_AFTER_WORDS: Duration = Duration::from_millis(500);

/// Voice that has brought no word at all for this long is a noise.
///
/// Longer than it takes to replace a transcriber and replay to it.
const VOICE_WITHOUT_WORDS: Duration = Duration::from_secs(15);

/// How long a server that was asked may take before our own estimate counts.
///
/// It is asked while the caller still speaks; a pause longer than this would be its doing.
const SERVER_DUE: Duration = Duration::from_millis(500);

/// How long after the end of speech the end of turn of a transcriber that has its own may take to
/// come.
///
/// Flux takes about 300 ms where it is sure and five seconds where it never gets sure; half of
/// that is what a caller takes for a dead line.
const NATIVE_DUE: Duration = Duration::from_millis(2_500);

/// Transcribers that are in order send something at least this often while the caller speaks.
const WITHOUT_NEWS: Duration = Duration::from_secs(1);

/// How long a turn waits for the words of a transcriber that is being replaced: a provider that
/// refuses for some seconds, and the replay to it. Longer, and the caller asks who is there.
const REPLACED_DUE: Duration = Duration::from_secs(6);

/// How long after words of a replay the next ones may take to come, unless the transcriber has caught
/// up: it goes through a pause in the speech at about the pace of the speech.
const REPLAYED_DUE: Duration = Duration::from_millis(2_500);

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Utterance {
    finals: String,
    partial: String,
    voice: Voice,
    /// Speech was noticed since the utterance was empty.
    voiced: bool,
    began_at: Option<CallTime>,
    text_at: Option<CallTime>,
    end_of_turn_at: Option<CallTime>,
    /// The turn is over but for the final text, which is awaited until then.
    final_due: Option<CallTime>,
    patience: Patience,
    server: Option<Asked>,
    suspicion: Suspicion,
    /// The transcriber judges ends of turns, and this partial has not had its judgement.
    awaits_native: bool,
    /// The transcriber has heard no word for a while.
    words_paused: bool,
    /// It told so while a voice sounded: there are others on the line.
    is_noisy: bool,
    /// Words of it were lost with a transcriber, whose successor is given the audio again.
    lost_at: Option<CallTime>,
    /// A transcriber is at work on audio of a while ago, which another one lost.
    is_behind: bool,
    /// A question whose answer was given up because the caller went on.
    pub unanswered: Option<Key>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Voice {
    #[default]
    Silent,
    Speaking {
        since: CallTime,
        /// The turn was taken while it sounded: it is no news.
        stale: bool,
    },
    Stopped {
        since: CallTime,
        at: CallTime,
    },
}

/// How long a silence must be before an utterance is over.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Patience {
    pub silence: Duration,
    /// A rule of the document says so, and nobody else is heard.
    pub by_rule: bool,
    /// The silence from which on the turn is likely over, where that is shorter.
    pub likely_after: Option<Duration>,
}

/// A server was asked how long to wait after the words heard so far.
#[derive(Clone, Debug, PartialEq)]
struct Asked {
    request: u32,
    at: CallTime,
    answer: Option<Duration>,
}

/// What the transcriber thinks of the last partial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Suspicion {
    #[default]
    None,
    /// It may be all.
    Over,
    /// It is not.
    GoesOn,
}

/// What is waited for before the utterance is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Silence.
    Silence,
    /// The final text of what there is as a partial.
    Final,
    /// Any word.
    Words,
}

/// An utterance that is over.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spoken {
    pub finals: String,
    /// Words behind the finals that have no final text yet.
    pub partial: String,
    pub began: CallTime,
    pub until: CallTime,
}

impl Spoken {
    pub(super) fn text(&self) -> String {
        join(&self.finals, &self.partial)
    }
}

impl Utterance {
    /// Returns whether that is news.
    pub(super) fn voice_started(&mut self, at: CallTime) -> bool {
        if matches!(self.voice, Voice::Speaking { stale: false, .. }) {
            return false;
        }
        let was_silent = !matches!(self.voice, Voice::Speaking { .. });
        self.voice = Voice::Speaking { since: at, stale: false };
        self.voiced = true;
        self.began_at.get_or_insert(at);
        self.end_of_turn_at = None;
        self.final_due = None;
        if self.is_behind {
            self.lost_at.get_or_insert(at);
        }
        was_silent
    }

    /// Returns whether that is news.
    pub(super) fn voice_stopped(&mut self, at: CallTime) -> bool {
        match self.voice {
            Voice::Speaking { since, stale: false } => {
                self.voice = Voice::Stopped { since, at: at.max(since) };
                true
            }
            Voice::Speaking { stale: true, .. } => {
                self.voice = Voice::Silent;
                true
            }
            Voice::Silent | Voice::Stopped { .. } => false,
        }
    }

    /// Takes a transcript's text; empty text takes back the partial before it.
    pub(super) fn hear(&mut self, text: &str, is_final: bool, now: CallTime) {
        let text = text.trim();
        let before = self.text();
        self.final_due = None;
        if is_final {
            self.finals = join(&self.finals, text);
            self.partial.clear();
        } else {
            if text != self.partial {
                self.end_of_turn_at = None;
            }
            self.partial = text.into();
        }
        if !phrases::are_same(&before, &self.text()) {
            self.suspicion = Suspicion::None;
            self.server = None;
            self.words_paused = false;
        }
        if !self.has_words() {
            self.text_at = None;
            return;
        }
        if !text.is_empty() {
            self.began_at.get_or_insert(now);
            self.text_at = Some(now);
        }
    }

    /// Judges what was heard so far; `awaits_native`: the transcriber will say when it is over.
    pub(super) fn judge(&mut self, patience: Patience, awaits_native: bool) {
        self.patience = patience;
        self.awaits_native = awaits_native && self.has_partial();
    }

    pub(super) fn end_of_turn(&mut self, now: CallTime) {
        self.end_of_turn_at = Some(now);
    }

    /// No word has come for a while: where a voice still sounds, it is somebody else's.
    pub(super) fn words_paused(&mut self) {
        self.words_paused = self.has_words();
        self.is_noisy |= self.words_paused && self.speaking_since().is_some();
    }

    /// Whether a voice went on long after the last words, so that it cannot be the caller's alone.
    pub(super) fn voice_outlasts_words(&self) -> bool {
        let is_late = |at: CallTime| self.text_at.is_some_and(|text| at > text + VOICE_AFTER_WORDS);
        self.is_noisy || self.silent_since().is_some_and(is_late)
    }

    /// The transcriber was lost: if something was said, more of it is to come.
    pub(super) fn transcriber_lost(&mut self, now: CallTime) {
        self.is_behind = true;
        let is_heard = match self.voice {
            Voice::Speaking { stale: false, .. } => true,
            Voice::Stopped { at, .. } => {
                self.has_partial() || self.text_at.is_none_or(|text_at| text_at < at)
            }
            Voice::Silent | Voice::Speaking { stale: true, .. } => self.has_partial(),
        };
        if is_heard {
            self.lost_at = Some(now);
        }
    }

    /// Words before it were lost as well, and are on their way again.
    pub(super) fn await_replay(&mut self, now: CallTime) {
        self.lost_at = Some(now);
    }

    /// What the transcriber tells from here on is as fresh as ever.
    pub(super) fn transcriber_caught_up(&mut self) {
        (self.is_behind, self.lost_at) = (false, None);
    }

    /// Whether the transcriber was lost, and words of the next one are awaited.
    pub(super) fn is_lost(&self) -> bool {
        self.lost_at.is_some()
    }

    /// Whether words that come now were spoken a while ago, and nothing since.
    pub(super) fn is_replayed(&self) -> bool {
        self.is_behind && !self.was_voiced()
    }

    pub(super) fn had_end_of_turn(&self) -> bool {
        self.end_of_turn_at.is_some()
    }

    pub(super) fn suspect_end(&mut self) {
        self.suspicion = Suspicion::Over;
    }

    pub(super) fn resumed(&mut self) {
        self.suspicion = Suspicion::GoesOn;
        self.end_of_turn_at = None;
    }

    /// Whether a server shall be asked about these words and was not.
    pub(super) fn wants_server(&self) -> bool {
        self.has_words() && !self.patience.by_rule && self.server.is_none()
    }

    pub(super) fn server_asked(&mut self, request: u32, now: CallTime) {
        self.server = Some(Asked { request, at: now, answer: None });
    }

    /// Takes the server's answer, unless it is about other words.
    pub(super) fn server_answered(&mut self, request: u32, timeout: Duration) {
        if let Some(asked) = &mut self.server
            && asked.request == request
        {
            asked.answer = Some(timeout);
        }
    }

    pub(super) fn has_words(&self) -> bool {
        !self.finals.is_empty() || !self.partial.is_empty()
    }

    /// What is not final of it yet.
    pub(super) fn partial(&self) -> &str {
        &self.partial
    }

    pub(super) fn has_partial(&self) -> bool {
        !self.partial.is_empty()
    }

    pub(super) fn text(&self) -> String {
        join(&self.finals, &self.partial)
    }

    /// Whether speech was noticed since the last turn was taken.
    pub(super) fn was_voiced(&self) -> bool {
        self.voiced
    }

    /// When the voice of this utterance was first noticed, if it was.
    pub(super) fn voiced_since(&self) -> Option<CallTime> {
        self.began_at.filter(|_| self.voiced)
    }

    /// Since when the caller has been speaking without a pause, if they are.
    pub(super) fn speaking_since(&self) -> Option<CallTime> {
        match self.voice {
            Voice::Speaking { since, stale: false } => Some(since),
            Voice::Speaking { stale: true, .. } | Voice::Silent | Voice::Stopped { .. } => None,
        }
    }

    /// Since when the caller has been silent after they spoke.
    pub(super) fn silent_since(&self) -> Option<CallTime> {
        match self.voice {
            Voice::Stopped { at, .. } => Some(at),
            Voice::Speaking { .. } | Voice::Silent => None,
        }
    }

    /// The voice that sounds, or sounded last, was none: it is no news any more.
    pub(super) fn ignore_voice(&mut self) {
        self.voice = match self.voice {
            Voice::Speaking { since, .. } => Voice::Speaking { since, stale: true },
            Voice::Silent | Voice::Stopped { .. } => Voice::Silent,
        };
    }

    /// When the utterance is over and what is waited for until then; `None`: there is none.
    pub(super) fn wait(&self, plan: &StartSpeaking) -> Option<(CallTime, Wait)> {
        let (due, wait) = self.wait_for_transcriber_in_order(plan)?;
        let Some(lost) = self.lost_at else { return Some((due, wait)) };
        let replayed = self.text_at.filter(|at| *at > lost);
        let due = due.max(replayed.map_or(lost + REPLACED_DUE, |at| at + REPLAYED_DUE));
        Some((due, wait))
    }

    fn wait_for_transcriber_in_order(&self, plan: &StartSpeaking) -> Option<(CallTime, Wait)> {
        if let Some(due) = self.final_due {
            return Some((due, Wait::Final));
        }
        let Some(text_at) = self.text_at else {
            return match self.voice {
                Voice::Speaking { since, stale: false } => {
                    Some((since + VOICE_WITHOUT_WORDS, Wait::Words))
                }
                Voice::Stopped { at, .. } => Some((at + WORDS_DUE, Wait::Words)),
                Voice::Silent | Voice::Speaking { stale: true, .. } => {
                    self.unanswered.map(|_| (CallTime::ZERO, Wait::Words))
                }
            };
        };
        let end_of_turn =
            self.end_of_turn_at.filter(|_| plan.native_end_of_turn && !self.patience.by_rule);
        let (end_of_speech, silence) = match (self.voice, end_of_turn) {
            (Voice::Speaking { stale: false, .. }, Some(end_of_turn)) => (end_of_turn, plan.wait),
            // Only words tell whether the caller goes on.
            (Voice::Speaking { stale: false, .. } | Voice::Stopped { .. }, None)
                if self.is_noisy && self.words_paused =>
            {
                (text_at, self.silence(plan) + WORD_DUE)
            }
            (Voice::Speaking { since, stale: false }, None) if self.words_paused => {
                (text_at.max(since), VOICE_AFTER_PAUSE)
            }
            (Voice::Speaking { since, stale: false }, None) => {
                (text_at.max(since), VOICE_WITHOUT_MORE_WORDS)
            }
            (Voice::Stopped { at, .. }, Some(_)) => (at, plan.wait),
            (Voice::Silent | Voice::Speaking { stale: true, .. }, Some(_)) => (text_at, plan.wait),
            // The words of the last breath are still to come.
            (Voice::Stopped { since, at }, None) if text_at < since => {
                (at, self.silence(plan).max(BREATH_WORDS_DUE))
            }
            // They spoke on for long, and the transcriber had nothing to say to it.
            (Voice::Stopped { at, .. }, None)
                if self.has_partial() && text_at + WITHOUT_NEWS < at =>
            {
                (at, self.silence(plan).max(WORDS_DUE))
            }
            (Voice::Stopped { at, .. }, None) => (at, self.silence(plan)),
            (Voice::Silent | Voice::Speaking { stale: true, .. }, None) => {
                (text_at, self.silence(plan))
            }
        };
        let over = end_of_speech + silence;
        let answer_due = self.server.as_ref().filter(|asked| asked.answer.is_none());
        let over = answer_due.map_or(over, |asked| over.max(asked.at + SERVER_DUE));
        Some((over, Wait::Silence))
    }

    /// From when on the turn is likely over: with the caller's next breath, or never, it is `None`.
    pub(super) fn likely_over_at(&self) -> Option<CallTime> {
        let text_at = self.text_at.filter(|_| self.lost_at.is_none())?;
        match (self.suspicion, self.voice) {
            (Suspicion::Over, _) => Some(text_at),
            (Suspicion::GoesOn, _) | (Suspicion::None, Voice::Speaking { stale: false, .. }) => {
                None
            }
            (Suspicion::None, Voice::Stopped { since, .. }) if text_at < since => None,
            (Suspicion::None, Voice::Stopped { at, .. }) => Some(at + self.patience.likely_after?),
            // Where no voice was noticed, a partial is no pause.
            (Suspicion::None, Voice::Silent | Voice::Speaking { stale: true, .. }) => {
                let after = self.patience.likely_after.filter(|_| !self.has_partial())?;
                Some(text_at + after)
            }
        }
    }

    /// Gives the final text a little time to come.
    pub(super) fn await_final(&mut self, now: CallTime) {
        self.final_due = Some(now + FINAL_DUE);
    }

    /// Drops the words, as an acknowledgement that wants no answer, and what was heard of them.
    pub(super) fn forget_words(&mut self) {
        self.take(CallTime::ZERO);
    }

    /// Whoever transcribed it is gone: what there is of it is all that there will be.
    pub(super) fn settle_words(&mut self, now: CallTime) {
        self.voice_stopped(now);
        self.finals = join(&self.finals, &self.partial);
        self.partial.clear();
        (self.final_due, self.server) = (None, None);
        self.transcriber_caught_up();
        self.awaits_native = false;
    }

    /// What was waited for is waited for from now on: nobody was there in the meantime.
    pub(super) fn wait_anew(&mut self, now: CallTime) {
        match &mut self.voice {
            Voice::Stopped { at, .. } => *at = now,
            Voice::Silent | Voice::Speaking { .. } => {
                self.text_at = self.text_at.map(|_| now);
            }
        }
        self.final_due = self.final_due.map(|_| now + FINAL_DUE);
    }

    /// Ends the utterance and leaves an empty one; a voice that still sounds is no news to it.
    pub(super) fn take(&mut self, now: CallTime) -> Spoken {
        let voice = match self.voice {
            Voice::Speaking { since, .. } => Voice::Speaking { since, stale: true },
            Voice::Silent | Voice::Stopped { .. } => Voice::Silent,
        };
        let (unanswered, is_behind) = (self.unanswered, self.is_behind);
        let next = Self { voice, unanswered, is_behind, ..Self::default() };
        let over = std::mem::replace(self, next);
        let began = over.began_at.or(over.text_at).unwrap_or(now);
        let until = match over.voice {
            Voice::Stopped { at, .. } => at,
            Voice::Silent | Voice::Speaking { .. } => over.text_at.unwrap_or(now),
        };
        Spoken { finals: over.finals, partial: over.partial, began, until: until.max(began) }
    }

    fn silence(&self, plan: &StartSpeaking) -> Duration {
        if let Some(Asked { answer: Some(timeout), .. }) = &self.server {
            return plan.wait.max(*timeout);
        }
        let is_native = self.awaits_native && plan.native_end_of_turn && !self.patience.by_rule;
        let silence = self.patience.silence;
        if is_native { silence.max(NATIVE_DUE) } else { silence }
    }
}
