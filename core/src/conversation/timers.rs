//! Everything that happens because of time alone.

use std::time::Duration;

use super::{
    Conversation, Floor, barge_in,
    reply::REPLY_DUE,
    turn::{Reply, Turn},
    utterance::Wait,
};
use crate::{CallTime, EndedReason};

/// Timers that one wake-up runs; more stay due.
///
/// Each one changes what it was due for, so that this is never reached but by a mistake of ours.
const TIMERS_PER_WAKE_UP: usize = 1_000;

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    MaxDuration,
    Silence,
    SilenceHook,
    AgeHook,
    Voicemail,
    VoicemailQuestion,
    Keypad,
    Closing,
    LegGone,
    LegBack,
    Utterance(Wait),
    Speculation,
    BargeIn,
    Resume,
    ReplyDue,
    Hang,
    ReplyOverdue,
    ToolOverdue,
    DelayedMessage,
    Filler,
    SpeechLost,
    Caption,
}

impl Timer {
    /// For the log: why we woke up.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::MaxDuration => "max duration",
            Self::Silence => "silence",
            Self::SilenceHook => "caller silent",
            Self::AgeHook => "call aged",
            Self::Voicemail => "voicemail",
            Self::VoicemailQuestion => "voicemail question",
            Self::Keypad => "keypad",
            Self::Closing => "closing",
            Self::LegGone => "leg gone",
            Self::LegBack => "leg back",
            Self::Utterance(Wait::Silence) => "endpointing",
            Self::Utterance(Wait::Final) => "final transcript",
            Self::Utterance(Wait::Words) => "no words",
            Self::Speculation => "speculation",
            Self::BargeIn => "barge-in",
            Self::Resume => "resume",
            Self::ReplyDue => "reply due",
            Self::Hang => "hang",
            Self::ReplyOverdue => "reply overdue",
            Self::ToolOverdue => "tool overdue",
            Self::DelayedMessage => "delayed message",
            Self::Filler => "filler",
            Self::SpeechLost => "speech lost",
            Self::Caption => "words sound",
        }
    }
}

impl Conversation {
    pub(super) fn next_timer(&self) -> Option<(CallTime, Timer)> {
        self.timers().into_iter().flatten().min_by_key(|(due, _)| *due)
    }

    pub(super) fn run_timers(&mut self) {
        for _ in 0..TIMERS_PER_WAKE_UP {
            match self.next_timer() {
                Some((due, timer)) if due <= self.now => self.run_timer(timer),
                Some(_) | None => return,
            }
            self.settle();
        }
    }

    fn run_timer(&mut self, timer: Timer) {
        match timer {
            Timer::MaxDuration => {
                let goodbye = self.options.end_call_message.clone();
                self.close(EndedReason::ExceededMaxDuration, goodbye);
            }
            Timer::Silence => {
                let own = self.options.silence_timeout_message.clone();
                let goodbye = own.or_else(|| self.options.end_call_message.clone());
                self.close(EndedReason::SilenceTimedOut, goodbye);
            }
            Timer::SilenceHook => self.silence_hook_due(),
            Timer::AgeHook => self.age_hook_due(),
            Timer::Voicemail => self.voicemail_due(),
            Timer::VoicemailQuestion => self.voicemail_question_due(),
            Timer::Keypad => self.keypad_overdue(),
            Timer::Closing => self.closing_overdue(),
            Timer::LegGone => self.leg_gone(),
            Timer::LegBack => self.go_on_if_back(),
            Timer::Utterance(wait) => self.utterance_due(wait),
            Timer::Speculation => self.speculate(),
            Timer::BargeIn => self.interrupt_by_voice(),
            Timer::Resume => self.pause_over(),
            Timer::ReplyDue => self.generate_if_due(),
            Timer::Hang => self.publish_hang(),
            Timer::ReplyOverdue => self.reply_overdue(),
            Timer::ToolOverdue => self.tool_overdue(),
            Timer::DelayedMessage => self.delayed_message_due(),
            Timer::Filler => self.filler_due(),
            Timer::SpeechLost => self.speech_lost(),
            Timer::Caption => self.caption_due(),
        }
    }

