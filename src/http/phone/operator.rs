//! What carriers ask and report of those who are to take a caller.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use offhook_actors::{CallContext, refusal_of};
use offhook_core::{Answerer, OperatorEvent, Refusal};
use offhook_transports::carrier::{
    Addresses, AnsweredBy, Step, meeting_verbs,
    telnyx::Event as Told,
    twilio::{DialEnd, Form, Verb, answered_by, step_of},
};

use super::{
    signed::{self, Webhook, forbidden},
    twilio::{instructions, verbs_of},
    vonage,
};
use crate::http::{App, reply::Reply};

/// What Twilio reports of the other party's call.
pub async fn twilio(
    State(app): State<App>,
    Path((id, attempt)): Path<(String, String)>,
    webhook: Webhook,
) -> Reply {
    let known = signed::call(&app, &id).await?;
    let form = signed::twilio(&app, &known.account, &webhook)?;
    let form = Form(&form);
    if let Some(context) = &known.context {
        // What was detected comes with the status, which was told before.
        let event = match answered_by(&form) {
            Some(by) => Some(heard(by)),
            None => step_of(&form).and_then(event_of),
        };
        note(context, &attempt, event);
    }
    Ok(done())
}

/// The other party has heard what there was to say: what happens next?
pub async fn twilio_briefed(
    State(app): State<App>,
    Path((id, attempt)): Path<(String, String)>,
    webhook: Webhook,
) -> Reply {
    let known = signed::call(&app, &id).await?;
    signed::twilio(&app, &known.account, &webhook)?;
    let is_awaited =
        known.context.is_some_and(|context| note(&context, &attempt, Some(OperatorEvent::Briefed)));
    if is_awaited {
        return instructions(&meeting_verbs(&Addresses::new(&app.public_url, &id), &attempt));
    }
    instructions(&[Verb::Hangup])
}

/// A caller who was sent elsewhere is not there any more, or never was: what happens next?
pub async fn twilio_sent(
    State(app): State<App>,
    Path((id, attempt)): Path<(String, String)>,
    webhook: Webhook,
) -> Reply {
    let known = signed::call(&app, &id).await?;
    let form = signed::twilio(&app, &known.account, &webhook)?;
    let form = Form(&form);
    let Some(context) = known.context else { return instructions(&[Verb::Hangup]) };
    let sid = form.require("CallSid").map_err(|_| forbidden())?;
    if !super::begin::learn_id(&app, &context, sid).await {
        return instructions(&[Verb::Hangup]);
    }
    if let Some(step @ Step::Ended(_)) = step_of(&form) {
        context.carrier_reports(step);
        return instructions(&[Verb::Hangup]);
    }
    let refusal = match DialEnd::of(&form) {
        Some(DialEnd::Completed) => {
            note(&context, &attempt, Some(OperatorEvent::Joined));
            return instructions(&[Verb::Hangup]);
        }
        Some(DialEnd::Busy) => Refusal::Busy,
        Some(DialEnd::NoAnswer | DialEnd::Canceled) => Refusal::NoAnswer,
        Some(DialEnd::Failed) | None => Refusal::Failed,
    };
    note(&context, &attempt, Some(OperatorEvent::Gone(refusal)));
    instructions(&verbs_of(Some(&context)))
}

/// What Telnyx tells of the other party's call; false when nobody waits for them any more.
pub fn telnyx(context: &CallContext, attempt: &str, told: &Told) -> bool {
    let event = match told {
        Told::Answered => Some(OperatorEvent::Answered),
        Told::Bridged => Some(OperatorEvent::Joined),
        Told::AnsweredBy(by) => Some(heard(*by)),
        Told::SpeakEnded => Some(OperatorEvent::Briefed),
        Told::HungUp(ending) => Some(OperatorEvent::Gone(refusal_of(*ending))),
        Told::Initiated { .. }
        | Told::Key(_)
        | Told::PlaybackEnded
        | Told::StreamStarted
        | Told::StreamStopped
        | Told::StreamFailed(_)
        | Told::Other => None,
    };
    event.is_none() || note(context, attempt, event)
}

/// What Vonage reports of the other party's call.
pub async fn vonage(
    State(app): State<App>,
    Path((id, attempt)): Path<(String, String)>,
    webhook: Webhook,
) -> Reply {
    let known = signed::call(&app, &id).await?;
    signed::vonage(&app, &known.account, &webhook)?;
    let event = webhook.vonage_event()?;
    if let Some(context) = &known.context {
        let event = match event.answered_by {
            Some(by) => Some(heard(by)),
            None => event.step.and_then(event_of),
        };
        note(context, &attempt, event);
    }
    Ok(done())
}

/// The other party has heard what there was to say.
pub async fn vonage_briefed(
    State(app): State<App>,
    Path((id, attempt)): Path<(String, String)>,
    webhook: Webhook,
) -> Reply {
    let known = signed::call(&app, &id).await?;
    signed::vonage(&app, &known.account, &webhook)?;
    if let Some(context) = &known.context {
        note(context, &attempt, Some(OperatorEvent::Briefed));
    }
    Ok(done())
}

/// Something became of whoever the caller was sent to: what happens next?
pub async fn vonage_sent(
    State(app): State<App>,
    Path((id, attempt)): Path<(String, String)>,
    webhook: Webhook,
) -> Reply {
    let known = signed::call(&app, &id).await?;
    signed::vonage(&app, &known.account, &webhook)?;
    let event = webhook.vonage_event()?;
    let Some(context) = known.context else { return Ok(done()) };
    match event.step.and_then(event_of) {
        // The two have talked, and the call is over with that.
        Some(OperatorEvent::Gone(Refusal::HungUp)) => {
            note(&context, &attempt, Some(OperatorEvent::Joined));
            vonage::instructions(&[])
        }
        Some(refused @ OperatorEvent::Gone(_)) => {
            note(&context, &attempt, Some(refused));
            vonage::instructions(&vonage::actions_of(Some(&context)))
        }
        event => {
            note(&context, &attempt, event);
            Ok(done())
        }
    }
}

fn note(context: &CallContext, attempt: &str, event: Option<OperatorEvent>) -> bool {
    let Some(event) = event else { return false };
    let line = context.spec.line.as_ref();
    line.is_some_and(|line| line.note_operator(attempt, event))
}

fn event_of(step: Step) -> Option<OperatorEvent> {
    match step {
        Step::Dialling | Step::Ringing => None,
        Step::Answered => Some(OperatorEvent::Answered),
        Step::Ended(ending) => Some(OperatorEvent::Gone(refusal_of(ending))),
    }
}

/// Somebody whom the carrier cannot place is somebody.
fn heard(by: AnsweredBy) -> OperatorEvent {
    OperatorEvent::Heard(match by {
        AnsweredBy::Human | AnsweredBy::Unknown => Answerer::Human,
        AnsweredBy::Machine { greeting_is_over: false } | AnsweredBy::Fax => Answerer::Voicemail,
        AnsweredBy::Machine { greeting_is_over: true } => Answerer::VoicemailReady,
    })
}

fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}
