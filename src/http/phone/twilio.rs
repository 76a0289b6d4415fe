//! What Twilio asks and reports.

use std::time::Duration;

use axum::{
    extract::{Path, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use offhook_actors::{CallContext, HANG_UP_HANDED_OVER};
use offhook_core::Answerer;
use offhook_transports::carrier::{
    AnsweredBy, Carrier, Step, dial_verbs,
    twilio::{Form, Say, Verb, answered_by, step_of, twiml},
};
use serde_json::json;

use super::{
    arrival::{self, Arrival, Greeting},
    signed::{self, Webhook, forbidden},
};
use crate::http::{
    App,
    reply::{self, Reply},
};

/// Until a process that is on its way down is asked again, or the next one is.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// A call comes in: what happens with it?
pub async fn voice(State(app): State<App>, Path(id): Path<String>, webhook: Webhook) -> Reply {
    let known = signed::number(&app, &id).await?;
    let form = signed::twilio(&app, &known.account, &webhook)?;
    let form = Form(&form);
    let sid = form.require("CallSid").map_err(|problem| reply::bad_request(vec![problem]))?;
    if matches!(step_of(&form), Some(Step::Ended(_))) {
        return instructions(&[Verb::Hangup]);
    }
    let mut transport = json!({"callSid": sid});
    for (field, name) in [("AccountSid", "accountSid"), ("ForwardedFrom", "forwardedFrom")] {
        if let Some(value) = form.get(field) {
            transport[name] = json!(value);
        }
    }
    let arrival = Arrival {
        carrier: Carrier::Twilio,
        id: sid.to_owned(),
        from: form.get("From").map(str::to_owned),
        transport,
    };
    let greeting = arrival::greet(&app, known, arrival).await;
    let verbs = match greeting {
        Greeting::Connect(call) => verbs_of(app.node.call(call).as_deref()),
        Greeting::Say(words) => vec![Verb::Say(Say::new(words)), Verb::Hangup],
        Greeting::Forward { destination, caller_id, message } => {
            let mut verbs = Vec::new();
            if !message.is_empty() {
                verbs.push(Verb::Say(Say::new(message)));
            }
            let dial = dial_verbs(&arrival::sending(&destination, caller_id.as_deref()));
            verbs.extend(dial.map_err(|error| reply::bad_request(vec![error.to_string()]))?);
            verbs
        }
    };
    instructions(&verbs)
}

/// A call of ours was answered, or has no media any more: what happens next?
pub async fn connect(State(app): State<App>, Path(id): Path<String>, webhook: Webhook) -> Reply {
    let known = signed::call(&app, &id).await?;
    let form = signed::twilio(&app, &known.account, &webhook)?;
    let form = Form(&form);
    let Some(context) = known.context else { return instructions(&[Verb::Hangup]) };
    if !learn(&app, &context, &form).await? {
        return instructions(&[Verb::Hangup]);
    }
    match step_of(&form) {
        Some(step @ Step::Ended(_)) => {
            context.carrier_reports(step);
            instructions(&[Verb::Hangup])
        }
        Some(step) => {
            context.carrier_reports(step);
            instructions(&verbs_of(Some(&context)))
        }
        None => instructions(&verbs_of(Some(&context))),
    }
}

/// How a call that we placed gets on, and who answered it.
pub async fn progress(State(app): State<App>, Path(id): Path<String>, webhook: Webhook) -> Reply {
    let known = signed::call(&app, &id).await?;
    let form = signed::twilio(&app, &known.account, &webhook)?;
    let form = Form(&form);
    if let Some(context) = known.context
        && learn(&app, &context, &form).await?
    {
        report(&context, &form);
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// How a call of a number's gets on.
pub async fn status(State(app): State<App>, Path(id): Path<String>, webhook: Webhook) -> Reply {
    let known = signed::number(&app, &id).await?;
    let form = signed::twilio(&app, &known.account, &webhook)?;
    let form = Form(&form);
    let sid = form.require("CallSid").map_err(|problem| reply::bad_request(vec![problem]))?;
    if let Some(context) = app.node.call_of_carrier(&known.org, Carrier::Twilio, sid) {
        report(&context, &form);
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn report(context: &CallContext, form: &Form<'_>) {
    if let Some(step) = step_of(form) {
        context.carrier_reports(step);
    }
    if let Some(by) = answered_by(form).and_then(answerer) {
        context.carrier_heard(by);
    }
}

/// Who answered, where that is known.
pub fn answerer(by: AnsweredBy) -> Option<Answerer> {
    match by {
        AnsweredBy::Human => Some(Answerer::Human),
        AnsweredBy::Machine { greeting_is_over: false } => Some(Answerer::Voicemail),
        AnsweredBy::Machine { greeting_is_over: true } => Some(Answerer::VoicemailReady),
        AnsweredBy::Fax | AnsweredBy::Unknown => None,
    }
}

/// Whether the form is about the call that the carrier knows as this one.
async fn learn(app: &App, context: &CallContext, form: &Form<'_>) -> Result<bool, Response> {
    let sid = form.require("CallSid").map_err(|_| forbidden())?;
    Ok(super::begin::learn_id(app, context, sid).await)
}

/// What connects a call with us; without one it is over.
pub(super) fn verbs_of(context: Option<&CallContext>) -> Vec<Verb> {
    if let Some(ending) = context.filter(|it| it.ending().is_some() && it.hands_over_control()) {
        tracing::info!(call = %ending.spec.id, "the end of the call is left to the client's server");
        return vec![Verb::Pause(HANG_UP_HANDED_OVER), Verb::Hangup];
    }
    let Some(context) = context.filter(|context| context.ending().is_none()) else {
        return vec![Verb::Hangup];
    };
    let Some(line) = &context.spec.line else { return vec![Verb::Hangup] };
    let media = line.media();
    if context.is_suspended() {
        let resume = media.addresses.resume(Carrier::Twilio);
        return vec![Verb::Pause(ASK_AGAIN), Verb::Redirect(resume)];
    }
    media.verbs()
}

pub(super) fn instructions(verbs: &[Verb]) -> Reply {
    let xml = twiml(verbs).map_err(|error| reply::bad_request(vec![error.to_string()]))?;
    Ok(([(CONTENT_TYPE, "text/xml; charset=utf-8")], xml).into_response())
}
