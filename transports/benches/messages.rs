//! What a leg does to every message.

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use offhook_transports::{LegCodec, Wire};
use serde_json::json;

/// 20 ms of mu-law at 8 kHz.
const FRAME_BYTES: usize = 160;

fn media(c: &mut Criterion) {
    let mut leg = leg();
    let frame = Bytes::from(vec![0x90; FRAME_BYTES]);
    c.bench_function("vapi.websocket: read a frame", |b| {
        b.iter(|| leg.decode(Wire::Binary(frame.clone())));
    });
    c.bench_function("vapi.websocket: write a frame", |b| b.iter(|| leg.audio(frame.clone())));
}

fn carriers(c: &mut Criterion) {
    let format = json!({"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1});
    let start = json!({"event": "start", "streamSid": "MZ1",
        "start": {"streamSid": "MZ1", "callSid": "CA1", "mediaFormat": format}});
    let mut leg = offhook_transports::build(&json!({"provider": "twilio"}))
        .expect("Twilio is one of the transports");
    leg.decode(Wire::Text(start.to_string())).expect("a stream begins so");
    // 160 bytes of base64, without a number: each is new.
    let payload = "kJCQ".repeat(53) + "kA==";
    let media = json!({"event": "media", "sequenceNumber": "3", "streamSid": "MZ1",
        "media": {"track": "inbound", "timestamp": "20", "payload": payload}})
    .to_string();
    c.bench_function("twilio: read a frame", |b| {
        b.iter(|| leg.decode(Wire::Text(media.clone())));
    });
    let frame = Bytes::from(vec![0x90; FRAME_BYTES]);
    c.bench_function("twilio: write a frame", |b| b.iter(|| leg.audio(frame.clone())));
}

fn control(c: &mut Criterion) {
    let mut leg = leg();
    let said =
        json!({"type": "say", "content": "One moment, please.", "endCallAfterSpoken": false});
    let said = said.to_string();
    c.bench_function("vapi.websocket: read a control message", |b| {
        b.iter(|| leg.decode(Wire::Text(said.clone())));
    });
    let heard = json!({
        "type": "transcript",
        "role": "user",
        "transcriptType": "final",
        "transcript": "I would like to move my appointment to Thursday at ten.",
    });
    c.bench_function("vapi.websocket: write a server message", |b| b.iter(|| leg.event(&heard)));
}

fn leg() -> Box<dyn LegCodec> {
    let format = json!({"format": "mulaw", "container": "raw", "sampleRate": 8000});
    let transport = json!({"provider": "vapi.websocket", "audioFormat": format});
    offhook_transports::build(&transport).expect("the contract has this transport")
}

criterion_group!(benches, media, carriers, control);
criterion_main!(benches);
