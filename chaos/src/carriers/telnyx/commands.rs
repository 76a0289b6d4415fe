//! Call Control: what a call is told to do, carried out beside it.

use std::{sync::Arc, time::Duration};

use offhook_media::AudioFormat;
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use super::{dialect::MediaStreaming, webhook::tell};
use crate::carriers::{
    App,
    call::{Call, Order, Parties, Rung, ring},
    line::{Sink, Source},
    stream::{self, Plan, StreamEnd},
};

/// How long it rings when nothing is said.
pub const RING: Duration = Duration::from_secs(30);

/// Waits for whoever ends the call, and tells of it.
pub async fn watch_over(app: App, call: Arc<Call>, mut orders: mpsc::Receiver<Order>) {
    let (cause, source) = match orders.recv().await {
        Some(Order::PersonGone) => ("normal_clearing", "caller"),
        Some(Order::HangUp | Order::Instructions(_) | Order::LeaveConference) | None => {
            ("normal_clearing", "callee")
        }
    };
    finish(&app, &call, cause, source).await;
}

/// Ends a call: its stream stops, its webhook comes, and whoever it was connected with is alone.
pub async fn finish(app: &App, call: &Arc<Call>, cause: &str, source: &str) {
    stop_stream(call).await;
    call.end("ended", cause);
    tell(app, call, "call.hangup", json!({"hangup_cause": cause, "hangup_source": source}));
    let partner = call.facts().fields.get("partner").cloned();
    if let Some(partner) = partner.and_then(|id| app.call(&id)) {
        // Somebody who hung up first is not there any more.
        let _ = partner.order(Order::HangUp);
    }
}

