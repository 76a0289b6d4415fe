//! Tools that ask something of the carrier.

use std::sync::Arc;

use offhook_api::{Destination, ServerTarget, tool::PhoneAction};
use offhook_core::{Event, ToolOutcome};

use crate::{
    CallContext,
    transfer::{self, Sent},
};

/// Carries out what a tool asks of the call's carrier. `server` is the tool's; `says_words`: what a
/// destination has to say is still to be said.
pub(super) async fn run(
    context: &Arc<CallContext>,
    action: PhoneAction,
    server: Option<ServerTarget>,
    says_words: bool,
) -> ToolOutcome {
    let Some(line) = &context.spec.line else {
        return failed("this is no phone call: there is no carrier to ask".into());
    };
    match action {
        PhoneAction::Press(keys) => match line.press(&keys).await {
            Ok(true) => ToolOutcome::Done { result: "the keys were pressed".into(), message: None },
            Ok(false) => failed("the call is over".into()),
            Err(error) => {
                tracing::warn!(call = %context.spec.id, %error, "keys were not pressed");
                failed(format!("the keys were not pressed: {error}"))
            }
        },
        PhoneAction::Transfer(to) => {
            if says_words {
                transfer::announce(context, &to.message).await;
            }
            outcome(context, &to, transfer::send_on(context, &to).await)
        }
        PhoneAction::AskDestination => match transfer::ask(context, server).await {
            Ok(asked) => {
                let words = asked.words.as_deref().unwrap_or(&asked.to.message);
                transfer::announce(context, words).await;
                outcome(context, &asked.to, transfer::send_on(context, &asked.to).await)
            }
            Err(problem) => failed(problem),
        },
    }
}

/// What the model is told, and what a caller whom nobody took hears.
fn outcome(context: &CallContext, to: &Destination, sent: Sent) -> ToolOutcome {
    let (why, refusal) = match sent {
        Sent::Gone => {
            return ToolOutcome::Done {
                result: "the caller was transferred".into(),
                message: None,
            };
        }
        Sent::Over => return failed("the call is over".into()),
        Sent::Stays { why, refusal } => (why, refusal),
    };
    let error = format!("the caller was not transferred and is still here: {why}");
    match &to.plan.fallback {
        Some(plan) if plan.ends_call => {
            let (words, reason) = (plan.message.clone(), refusal.reason());
            context.tell(Event::Farewell { words, reason });
            failed(error)
        }
        Some(plan) => {
            let message = Some(plan.message.clone()).filter(|words| !words.trim().is_empty());
            ToolOutcome::Failed { error, message }
        }
        None => failed(error),
    }
}

fn failed(error: String) -> ToolOutcome {
    ToolOutcome::Failed { error, message: None }
}
