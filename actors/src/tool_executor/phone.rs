//! Tools that ask something of the carrier.

use offhook_api::{Destination, Party, tool::PhoneAction};
use offhook_core::{CallStatus, EndedReason, Event, ServerEvent, ToolOutcome};
use offhook_transports::carrier;

use crate::CallContext;

/// Carries out what a tool asks of the call's carrier.
pub(super) async fn run(context: &CallContext, action: PhoneAction) -> ToolOutcome {
    let failed = |error: String| ToolOutcome::Failed { error, message: None };
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
            let status = CallStatus::Forwarding;
            context.record().note_destination(&to.to_json());
            context.publish(ServerEvent::StatusUpdate { status, ended_reason: None }, &[]);
            match line.transfer(&destination_of(&to), to.caller_id.as_deref()).await {
                Ok(true) => {
                    context
                        .tell(Event::EndRequested { reason: EndedReason::AssistantForwardedCall });
                    ToolOutcome::Done { result: "the caller was transferred".into(), message: None }
                }
                Ok(false) => failed("the call is over".into()),
                Err(error) => {
                    tracing::warn!(call = %context.spec.id, %error, "the caller was not transferred");
                    let status = CallStatus::InProgress;
                    context.publish(ServerEvent::StatusUpdate { status, ended_reason: None }, &[]);
                    failed(format!("the caller was not transferred and is still here: {error}"))
                }
            }
        }
    }
}

/// A destination as carriers take it.
fn destination_of(to: &Destination) -> carrier::Destination {
    match &to.to {
        Party::Number { number, extension } => {
            carrier::Destination::Number { number: number.clone(), extension: extension.clone() }
        }
        Party::Sip { uri, .. } => carrier::Destination::Sip(uri.clone()),
    }
}
