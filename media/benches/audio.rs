//! What a call does to every 20 ms of audio.
//!
//! A call has fifty such frames a second in each direction, so that 1 µs here is 0.005 % of a core a call.

use std::{hint::black_box, time::Duration};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use offhook_media::{AudioFormat, AudioRing, Playout, PlayoutOptions, Resampler, Vad, VadOptions};

const FRAME: Duration = Duration::from_millis(20);

/// Two sentences and the pause between them, 8 kHz.
const SENTENCES: &[u8] = include_bytes!("../testdata/two-sentences-8khz.wav");

/// What a call's ring keeps at most.
const RING: Duration = Duration::from_secs(30);

fn ring(c: &mut Criterion) {
    let format = AudioFormat::mulaw();
    let frame = Bytes::from(vec![0x90; format.bytes_in(FRAME)]);
    let mut ring = AudioRing::new(format, RING);
    let mut cursor = 0;
    c.bench_function("ring: push and read a frame", |b| {
        b.iter(|| {
            ring.push(frame.clone());
            let read = ring.read(cursor, FRAME);
            cursor = ring.end();
            ring.commit(cursor);
            read
        });
    });
}

fn playout(c: &mut Criterion) {
    let format = AudioFormat::mulaw();
    let frame = Bytes::from(vec![0x90; format.bytes_in(FRAME)]);
    let mut playout = Playout::new(format, PlayoutOptions::default());
    let mut now = Duration::ZERO;
    c.bench_function("playout: queue and send a frame", |b| {
        b.iter(|| {
            now += FRAME;
            assert!(playout.queue(1, frame.clone()), "as much is heard as is queued");
            (playout.poll(now), playout.take_notices(), playout.next_due(now))
        });
    });
}

fn g711(c: &mut Criterion) {
    let format = AudioFormat::mulaw();
    let samples = &sentences()[..format.samples_in(FRAME) as usize];
    let audio = format.encode(samples);
    c.bench_function("g711: decode a frame", |b| b.iter(|| format.decode(black_box(&audio))));
    c.bench_function("g711: encode a frame", |b| b.iter(|| format.encode(black_box(samples))));
}

fn resampler(c: &mut Criterion) {
    for (from_hz, to_hz) in [(8_000, 16_000), (16_000, 8_000), (24_000, 8_000)] {
        let samples = Resampler::new(8_000, from_hz).process(&sentences());
        let frame = &samples[..AudioFormat::pcm16(from_hz).samples_in(FRAME) as usize];
        let mut resampler = Resampler::new(from_hz, to_hz);
        c.bench_function(&format!("resampler: a frame from {from_hz} to {to_hz} Hz"), |b| {
            b.iter(|| resampler.process(black_box(frame)));
        });
    }
}

fn vad(c: &mut Criterion) {
    let samples = sentences();
    let mut frames = samples.chunks_exact(AudioFormat::mulaw().samples_in(FRAME) as usize).cycle();
    let mut vad = Vad::new(8_000, VadOptions::default());
    c.bench_function("vad: a frame at 8000 Hz", |b| {
        b.iter(|| frames.next().map(|frame| vad.push(frame)));
    });
}

fn sentences() -> Vec<i16> {
    let reader = hound::WavReader::new(SENTENCES).expect("the file is a WAV");
    reader.into_samples().collect::<Result<_, _>>().expect("its samples have 16 bits")
}

criterion_group!(benches, ring, playout, g711, resampler, vad);
criterion_main!(benches);
