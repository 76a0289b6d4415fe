//! What Vonage asks and reports.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::IntoResponse,
};
use offhook_actors::{CallContext, HANG_UP_HANDED_OVER};
use offhook_transports::carrier::{
    Carrier, dial_actions,
    vonage::{Action, Event, ncco, parse_answer},
};
use serde_json::json;

use super::{
    arrival::{self, Arrival, Greeting},
    begin::learn_id,
    signed::{self, Webhook},
    twilio::answerer,
};
use crate::http::{
    App,
    reply::{self, Reply},
};

/// Until a process that is on its way down is asked again, or the next one is.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// A call comes in: what happens with it?
pub async fn answer(State(app): State<App>, Path(id): Path<String>, webhook: Webhook) -> Reply {
    let known = signed::number(&app, &id).await?;
    signed::vonage(&app, &known.account, &webhook)?;
    let call = parse_answer(&webhook.body).map_err(|problem| reply::bad_request(vec![problem]))?;
    let known = signed::of_dialled(&app, known, &call.to).await?;
    let arrival = Arrival {
        carrier: Carrier::Vonage,
        id: call.uuid.clone(),
        from: Some(call.from),
        transport: json!({"callUUID": call.uuid, "conversationUUID": call.conversation_uuid}),
    };
    let actions = match arrival::greet(&app, known, arrival).await {
        Greeting::Connect(call) => actions_of(app.node.call(call).as_deref()),
        Greeting::Say(words) => vec![Action::Talk { text: words, language: None }],
        Greeting::Forward { destination, caller_id, message } => {
            let mut actions = Vec::new();
            if !message.is_empty() {
                actions.push(Action::Talk { text: message, language: None });
            }
            let dial = dial_actions(&arrival::sending(&destination, caller_id.as_deref()));
            actions.extend(dial.map_err(|error| reply::bad_request(vec![error.to_string()]))?);
            actions
        }
    };
    instructions(&actions)
}

/// Something happened to a call of the application's.
pub async fn event(State(app): State<App>, Path(id): Path<String>, webhook: Webhook) -> Reply {
    let known = signed::number(&app, &id).await?;
    signed::vonage(&app, &known.account, &webhook)?;
    let event = webhook.vonage_event()?;
    if let Some(context) = app.node.call_of_carrier(&known.org, Carrier::Vonage, &event.uuid) {
        report(&context, &event);
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Something happened to a call that we placed.
pub async fn progress(State(app): State<App>, Path(id): Path<String>, webhook: Webhook) -> Reply {
    let known = signed::call(&app, &id).await?;
    signed::vonage(&app, &known.account, &webhook)?;
    let event = webhook.vonage_event()?;
    if let Some(context) = known.context
        && !event.is_websocket
        && learn_id(&app, &context, &event.uuid).await
    {
        report(&context, &event);
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Something happened to the media of a call: what happens next?
pub async fn resume(State(app): State<App>, Path(id): Path<String>, webhook: Webhook) -> Reply {
    let known = signed::call(&app, &id).await?;
    signed::vonage(&app, &known.account, &webhook)?;
    let event = webhook.vonage_event()?;
    let is_gone = event.is_websocket
        && matches!(
            event.status.as_str(),
            "disconnected" | "unanswered" | "failed" | "completed" | "rejected" | "timeout"
        );
    match known.context {
        Some(context) if is_gone && !is_elsewhere(&context) => {
            instructions(&actions_of(Some(&context)))
        }
        // Nothing but what is under way.
        Some(_) | None => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

/// Whether the call's audio is gone because the caller is with somebody else, or will be.
fn is_elsewhere(context: &CallContext) -> bool {
    context
        .spec
        .line
        .as_ref()
        .is_some_and(|line| line.is_away() || line.is_forwarded() || line.is_handed_over())
}

fn report(context: &CallContext, event: &Event) {
    // Its media has a leg of its own, whose end is not that of the call.
    if event.is_websocket {
        return;
    }
    if let Some(step) = event.step {
        context.carrier_reports(step);
    }
    if let Some(by) = event.answered_by.and_then(answerer) {
        context.carrier_heard(by);
    }
}

/// What connects a call with us; without one it is over.
pub(super) fn actions_of(context: Option<&CallContext>) -> Vec<Action> {
    if context.is_some_and(|it| it.ending().is_some() && it.hands_over_control()) {
        return vec![Action::Wait(HANG_UP_HANDED_OVER)];
    }
    let Some(context) = context.filter(|context| context.ending().is_none()) else {
        return Vec::new();
    };
    let Some(line) = &context.spec.line else { return Vec::new() };
    let actions = line.media().actions(None);
    if context.is_suspended() {
        return [vec![Action::Wait(ASK_AGAIN)], actions].concat();
    }
    actions
}

pub(super) fn instructions(actions: &[Action]) -> Reply {
    let written = ncco(actions).map_err(|error| reply::bad_request(vec![error.to_string()]))?;
    Ok(Json(written).into_response())
}
