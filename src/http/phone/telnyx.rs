//! What Telnyx tells, and the commands that follow from it.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::IntoResponse,
};
use offhook_actors::CallContext;
use offhook_transports::carrier::{
    Carrier, CarrierError, Client, Destination, attempt_of_state, call_of_client_state,
    send_digits,
    telnyx::{Answered, Event, Telnyx, Transfer, Webhook as Told, parse},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    arrival::{self, Arrival, Greeting, RING},
    begin::learn_id,
    operator,
    signed::{self, Known, Webhook},
    twilio::answerer,
};
use crate::{
    auth::parse_id,
    http::{
        App,
        reply::{self, Reply},
    },
};

/// The voice that speaks to callers whom nobody answers, and its language.
const VOICE: (&str, &str) = ("female", "en-US");

/// Longest wait for the end of what is spoken: some 4,000 characters.
const SPEECH_MAX: Duration = Duration::from_secs(300);

/// How long somebody may take to answer a caller who is sent on: as long as it rings, and for the
/// carrier to say so.
const BRIDGE_DUE: Duration = Duration::from_secs(65);

/// Something happened to a call.
pub async fn event(State(app): State<App>, Path(id): Path<String>, webhook: Webhook) -> Reply {
    let known = signed::number(&app, &id).await?;
    signed::telnyx(&known.account, &webhook)?;
    let told = parse(&webhook.body).map_err(|problem| reply::bad_request(vec![problem]))?;
    let done = StatusCode::OK.into_response();
    let key = format!("telnyx {}", told.id);
    if !app.desk.is_new(&key) {
        return Ok(done);
    }
    if let Some((call, attempt)) = told.client_state.as_deref().and_then(attempt_of_state) {
        let context = parse_id(&call).and_then(|call| app.node.call(call));
        let is_awaited =
            context.is_some_and(|context| operator::telnyx(&context, &attempt, &told.event));
        if !is_awaited && told.event == Event::Answered {
            tokio::spawn(hang_up_on_nobody(app, known, told.call_control_id));
        }
        return Ok(done);
    }
    match told.event {
        Event::Initiated { is_incoming: true } => {
            let Some(dialled) = told.to.clone() else { return Ok(done) };
            let known = match signed::of_dialled(&app, known, &dialled).await {
                Ok(known) => known,
                Err(answer) => {
                    app.desk.forget(&key);
                    return Err(answer);
                }
            };
            // Telnyx wants to be answered fast; what follows are commands.
            tokio::spawn(take(app.clone(), known, told));
        }
        Event::SpeakEnded => app.desk.speech_over(&told.call_control_id),
        Event::Initiated { is_incoming: false }
        | Event::Answered
        | Event::Bridged
        | Event::HungUp(_)
        | Event::Key(_)
        | Event::AnsweredBy(_)
        | Event::PlaybackEnded
        | Event::StreamStarted
        | Event::StreamStopped
        | Event::StreamFailed(_)
        | Event::Other => {
            if matches!(told.event, Event::HungUp(_) | Event::Bridged) {
                app.desk.speech_over(&told.call_control_id);
            }
            match call_of(&app, &told).await {
                Some(context) => report(&context, &told.event),
                None if told.event == Event::Answered && is_given_up(&app, &told) => {
                    tokio::spawn(hang_up_on_nobody(app, known, told.call_control_id));
                }
                None => {}
            }
        }
    }
    Ok(done)
}

/// Whether it is about a call that we placed and that is over here. The other leg of a transfer may
/// bear the same state while its call goes on.
fn is_given_up(app: &App, told: &Told) -> bool {
    let named = told.client_state.as_deref().and_then(call_of_client_state);
    named.and_then(|id| parse_id(&id)).is_some_and(|id| app.node.call(id).is_none())
}

/// Ends a call that we placed and gave up before its id came back: nobody talks with whoever answered.
async fn hang_up_on_nobody(app: App, known: Known, id: String) {
    let Ok(Client::Telnyx { client, .. }) = known.client(&app) else { return };
    if let Err(error) = client.hang_up(&id, &new_id()).await {
        tracing::error!(%error, "a call that nobody here knows was not ended");
    }
}

/// The call of ours that this is about.
async fn call_of(app: &App, told: &Told) -> Option<Arc<CallContext>> {
    if let Some(context) = app.node.call_of_carrier(Carrier::Telnyx, &told.call_control_id) {
        return Some(context);
    }
    // One that we placed says so, should its id not have come back to us.
    let id = call_of_client_state(told.client_state.as_deref()?).and_then(|id| parse_id(&id))?;
    let context = app.node.call(id)?;
    let is_telnyx = context.spec.line.as_ref()?.carrier() == Carrier::Telnyx;
    (is_telnyx && learn_id(app, &context, &told.call_control_id).await).then_some(context)
}

