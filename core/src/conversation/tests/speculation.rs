//! Speculations: in the logs `speculation-1` is the first of a call.

mod adopted;
mod dropped;

use super::*;
use crate::StartSpeaking;

fn eager() -> CallOptions {
    with_tools(vec![])
}

fn with_tools(tools: Vec<ToolSpec>) -> CallOptions {
    let start_speaking = StartSpeaking { speculation: true, ..StartSpeaking::default() };
    CallOptions { start_speaking, tools, ..quiet() }
}

/// Waits three seconds after words without a mark.
fn eager_and_patient() -> CallOptions {
    let mut options = eager();
    options.start_speaking.on_no_punctuation = ms(3_000);
    options
}

fn failed(turn: u32) -> Event {
    Event::ReplyFailed { turn: TurnId(turn), failure: failure(Stage::Model) }
}

/// The first speculation of a call, as the model answers it.
fn first() -> u32 {
    speculation(1)
}