    fn timers(&self) -> Vec<Option<(CallTime, Timer)>> {
        let age_hook = self.age_hook_at().map(|(at, _)| (at, Timer::AgeHook));
        let end = self.began_at.map(|at| (at + self.options.max_duration, Timer::MaxDuration));
        let voicemail = self.voicemail_at().map(|at| (at, Timer::Voicemail));
        let question = self.voicemail_question_at().map(|at| (at, Timer::VoicemailQuestion));
        let keypad = self.keypad_due().map(|at| (at, Timer::Keypad));
        let of_age = [age_hook, voicemail, question, end, keypad]
            .into_iter()
            .flatten()
            .min_by_key(|(due, _)| *due);
        match &self.floor {
            Floor::Ringing | Floor::Ended => vec![],
            Floor::Idle { since } => {
                let silence = *since + self.options.silence_timeout;
                // The one whose greeting is listened to is no caller.
                if self.awaits_beep() {
                    return vec![of_age];
                }
                // What breaks the silence comes before what ends it.
                let hook = self.silence_hook_at().map(|(at, _)| (at, Timer::SilenceHook));
                vec![of_age, hook, Some((silence, Timer::Silence))]
            }
            Floor::Caller => {
                let wait = self.utterance.wait(&self.options.start_speaking);
                vec![
                    of_age,
                    wait.map(|(due, wait)| (due, Timer::Utterance(wait))),
                    self.speculation_at().map(|at| (at, Timer::Speculation)),
                ]
            }
            Floor::Assistant(turn) => {
                let mut timers = self.turn_timers(turn);
                timers.push(of_age);
                timers
            }
            Floor::Paused(pause) => {
                vec![of_age, Some((self.resume_at(pause), Timer::Resume))]
            }
            // What would be said waits for somebody to hear it.
            Floor::Away(away) => {
                let back = away.goes_on_at().map(|at| (at, Timer::LegBack));
                vec![end, Some(back.unwrap_or((away.until, Timer::LegGone)))]
            }
            Floor::Closing(closing) => {
                let caption = self.caption_at().map(|at| (at, Timer::Caption));
                vec![caption, Some((closing.until, Timer::Closing))]
            }
        }
    }

    fn turn_timers(&self, turn: &Turn) -> Vec<Option<(CallTime, Timer)>> {
        let mut timers = vec![
            self.barge_in_at(turn).map(|at| (at, Timer::BargeIn)),
            self.speeches.lost_at().map(|at| (at, Timer::SpeechLost)),
            self.caption_at().map(|at| (at, Timer::Caption)),
            turn.delayed
                .iter()
                .map(|message| message.at)
                .min()
                .map(|at| (at, Timer::DelayedMessage)),
            self.tools.overdue_at(turn.id).map(|at| (at, Timer::ToolOverdue)),
            self.filler_at(turn).map(|at| (at, Timer::Filler)),
        ];
        match turn.reply {
            Reply::Due { not_before } => {
                let at = not_before.max(self.speeches.cut_answers_due());
                timers.push(Some((at, Timer::ReplyDue)));
            }
            Reply::Generating { last_output_at, .. } => {
                timers.push(turn.hang_at().map(|at| (at, Timer::Hang)));
                timers.push(Some((last_output_at + REPLY_DUE, Timer::ReplyOverdue)));
            }
            Reply::Tools | Reply::Done => {}
        }
        timers
    }

    /// When the caller's voice alone interrupts, if it goes on until then.
    ///
    /// While only tools run, it does not: there is nothing to silence, and a cough shall not cost
    /// the caller the result.
    fn barge_in_at(&self, turn: &Turn) -> Option<CallTime> {
        let plan = &self.options.stop_speaking;
        let since = self.utterance.speaking_since()?;
        let makes_a_reply = match turn.reply {
            Reply::Due { .. } | Reply::Generating { .. } => true,
            Reply::Tools | Reply::Done => false,
        };
        let is_in_the_way = makes_a_reply || !self.speeches.playing().is_empty();
        // A line where voices go on without words has others on it.
        let is_patient = plan.voice_over_speech.is_some();
        let may_cut = plan.num_words == 0
            && Self::is_cut_by_voice(turn)
            && !(is_patient && self.voice_is_doubtful);
        if !may_cut || !is_in_the_way || !self.is_interruptible() {
            return None;
        }
        let voice = match (plan.voice_over_speech, self.speeches.is_audible()) {
            (Some(over_speech), true) if !self.utterance.is_lost() => over_speech,
            // No words will come for a while.
            (Some(_), true) => plan.voice,
            // To hold back what nobody hears yet costs nothing, and to begin with the caller does.
            (Some(_), false) => Duration::ZERO,
            (None, true | false) => plan.voice,
        };
        match barge_in::judge(plan, &self.utterance.text()) {
            barge_in::Words::Acknowledge => None,
            barge_in::Words::Interrupt
            | barge_in::Words::InterruptInAnyCase
            | barge_in::Words::Wait => Some(since + voice),
        }
    }
}
