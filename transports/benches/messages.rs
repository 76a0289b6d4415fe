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

criterion_group!(benches, media, control);
criterion_main!(benches);
