//! What Telnyx tells, and the commands that follow from it.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::IntoResponse,
};
use offhook_actors::{CallContext, end_at_carrier, insist};
use offhook_transports::carrier::{
    Carrier, CarrierError, Client, Destination, attempt_of_state, call_of_client_state,
    client_state, send_digits,
    telnyx::{Event, Telnyx, Transfer, Webhook as Told, parse},
};
use serde_json::json;
use tokio::time::{sleep, timeout};
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

/// Longest wait for the report that a call is up which was answered.
const ANSWER_TOLD: Duration = Duration::from_secs(3);

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
        let context = context.filter(|context| context.spec.org == known.org);
        let is_awaited =
            context.is_some_and(|context| operator::telnyx(&context, &attempt, &told.event));
        if !is_awaited && told.event == Event::Answered {
            tokio::spawn(hang_up_on_nobody(app, known, told.call_control_id));
        }
        return Ok(done);
    }
    if let Some(caller) = told.client_state.as_deref().and_then(forwarded_by_state) {
        if let Event::HungUp(_) = told.event {
            app.desk.speech_over(&refusal_key(&caller));
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
            if told.event == Event::Answered {
                app.desk.speech_over(&answer_key(&told.call_control_id));
            }
            if matches!(told.event, Event::HungUp(_) | Event::Bridged) {
                app.desk.speech_over(&told.call_control_id);
            }
            match call_of(&app, &known, &told).await {
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
    let Ok(client) = known.client(&app) else { return };
    if let Err(error) = end_at_carrier(&client, &id).await {
        tracing::error!(%error, "a call that nobody here knows was not ended");
    }
}

/// The call of ours that this is about.
async fn call_of(app: &App, known: &Known, told: &Told) -> Option<Arc<CallContext>> {
    let id = &told.call_control_id;
    if let Some(context) = app.node.call_of_carrier(&known.org, Carrier::Telnyx, id) {
        return Some(context);
    }
    // One that we placed says so, should its id not have come back to us.
    let id = call_of_client_state(told.client_state.as_deref()?).and_then(|id| parse_id(&id))?;
    let context = app.node.call(id).filter(|context| context.spec.org == known.org)?;
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
    let Ok(client) = known.client(&app) else { return };
    let id = told.call_control_id.clone();
    let arrival = Arrival {
        carrier: Carrier::Telnyx,
        id: id.clone(),
        from: told.from,
        transport: json!({"callControlId": id, "callSessionId": told.call_session_id}),
    };
    let greeting = arrival::greet(&app, known, arrival).await;
    match greeting {
        Greeting::Connect(call) => match app.node.call(call) {
            Some(context) => context.pick_up(false).await,
            None => hang_up(&client, &id).await,
        },
        Greeting::Say(words) => see_off(&app, &client, &id, &words, None).await,
        Greeting::Forward { destination, caller_id, message } => {
            let to = Some((destination, caller_id));
            see_off(&app, &client, &id, &message, to).await;
        }
    }
}

/// Answers, speaks, and hangs up or sends the caller on. Whatever fails, nobody is left in silence.
async fn see_off(
    app: &App,
    client: &Client,
    id: &str,
    words: &str,
    then: Option<(Destination, Option<String>)>,
) {
    let Client::Telnyx { client: telnyx, .. } = client else { return };
    let seen_off = async {
        say(app, telnyx, id, words).await?;
        match &then {
            Some((to, caller_id)) => forward(app, telnyx, id, to, caller_id.as_deref()).await,
            None => Ok(false),
        }
    };
    match seen_off.await {
        Ok(true) => return,
        Ok(false) => {}
        Err(error) => tracing::error!(%error, "a call that came in was not taken"),
    }
    hang_up(client, id).await;
}

/// Answers, and speaks.
async fn say(app: &App, client: &Telnyx, id: &str, words: &str) -> Result<(), CarrierError> {
    let (up, command) = (app.desk.await_speech(&answer_key(id)), new_id());
    if !insist(|| client.answer(id, &command)).await? {
        return Ok(());
    }
    // A call that is not up yet is told nothing; one whose report is late is.
    let _ = timeout(ANSWER_TOLD, up).await;
    if words.is_empty() {
        return Ok(());
    }
    let (over, command) = (app.desk.await_speech(id), new_id());
    if insist(|| client.speak(id, &command, words, VOICE)).await? {
        // Whoever hangs up ends the wait too.
        let _ = timeout(SPEECH_MAX, over).await;
    }
    Ok(())
}

/// Sends a caller on; false when nobody has them, who would hear nothing for ever.
async fn forward(
    app: &App,
    client: &Telnyx,
    id: &str,
    to: &Destination,
    caller_id: Option<&str>,
) -> Result<bool, CarrierError> {
    let state = client_state(&format!("{FORWARDED}{id}"));
    let transfer = Transfer {
        from: caller_id,
        timeout: Some(RING),
        target_state: Some(&state),
        ..Transfer::default()
    };
    let digits = match to {
        Destination::Number { extension, .. } => extension.as_deref().map(send_digits),
        Destination::Sip { .. } => None,
    };
    // One that cannot be dialled is left out.
    let digits = digits.and_then(Result::ok);
    let transfer = match to {
        Destination::Number { number, .. } => {
            Transfer { to: number, digits: digits.as_deref(), ..transfer }
        }
        Destination::Sip { uri, headers } => Transfer { to: uri, headers, ..transfer },
    };
    let (bridged, refused) = (app.desk.await_speech(id), app.desk.await_speech(&refusal_key(id)));
    let command = new_id();
    if !insist(|| client.transfer(id, &command, &transfer)).await? {
        return Ok(false);
    }
    tokio::select! {
        // The caller may have hung up as well.
        _ = bridged => Ok(true),
        _ = refused => Ok(false),
        () = sleep(BRIDGE_DUE) => Ok(false),
    }
}

async fn hang_up(client: &Client, id: &str) {
    if let Err(error) = end_at_carrier(client, id).await {
        tracing::error!(%error, "a call that was not taken was not ended");
    }
}

/// What Telnyx knows the leg by to which a caller was sent on whom nobody answers, before the id of
/// the caller's.
const FORWARDED: &str = "forwarded ";

fn forwarded_by_state(state: &str) -> Option<String> {
    call_of_client_state(state)?.strip_prefix(FORWARDED).map(str::to_owned)
}

/// Who waits for the news that a call is up.
fn answer_key(call: &str) -> String {
    format!("answered {call}")
}

/// Who waits for the news that nobody takes a caller.
fn refusal_key(caller: &str) -> String {
    format!("refused {caller}")
}

fn new_id() -> String {
    Uuid::new_v4().to_string()
}
