mod noises;
mod others;

use std::f32::consts::TAU;

use super::*;
use crate::g711::{decode_mulaw, encode_mulaw};

const RATE: u32 = 8_000;

/// Two sentences of 1.61 s and 1.23 s, spoken by flite (voice rms), with 0.5 s between them. They begin
/// and end where 10 ms of them exceed -45 dB.
const SENTENCES: &[u8] = include_bytes!("../../testdata/two-sentences-8khz.wav");
const EDGES: [f32; 4] = [0.0, 1.61, 2.11, 3.34];

/// How far an edge may be from the truth.
const TOLERANCE_S: f32 = 0.15;

fn sentences() -> Vec<i16> {
    hound::WavReader::new(SENTENCES).unwrap().into_samples().map(|sample| sample.unwrap()).collect()
}

/// The sentences behind a second of silence and before another.
fn call() -> Vec<i16> {
    let second = vec![0; RATE as usize];
    [second.clone(), sentences(), second].concat()
}

fn through_mulaw(samples: &[i16]) -> Vec<i16> {
    samples.iter().map(|&sample| decode_mulaw(encode_mulaw(sample))).collect()
}

/// White noise of a level, the same every time (xorshift).
fn noise(samples: usize, db: f32) -> Vec<i16> {
    // Equally likely values between two ends have a third of the power of the ends.
    let peak = 32_768.0 * 10f32.powf(db / 20.0) * 3f32.sqrt();
    let mut state = 0x2545_F491u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state as f32 / u32::MAX as f32 * 2.0 - 1.0) * peak
    };
    (0..samples).map(|_| next() as i16).collect()
}

fn mix(a: &[i16], b: &[i16]) -> Vec<i16> {
    a.iter().zip(b).map(|(a, b)| a.saturating_add(*b)).collect()
}

fn edges(rate: u32, samples: &[i16]) -> Vec<VadEdge> {
    let mut vad = Vad::new(rate, VadOptions::default());
    samples.chunks(rate as usize / 50).flat_map(|frame| vad.push(frame)).collect()
}

/// Fails unless speech begins and ends at these times, in seconds.
#[track_caller]
fn assert_edges(found: &[VadEdge], times: impl IntoIterator<Item = f32>) {
    let times: Vec<f32> = times.into_iter().collect();
    assert_eq!(found.len(), times.len(), "found {found:?}, expected edges at {times:?}");
    for (index, (edge, time)) in found.iter().zip(times).enumerate() {
        let at = match (edge, index % 2) {
            (VadEdge::Started { at }, 0) | (VadEdge::Stopped { at }, 1) => at.as_secs_f32(),
            (VadEdge::Started { .. } | VadEdge::Stopped { .. }, _) => panic!("order: {found:?}"),
        };
        assert!((at - time).abs() <= TOLERANCE_S, "found {found:?}, expected an edge at {time}");
    }
}

#[test]
fn sentences_begin_and_end_where_they_do() {
    assert_edges(&edges(RATE, &call()), EDGES.map(|edge| edge + 1.0));
}

#[test]
fn a_phone_line_changes_nothing() {
    assert_edges(&edges(RATE, &through_mulaw(&call())), EDGES.map(|edge| edge + 1.0));
}

#[test]
fn a_quiet_caller_is_heard() {
    let quiet: Vec<i16> = call().iter().map(|sample| sample / 10).collect();
    assert_edges(&edges(RATE, &through_mulaw(&quiet)), EDGES.map(|edge| edge + 1.0));
}

#[test]
fn noise_around_a_caller_does_not_hide_the_edges() {
    let call = call();
    for db in [-60.0, -50.0, -40.0] {
        let noisy = through_mulaw(&mix(&call, &noise(call.len(), db)));
        assert_edges(&edges(RATE, &noisy), EDGES.map(|edge| edge + 1.0));
    }
}

#[test]
fn the_rate_of_the_leg_does_not_matter() {
    for rate in [16_000, 24_000, 48_000] {
        let mut resampler = Resampler::new(RATE, rate);
        assert_edges(&edges(rate, &resampler.process(&call())), EDGES.map(|edge| edge + 1.0));
    }
}

#[test]
fn pieces_of_any_size_give_the_same_edges() {
    let call = call();
    let mut vad = Vad::new(RATE, VadOptions::default());
    let pieces: Vec<VadEdge> = call.chunks(37).flat_map(|piece| vad.push(piece)).collect();
    assert_eq!(pieces, edges(RATE, &call));
    assert_eq!(pieces, Vad::new(RATE, VadOptions::default()).push(&call));
}

#[test]
fn speech_is_noticed_soon_after_it_began() {
    let mut vad = Vad::new(RATE, VadOptions::default());
    let frames = call().chunks(160).position(|frame| !vad.push(frame).is_empty()).unwrap();
    assert!(frames < 50 + 10, "noticed {} ms late", (frames - 50) * 20);
}

#[test]
fn silence_and_steady_noise_are_no_speech() {
    let eight_seconds = 8 * RATE as usize;
    assert_eq!(edges(RATE, &vec![0; eight_seconds]), []);
    for db in [-70.0, -60.0, -50.0, -40.0, -30.0, -20.0] {
        assert_eq!(edges(RATE, &through_mulaw(&noise(eight_seconds, db))), [], "at {db} dB");
    }
}

#[test]
fn tones_and_hum_of_the_line_are_no_speech() {
    let tone = |hz: f32, db: f32, n: usize| {
        (32_768.0 * 10f32.powf(db / 20.0) * (TAU * hz * n as f32 / RATE as f32).sin()) as i16
    };
    let samples = 0..4 * RATE as usize;
    let hum: Vec<i16> =
        samples.clone().map(|n| tone(50.0, -25.0, n) + tone(150.0, -30.0, n)).collect();
    let dial_tone: Vec<i16> =
        samples.map(|n| tone(350.0, -18.0, n) + tone(440.0, -18.0, n)).collect();
    assert_eq!(edges(RATE, &hum), []);
    assert_eq!(edges(RATE, &dial_tone), []);
}

#[test]
fn clicks_are_no_speech() {
    let clicks: Vec<i16> =
        (0..4 * RATE as usize).map(|n| if n % 8_000 < 40 { 20_000 } else { 0 }).collect();
    assert_eq!(edges(RATE, &clicks), []);
}
