//! What the conversation is told, and what it asks for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    CallTime, EndedReason, FailureClass, ServerEvent, Stage, StageFailure, TimedWord, ToolCall,
};

/// Counts the assistant's turns. Whatever answers a command carries its turn back, so that an
/// answer to a turn that is over can be told from an answer to the present one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct TurnId(pub u32);

impl TurnId {
    /// The turn as server events name it, for example `turn-3`.
    pub fn wire_id(self) -> String {
        format!("turn-{}", self.0)
    }

    /// Whether it stands for a request made on the suspicion that a turn is over. Such ids count
    /// by themselves, so that a turn that did not happen leaves no gap, and nobody outside sees them.
    pub const fn is_speculative(self) -> bool {
        self.0 >= Self::SPECULATIVE
    }

    /// More turns than this has no call: a day of one a second is 86,400.
    const SPECULATIVE: u32 = 1 << 31;

    pub(crate) const fn speculation(number: u32) -> Self {
        Self(Self::SPECULATIVE | number)
    }

    pub(crate) const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

impl SpeechId {
    pub(crate) const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// One stretch of assistant speech: the first message, one reply, a tool's message, a `say`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct SpeechId(pub u32);

/// Why a model's reply ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finish {
    /// It said what it had to say (or asked for tools).
    Stop,
    /// It ran into `maxTokens`.
    Length,
    /// The provider's filter cut it off.
    ContentFilter,
    /// Its stream broke, and nobody could go on with it.
    Broken,
}

impl Finish {
    /// What cut the reply off, as metrics name it; nothing where it was not cut off.
    pub const fn cut_by(self) -> Option<&'static str> {
        match self {
            Self::Stop => None,
            Self::Length => Some("length"),
            Self::ContentFilter => Some("content-filter"),
            Self::Broken => Some("failure"),
        }
    }
}

/// What became of a tool call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToolOutcome {
    /// The tool's result, as text for the model; `message` is to be spoken instead of the
    /// configured one.
    Done { result: String, message: Option<String> },
    /// It failed: the text says how, and the model is told so.
    Failed { error: String, message: Option<String> },
}

/// What a client asks for while the call runs (`monitor.controlUrl`, or the socket of the leg).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Control {
    Say {
        content: String,
        end_call_after_spoken: bool,
        /// Whether the caller may interrupt it; absent means as the assistant's plan says.
        interruptions_enabled: Option<bool>,
        /// Speak at once, cutting off what is being spoken.
        interrupt_assistant: bool,
    },
    AddMessage {
        role: AddedRole,
        content: String,
        /// Whether the model answers it at once.
        trigger_response: bool,
    },
    MuteAssistant,
    UnmuteAssistant,
    SayFirstMessage,
    EndCall,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AddedRole {
    System,
    User,
    Assistant,
}