/// Carries out a command.
///
/// # Errors
///
/// Says what is wrong with it.
pub async fn carry_out(
    app: &App,
    call: &Arc<Call>,
    command: &str,
    body: &Value,
) -> Result<(), String> {
    let text = |name: &str| body[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let required = |name: &str| text(name).ok_or_else(|| format!("{name} is required"));
    if let Some(state) = text("client_state") {
        call.set_field("client_state", &state);
    }
    match command {
        "answer" => {
            call.set_status("answered");
            call.answer();
            tell(app, call, "call.answered", json!({}));
            if body["stream_url"].is_string() {
                let mut known = body.clone();
                // As of every field that this command does not have.
                for unknown in ["custom_parameters", "stream_bidirectional_sampling_rate"] {
                    known[unknown] = Value::Null;
                }
                start_stream(app, call, &known)?;
            }
        }
        "reject" | "hangup" => {
            call.note(app, format!("command {command}"));
            let _ = call.order(Order::HangUp);
        }
        "streaming_start" => start_stream(app, call, body)?,
        "streaming_stop" => stop_stream(call).await,
        "speak" => {
            let length = call.line.say(&required("payload")?);
            tell(app, call, "call.speak.started", json!({}));
            let (app, call) = (app.clone(), call.clone());
            tokio::spawn(async move {
                sleep(length).await;
                tell(&app, &call, "call.speak.ended", json!({"status": "completed"}));
            });
        }
        "playback_start" => {
            required("audio_url")?;
            call.line.hear(Source::Music);
            tell(app, call, "call.playback.started", json!({}));
        }
        "playback_stop" => {
            call.line.hear(Source::Silence);
            tell(app, call, "call.playback.ended", json!({"status": "cancelled"}));
        }
        "send_dtmf" => {
            let digits = required("digits")?;
            call.line.with_handset(|handset| handset.heard.keys.push_str(&digits));
        }
        "transfer" => {
            let to = required("to")?;
            tokio::spawn(transfer(app.clone(), call.clone(), to, body.clone()));
        }
        "bridge" => {
            let other = required("call_control_id")?;
            let other = app.call(&other).filter(|call| !call.is_over());
            let other = other.ok_or("there is no such call to bridge with")?;
            bridge(app, call, &other).await;
        }
        _ => return Err(format!("the command {command} is not known here")),
    }
    Ok(())
}

fn start_stream(app: &App, call: &Arc<Call>, body: &Value) -> Result<(), String> {
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    let url = text("stream_url").ok_or("stream_url is required")?;
    let encoding = text("stream_codec").unwrap_or_else(|| "PCMU".into());
    let is_bidirectional = body["stream_bidirectional_mode"] == "rtp";
    let rate = body["stream_bidirectional_sampling_rate"].as_u64().unwrap_or(8_000);
    let codec = text("stream_bidirectional_codec").unwrap_or_else(|| "PCMU".into());
    if is_bidirectional && codec != encoding {
        return Err("the fake carries the same codec both ways: stream_codec is another".into());
    }
    let format = match (encoding.as_str(), rate) {
        ("PCMU" | "default", 8_000) => AudioFormat::mulaw(),
        ("L16", 8_000 | 16_000 | 24_000) => AudioFormat::pcm16(rate as u32),
        _ => return Err(format!("the fake does not carry {encoding} at {rate} Hz")),
    };
    let (stop, stopped) = watch::channel(false);
    if !call.take_stream(stop) {
        return Err("there is a stream already".into());
    }
    let dialect = MediaStreaming {
        format,
        encoding: if encoding == "default" { "PCMU".into() } else { encoding },
        call_control_id: call.id.clone(),
        stream_id: app.chance.id(),
        from: call.from.clone(),
        to: call.to.clone(),
        parameters: body["custom_parameters"].clone(),
        is_bidirectional,
        shuffles: app.options().telnyx_shuffles,
        sequence: 0,
        chunk: 0,
        held: None,
    };
    let stream_id = dialect.stream_id.clone();
    let plan = Plan { url, headers: Vec::new(), dialect: Box::new(dialect) };
    let (app, call) = (app.clone(), call.clone());
    tokio::spawn(async move {
        tell(&app, &call, "streaming.started", json!({"stream_id": stream_id}));
        let end = stream::run(&app, &call, plan, stopped).await;
        call.note(&app, format!("stream ended: {end:?}"));
        call.drop_stream();
        let (event, reason) = match end {
            // A customer that closes ends the stream, and not the call.
            StreamEnd::Closed(_) | StreamEnd::Stopped => ("streaming.stopped", Value::Null),
            StreamEnd::Lost(_) => ("streaming.failed", json!("connection_lost")),
            StreamEnd::Refused(_) => ("streaming.failed", json!("connection_failed")),
        };
        tell(&app, &call, event, json!({"stream_id": stream_id, "failure_reason": reason}));
    });
    Ok(())
}

async fn stop_stream(call: &Call) {
    /// Longest goodbye of a stream.
    const GOODBYE: Duration = Duration::from_secs(1);
    call.stop_stream();
    let until = tokio::time::Instant::now() + GOODBYE;
    while call.has_stream() && tokio::time::Instant::now() < until {
        sleep(Duration::from_millis(5)).await;
    }
}

async fn transfer(app: App, call: Arc<Call>, to: String, body: Value) {
    let from = body["from"].as_str().unwrap_or(&call.from).to_owned();
    let limit = body["timeout_secs"].as_u64().map_or(RING, Duration::from_secs);
    let parties = Parties {
        id: format!("v3:{}", app.chance.id()),
        carrier: "telnyx",
        is_inbound: false,
        from,
        to: to.clone(),
        parent: Some(call.id.clone()),
    };
    let Ok((other, orders)) = Call::new(&app, parties, app.persona(&to), "ringing") else {
        return;
    };
    for field in ["webhook_url", "connection_id", "session"] {
        if let Some(value) = call.facts().fields.get(field) {
            other.set_field(field, value);
        }
    }
    if let Some(state) = body["target_leg_client_state"].as_str() {
        other.set_field("client_state", state);
    }
    dial(&app, &other, orders, limit).await;
    if let Some(digits) = body["send_digits_on_answer"].as_str() {
        other.line.with_handset(|handset| handset.heard.keys.push_str(digits));
    }
    if !other.is_over() && !call.is_over() {
        bridge(&app, &call, &other).await;
    }
}

/// Rings, and tells how far it came; afterwards the call is watched over.
pub async fn dial(
    app: &App,
    call: &Arc<Call>,
    mut orders: mpsc::Receiver<Order>,
    limit: Duration,
) -> bool {
    tell(app, call, "call.initiated", json!({"state": "bridging"}));
    let ringing = ring(call, limit, || call.set_status("ringing"));
    let rung = tokio::select! {
        rung = ringing => rung,
        // Whatever is ordered before the answer ends it.
        _ = orders.recv() => {
            finish(app, call, "originator_cancel", "caller").await;
            return false;
        }
    };
    let cause = match rung {
        Rung::Answered => {
            call.set_status("answered");
            call.answer();
            tell(app, call, "call.answered", json!({}));
            tokio::spawn(watch_over(app.clone(), call.clone(), orders));
            return true;
        }
        Rung::Busy => "user_busy",
        Rung::NoAnswer => "timeout",
        Rung::Rejected => "call_rejected",
        Rung::NotFound => "not_found",
        Rung::Failed => "unspecified",
    };
    finish(app, call, cause, "callee").await;
    false
}

async fn bridge(app: &App, one: &Arc<Call>, other: &Arc<Call>) {
    for call in [one, other] {
        stop_stream(call).await;
    }
    let room = app.room(&other.id);
    for (call, partner) in [(one, other), (other, one)] {
        call.set_field("partner", &partner.id);
        room.enter(&call.id);
        let id = || (room.clone(), call.id.clone());
        let ((in_room, hears), (out_room, says)) = (id(), id());
        call.line.connect(Source::Room(in_room, hears), Sink::Room(out_room, says));
        tell(app, call, "call.bridged", json!({}));
    }
}

/// Tells what picked up, and when a greeting is over.
pub async fn detect(app: App, call: Arc<Call>, mode: String) {
    sleep(Duration::from_millis(call.persona.detection_ms)).await;
    if call.is_over() {
        return;
    }
    let is_machine = call.persona.is_machine;
    let (event, result) = match (mode.as_str(), is_machine) {
        ("premium", false) => ("call.machine.premium.detection.ended", "human_residence"),
        ("premium", true) => ("call.machine.premium.detection.ended", "machine"),
        (_, false) => ("call.machine.detection.ended", "human"),
        (_, true) => ("call.machine.detection.ended", "machine"),
    };
    tell(&app, &call, event, json!({"result": result}));
    if is_machine && mode != "detect" {
        let event = event.replace("detection", "greeting");
        tell(&app, &call, &event, json!({"result": "beep_detected"}));
    }
}
