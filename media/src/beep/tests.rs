use std::f32::consts::TAU;

use super::*;
use crate::g711::{decode_mulaw, encode_mulaw};

const SENTENCES: &[u8] = include_bytes!("../../testdata/two-sentences-8khz.wav");

fn greeting() -> Vec<i16> {
    hound::WavReader::new(SENTENCES).unwrap().into_samples().map(|sample| sample.unwrap()).collect()
}

fn tone(hz: &[f32], db: f32, ms: usize) -> Vec<i16> {
    let peak = 32_768.0 * 10f32.powf(db / 20.0) * 2f32.sqrt() / (hz.len() as f32).sqrt();
    let at = |n: usize| n as f32 / 8_000.0;
    let sample = |n| hz.iter().map(|hz| peak * (TAU * hz * at(n)).sin()).sum::<f32>();
    (0..ms * 8).map(|n| sample(n) as i16).collect()
}

/// A line that is never quite silent.
fn quiet(ms: usize) -> Vec<i16> {
    (0..ms * 8).map(|n| [3, -5, 8, -2, 0, 4, -7][n % 7]).collect()
}

/// Ends of beeps, in milliseconds.
fn beeps(parts: &[Vec<i16>]) -> Vec<u128> {
    let line: Vec<i16> =
        parts.concat().iter().map(|&sample| decode_mulaw(encode_mulaw(sample))).collect();
    let mut beep = Beep::new(8_000);
    line.chunks(160).filter_map(|frame| beep.push(frame)).map(|at| at.as_millis()).collect()
}

#[track_caller]
fn assert_beep(parts: &[Vec<i16>], expected_ms: usize) {
    let found = beeps(parts);
    let [at] = found[..] else { panic!("found {found:?}, expected one at {expected_ms}") };
    assert!(at.abs_diff(expected_ms as u128) <= 40, "found at {at}, expected at {expected_ms}");
}

#[test]
fn a_beep_after_a_greeting_is_found_where_it_ends() {
    let greeting = greeting();
    let spoken_ms = greeting.len() / 8;
    for hz in [420.0, 440.0, 620.0, 850.0, 1_000.0, 1_400.0, 1_633.0, 2_080.0] {
        for ms in [160, 250, 500, 1_000, 2_000, 4_800] {
            for db in [-10.0, -25.0, -35.0] {
                let parts =
                    [quiet(500), greeting.clone(), quiet(310), tone(&[hz], db, ms), quiet(1_000)];
                assert_beep(&parts, 500 + spoken_ms + 310 + ms);
            }
        }
    }
}

#[test]
fn a_beep_without_a_greeting_is_found_unless_networks_sound_like_it() {
    assert_beep(&[quiet(500), tone(&[1_000.0], -15.0, 400), quiet(500)], 900);
    assert_eq!(beeps(&[quiet(500), tone(&[425.0], -15.0, 400), quiet(500)]), []);
}

#[test]
fn the_rate_of_the_leg_does_not_matter() {
    let line = [quiet(500), tone(&[1_000.0], -15.0, 400), quiet(500)].concat();
    for rate in [16_000, 24_000, 48_000] {
        let line = Resampler::new(8_000, rate).process(&line);
        let mut beep = Beep::new(rate);
        let found: Vec<_> = line.chunks(441).filter_map(|piece| beep.push(piece)).collect();
        assert!(matches!(found[..], [at] if at.as_millis().abs_diff(900) <= 40), "{found:?}");
    }
}

#[test]
fn speech_is_no_beep() {
    assert_eq!(beeps(&[greeting(), quiet(1_000), greeting(), quiet(1_000)]), []);
}

#[test]
fn keys_of_a_telephone_are_no_beep() {
    for key in [[697.0, 1_209.0], [770.0, 1_336.0], [941.0, 1_477.0], [941.0, 1_633.0]] {
        assert_eq!(beeps(&[greeting(), tone(&key, -12.0, 300), quiet(1_000)]), [], "{key:?}");
    }
}

#[test]
fn ring_back_and_busy_tones_are_no_beeps() {
    let cadences: [(&[f32], usize, usize); 5] = [
        (&[440.0, 480.0], 2_000, 4_000),
        (&[425.0], 1_000, 4_000),
        (&[400.0, 450.0], 400, 200),
        (&[425.0], 500, 500),
        (&[480.0, 620.0], 500, 500),
    ];
    for (tones, on, off) in cadences {
        let cycle = [tone(tones, -15.0, on), quiet(off)].concat();
        assert_eq!(beeps(&[quiet(300), cycle.repeat(3)]), [], "{tones:?} for {on} of {off} ms");
    }
}

#[test]
fn information_tones_are_no_beep() {
    let tones = [950.0, 1_400.0, 1_800.0].map(|hz| tone(&[hz], -15.0, 330));
    assert_eq!(beeps(&[quiet(500), tones.concat(), quiet(1_000)]), []);
}

#[test]
fn a_tone_that_words_follow_at_once_is_no_beep() {
    assert_eq!(beeps(&[quiet(500), tone(&[1_000.0], -15.0, 300), greeting()]), []);
}

#[test]
fn a_tone_too_short_or_too_long_is_no_beep() {
    assert_eq!(beeps(&[greeting(), quiet(300), tone(&[1_000.0], -15.0, 90), quiet(500)]), []);
    assert_eq!(beeps(&[greeting(), quiet(300), tone(&[1_000.0], -15.0, 6_000), quiet(500)]), []);
}
