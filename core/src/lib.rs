//! The decisions of a phone call, with no I/O.
//!
//! Feed [`Event`]s in, carry [`Command`]s out, wake up at [`Conversation::next_deadline`].

pub mod campaign;
mod continuation;
pub mod conversation;
mod end_of_turn;
mod ended;
mod event;
mod failover;
mod failure;
mod health;
mod hedge;
mod hook;
mod keypad;
mod message;
mod options;
mod restart;
pub mod schedule;
mod server_event;
pub mod slots;
pub mod speech_format;
mod speech_ledger;
mod start_speaking;
mod text_chunks;
mod text_pattern;
mod time;
mod transfer;
mod voicemail;
mod wait_function;

pub use continuation::Continuation;
pub use conversation::{Conversation, Interruptions};
pub use end_of_turn::{Cues, EndOfTurnEstimator, TextEstimator};
pub use ended::{Blame, EndedReason};
pub use event::{
    AddedRole, Answerer, Command, Control, Deadline, Event, Finish, SpeechId, ToolOutcome, TurnId,
};
pub use failover::{Failover, Loss, Next, Pace};
pub use failure::{FailureClass, Stage, StageFailure};
pub use health::{Breaker, BreakerState, Latencies, RetryBudget};
pub use hedge::{HedgeBudget, hedge_after};
pub use hook::{Hook, HookAction, HookTrigger};
pub use keypad::{KeypadEntry, KeypadPlan};
pub use message::{Entry, Message, ToolCall};
pub use options::{
    CallOptions, Fillers, FirstMessageMode, StopSpeaking, ToolKind, ToolMessage, ToolSpec,
};
pub use restart::{Disposition, Intensity, RestartBudget};
pub use server_event::{
    CallStatus, PhoneRequest, Role, ServerEvent, SpeechSource, SpeechStatus, SpeechTiming,
    TranscriptType,
};
pub use speech_ledger::{SpeechLedger, TimedWord};
pub use start_speaking::{EndpointingRule, StartSpeaking, TurnJudge};
pub use text_chunks::{ChunkPlan, Chunking, TextChunker};
pub use text_pattern::{BadPattern, PatternOptions, TextPattern};
pub use time::CallTime;
pub use transfer::{Approach, Consultation, OperatorEvent, Refusal, TransferStep};
pub use voicemail::{RECORDING_MAX, VOICEMAIL_ANSWER_DUE, VoicemailPlan, VoicemailQuestions};
pub use wait_function::{BadWaitFunction, WAIT_MAX, WaitFunction};