/// Who answered a call that we made, by the carrier's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answerer {
    Human,
    /// A voicemail, which may still be greeting.
    Voicemail,
    /// A voicemail whose greeting is over.
    VoicemailReady,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The leg's media is up: from here both sides can hear each other.
    LegConnected,
    /// The leg is gone and may come back: the call ends for `reason` unless it does within `wait`.
    LegLost {
        reason: EndedReason,
        wait: Duration,
    },
    /// The leg is back; `bridge` is spoken first.
    LegBack {
        bridge: Option<String>,
    },
    /// Another process takes the call up from its journal: whoever was at work on something is
    /// gone, the leg among them. The call ends for `reason` unless it is back within `wait`.
    Revived {
        reason: EndedReason,
        wait: Duration,
    },
    /// The caller began to speak; `at` is the time in the audio, a little before it was noticed.
    SpeechStarted {
        at: CallTime,
    },
    /// The caller fell silent; `at` is the time in the audio.
    SpeechStopped {
        at: CallTime,
    },
    /// What the caller said. A partial replaces the partial before it; a final is appended.
    Transcript {
        text: String,
        is_final: bool,
    },
    /// The transcriber's suspicion that the caller's turn is over: the last partial is all of it
    /// unless [`Event::TurnResumed`] follows.
    EagerEndOfTurn,
    /// The caller went on after [`Event::EagerEndOfTurn`].
    TurnResumed,
    /// The transcriber's own judgement that the caller's turn is over.
    EndOfTurn,
    /// The language of the last final transcript, as the transcriber's tag (BCP 47), and how many of
    /// its words were in it.
    LanguageHeard {
        language: String,
        words: u32,
    },
    /// The transcriber heard no word for a while after the last one; the voice may be noise.
    WordsPaused,
    /// The transcriber's session was lost: what the caller says is transcribed by the next one.
    TranscriberLost,
    /// The one after it has told all that was said until now.
    TranscriberCaughtUp,
    /// Another provider serves a stage from now on.
    ProviderPromoted {
        stage: Stage,
        from: String,
        to: String,
        class: FailureClass,
    },
    /// A voicemail's beep was heard; `at` is its end in the audio.
    Beep {
        at: CallTime,
    },
    /// The carrier says who answered.
    Answered {
        by: Answerer,
    },
    /// The answer to [`Command::AskVoicemail`].
    VoicemailJudged {
        request: u32,
        is_voicemail: bool,
    },
    /// The caller pressed a key: `0` to `9`, `*`, `#`, `A` to `D`.
    KeyPressed {
        key: char,
    },
    /// The answer to [`Command::AskEndpointing`]: the silence after which the turn is over.
    EndpointingAnswered {
        request: u32,
        timeout: Duration,
    },
    /// A piece of the reply to `turn`; pieces are concatenated as they are.
    ReplyText {
        turn: TurnId,
        text: String,
    },
    /// The model wants tools run; comes before `ReplyFinished` of the same turn.
    ReplyToolCalls {
        turn: TurnId,
        calls: Vec<ToolCall>,
    },
    ReplyFinished {
        turn: TurnId,
        finish: Finish,
    },
    /// The model failed and has no other way to go on.
    ReplyFailed {
        turn: TurnId,
        failure: StageFailure,
    },
    ToolFinished {
        turn: TurnId,
        call_id: String,
        outcome: ToolOutcome,
    },
    /// The first audio of a speech left for the caller.
    SpeechBegan {
        speech: SpeechId,
    },
    /// When words of a speech sound, behind those that were timed before. Only where somebody wants
    /// to know.
    SpeechTimed {
        speech: SpeechId,
        words: Vec<TimedWord>,
    },
    /// So many characters of the speech's text, white space apart, were heard by now. Told a few
    /// times a second, for a process that has to take the call up.
    SpeechProgress {
        speech: SpeechId,
        chars: u32,
    },
    /// All of a finished speech was heard.
    SpeechHeard {
        speech: SpeechId,
    },
    /// The call ends for `reason` once the caller has heard `words`.
    Farewell {
        words: String,
        reason: EndedReason,
    },
    /// The answer to [`Command::CutSpeech`]: the words of it that the caller heard.
    SpeechCut {
        speech: SpeechId,
        heard: String,
    },
    /// The answer to [`Command::TrimSpeech`]: all of it that will be spoken.
    SpeechTrimmed {
        speech: SpeechId,
        text: String,
    },
    /// A stage failed and has no other way to go on.
    StageFailed {
        failure: StageFailure,
    },
    Control(Control),
    /// The leg is gone (the caller hung up, the carrier says so, the socket stayed away).
    LegClosed {
        reason: EndedReason,
    },
    /// An operator or the API ends the call.
    EndRequested {
        reason: EndedReason,
    },
}

/// What shall be done about it.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Ask the model for a reply to the conversation as [`crate::Conversation::prompt`] gives it.
    Generate {
        turn: TurnId,
    },
    /// Ask the model what it would say were the caller's turn over
    /// ([`crate::Conversation::supposing_turn_over`]). Nothing of it is heard or done before
    /// [`Command::Adopt`]; [`Command::CancelReply`] takes it back.
    Speculate {
        turn: TurnId,
    },
    /// The turn is over as supposed: what the model was asked as `speculation` is the reply to `turn`.
    Adopt {
        turn: TurnId,
        speculation: TurnId,
    },
    /// Ask the document's server how long to wait for the caller's next word, with the history of
    /// [`crate::Conversation::supposing_turn_over`]; answered by [`Event::EndpointingAnswered`].
    AskEndpointing {
        request: u32,
    },
    /// Ask the model whether a voicemail answered, with
    /// [`crate::Conversation::voicemail_question`]; answered by [`Event::VoicemailJudged`].
    AskVoicemail {
        request: u32,
    },
    /// Stop the model; its output is worth nothing from here.
    CancelReply {
        turn: TurnId,
    },
    /// Append text to a speech; the voice may begin as soon as it has enough.
    Speak {
        speech: SpeechId,
        text: String,
    },
    /// Play this whole speech at once, in front of those of which nothing was heard, if that takes no
    /// voice: it was said before. Otherwise it is given up, which [`Event::SpeechCut`] says.
    Fill {
        speech: SpeechId,
        text: String,
    },
    /// The text of this speech was cut off: what of its end is half a sentence and was not given
    /// to a voice yet is dropped. Answered by [`Event::SpeechTrimmed`].
    TrimSpeech {
        speech: SpeechId,
    },
    /// Play the recording at this address as a speech of its own. One that cannot be had is answered
    /// by [`Event::SpeechCut`].
    PlayRecording {
        speech: SpeechId,
        url: String,
    },
    /// No more text will come for this speech.
    FinishSpeech {
        speech: SpeechId,
    },
    /// Silence this speech now, whatever is queued; answered by [`Event::SpeechCut`].
    CutSpeech {
        speech: SpeechId,
    },
    RunTool {
        turn: TurnId,
        call: ToolCall,
    },
    Publish(ServerEvent),
    /// The call is over. Given at most once, and nothing after it.
    End {
        reason: EndedReason,
    },
}

/// Why [`crate::Conversation::handle_timeout`] is next due.
pub type Deadline = (CallTime, &'static str);