fn report(context: &Arc<CallContext>, event: &Event) {
    let was_answered = context.spec.line.as_ref().is_some_and(|line| line.is_answered());
    if let Some(step) = event.step() {
        context.carrier_reports(step);
    }
    match event {
        Event::Answered if !was_answered => {
            tokio::spawn(connect(context.clone()));
        }
        Event::AnsweredBy(by) => {
            if let Some(by) = answerer(*by) {
                context.carrier_heard(by);
            }
        }
        Event::StreamFailed(reason) => {
            tracing::warn!(call = %context.spec.id, reason, "Telnyx did not connect the media");
            context.clone().seek_media();
        }
        Event::Bridged => {
            if let Some(line) = &context.spec.line {
                line.note_bridge();
            }
        }
        // Keys come with the media; the rest is told by the media's own end.
        Event::Answered
        | Event::Initiated { .. }
        | Event::HungUp(_)
        | Event::Key(_)
        | Event::SpeakEnded
        | Event::PlaybackEnded
        | Event::StreamStarted
        | Event::StreamStopped
        | Event::Other => {}
    }
}

/// Connects the media of a call that was answered.
async fn connect(context: Arc<CallContext>) {
    let Some(line) = &context.spec.line else { return };
    if let Err(error) = line.reconnect().await {
        tracing::warn!(call = %context.spec.id, %error, "media is not connected");
        context.clone().seek_media();
    }
    // Other carriers dial it themselves.
    let extension = context.record().as_value()["customer"]["extension"].as_str().map(send_digits);
    if let Some(Ok(digits)) = extension
        && let Err(error) = line.press(&digits).await
    {
        tracing::error!(call = %context.spec.id, %error, "the customer's extension is not dialled");
    }
}

/// Takes a call that comes in.
async fn take(app: App, known: Known, told: Told) {
    let Ok(Client::Telnyx { client, .. }) = known.client(&app) else { return };
    let id = told.call_control_id.clone();
    let arrival = Arrival {
        carrier: Carrier::Telnyx,
        id: id.clone(),
        from: told.from,
        transport: json!({"callControlId": id, "callSessionId": told.call_session_id}),
    };
    let greeting = arrival::greet(&app, known, arrival).await;
    let done = match greeting {
        Greeting::Connect(call) => answer(&app, &client, &id, call).await,
        Greeting::Say(words) => say(&app, &client, &id, &words, None).await,
        Greeting::Forward { destination, caller_id, message } => {
            let to = Some((destination, caller_id));
            say(&app, &client, &id, &message, to).await
        }
    };
    if let Err(error) = done {
        tracing::error!(%error, "a call that came in was not taken");
    }
}

async fn answer(app: &App, client: &Telnyx, id: &str, call: Uuid) -> Result<(), CarrierError> {
    let Some(context) = app.node.call(call) else { return client.hang_up(id, &new_id()).await };
    let Some(line) = &context.spec.line else { return Ok(()) };
    let answered = Answered { client_state: None, stream: Some(line.media().stream()) };
    match client.answer(id, &format!("answer-{call}"), &answered).await {
        Ok(true) => Ok(()),
        Ok(false) => {
            use offhook_transports::carrier::{Ending, Step};
            context.carrier_reports(Step::Ended(Ending::Completed));
            Ok(())
        }
        Err(error) => {
            // It may be up all the same.
            context.seek_media();
            Err(error)
        }
    }
}

/// Answers, speaks, and hangs up or sends the caller on.
async fn say(
    app: &App,
    client: &Telnyx,
    id: &str,
    words: &str,
    then: Option<(Destination, Option<String>)>,
) -> Result<(), CarrierError> {
    if !client.answer(id, &new_id(), &Answered::default()).await? {
        return Ok(());
    }
    if !words.is_empty() {
        let over = app.desk.await_speech(id);
        if client.speak(id, &new_id(), words, VOICE).await? {
            // Whoever hangs up ends the wait too.
            let _ = tokio::time::timeout(SPEECH_MAX, over).await;
        }
    }
    match then {
        None => client.hang_up(id, &new_id()).await,
        Some((to, caller_id)) => {
            let transfer =
                Transfer { from: caller_id.as_deref(), timeout: Some(RING), ..Transfer::default() };
            let transfer = match &to {
                Destination::Number { number, .. } => Transfer { to: number, ..transfer },
                Destination::Sip { uri, headers } => Transfer { to: uri, headers, ..transfer },
            };
            let bridged = app.desk.await_speech(id);
            if client.transfer(id, &new_id(), &transfer).await?
                && tokio::time::timeout(BRIDGE_DUE, bridged).await.is_err()
            {
                // Nobody has the caller, who would hear nothing for ever.
                client.hang_up(id, &new_id()).await?;
            }
            Ok(())
        }
    }
}

fn new_id() -> String {
    Uuid::new_v4().to_string()
}
