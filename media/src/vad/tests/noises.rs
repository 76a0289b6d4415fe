//! Noises of a room that begin in the middle of a call.

use super::*;

const SECOND: usize = RATE as usize;

/// A noise through a resonance of one pole, which makes it a rumble (`pole` near 1) or leaves it white.
fn rumble(samples: usize, db: f32, pole: f32) -> Vec<i16> {
    let mut state = 0.0;
    // What the pole adds to the power.
    let gain = (1.0 - pole * pole).sqrt();
    let white = noise(samples, db);
    let filtered = white.iter().map(|&sample| {
        state = pole * state + gain * f32::from(sample);
        state as i16
    });
    filtered.collect()
}

fn shaped(samples: &[i16], gain: impl Fn(f32) -> f32) -> Vec<i16> {
    let at = |n: usize| n as f32 / RATE as f32;
    samples.iter().enumerate().map(|(n, &s)| (f32::from(s) * gain(at(n))) as i16).collect()
}

/// A second of a line with hardly a sound, a noise, and another second.
fn around(sound: &[i16]) -> Vec<i16> {
    let line = noise(SECOND, -70.0);
    through_mulaw(&[&line[..], sound, &line[..]].concat())
}

#[test]
fn a_fan_that_is_switched_on_is_no_speech() {
    for db in [-45.0, -35.0, -25.0] {
        for pole in [0.0, 0.5, 0.9] {
            let fan = around(&rumble(6 * SECOND, db, pole));
            assert_eq!(edges(RATE, &fan), [], "at {db} dB with a pole at {pole}");
        }
    }
}

#[test]
fn a_vacuum_cleaner_with_a_hum_is_no_speech() {
    let hum = (0..6 * SECOND).map(|n| (1_000.0 * (TAU * 120.0 * n as f32 / 8_000.0).sin()) as i16);
    let cleaner = mix(&hum.collect::<Vec<_>>(), &rumble(6 * SECOND, -22.0, 0.8));
    assert_eq!(edges(RATE, &around(&cleaner)), []);
}

#[test]
fn the_caller_is_heard_over_a_fan_that_was_just_switched_on() {
    let line = noise(SECOND, -70.0);
    let mut call =
        [&line[..], &vec![0; SECOND][..], &sentences()[..], &vec![0; SECOND][..]].concat();
    let fan = rumble(call.len() - SECOND, -40.0, 0.5);
    for (sample, fan) in call[SECOND..].iter_mut().zip(fan) {
        *sample = sample.saturating_add(fan);
    }
    assert_edges(&edges(RATE, &through_mulaw(&call)), EDGES.map(|edge| edge + 2.0));
}

#[test]
fn a_door_that_slams_is_no_speech() {
    for (db, decay_s) in [(-3.0, 0.05), (-10.0, 0.1), (-6.0, 0.15)] {
        let slam = rumble(SECOND, db, 0.9);
        let slam = shaped(&slam, |at| (-at / decay_s).exp());
        assert_eq!(edges(RATE, &around(&slam)), [], "{db} dB fading in {decay_s} s");
    }
}

#[test]
fn a_cough_is_at_most_a_short_sound() {
    // Air bursts out within 10 ms and fades for 300 ms, twice.
    let burst =
        shaped(&rumble(SECOND * 2 / 5, -14.0, 0.6), |at| (at / 0.01).min(1.0) * (-at / 0.08).exp());
    let cough = around(&[&burst[..], &burst[..]].concat());
    let found = edges(RATE, &cough);
    assert!(found.len() <= 4, "{found:?}");
    for pair in found.chunks(2) {
        let [VadEdge::Started { at: from }, VadEdge::Stopped { at: to }] = pair else {
            panic!("{found:?}");
        };
        assert!(*to - *from < Duration::from_millis(400), "{found:?}");
    }
}

#[test]
fn keys_that_are_pressed_are_no_speech() {
    let tone = |hz: f32, n: usize| (4_000.0 * (TAU * hz * n as f32 / 8_000.0).sin()) as i16;
    for (row, column) in [(697.0, 1_209.0), (770.0, 1_336.0), (852.0, 1_477.0), (941.0, 1_336.0)] {
        let key = (0..SECOND / 4).map(|n| tone(row, n) + tone(column, n)).collect::<Vec<_>>();
        let typed = [key, vec![0; SECOND / 10]].concat().repeat(4);
        assert_eq!(edges(RATE, &around(&typed)), [], "{row} + {column} Hz");
    }
}

#[test]
fn a_held_vowel_stays_speech() {
    // A pulse train of 120 Hz through two resonances, 700 and 1,100 Hz: "ah".
    let mut state = [0.0f32; 4];
    let resonance = |hz: f32| 2.0 * 0.95 * (TAU * hz / RATE as f32).cos();
    let (a, b) = (resonance(700.0), resonance(1_100.0));
    let vowel = (0..2 * SECOND).map(|n| {
        let pulse = if n % (SECOND / 120) == 0 { 2_000.0 } else { 0.0 };
        let first = pulse + a * state[0] - 0.9025 * state[1];
        (state[1], state[0]) = (state[0], first);
        let second = first + b * state[2] - 0.9025 * state[3];
        (state[3], state[2]) = (state[2], second);
        second as i16
    });
    let mut texture = Texture::default();
    let at_16_khz = Resampler::new(RATE, DETECTOR_HZ).process(&vowel.collect::<Vec<_>>());
    for frame in at_16_khz.chunks_exact(FRAME_SAMPLES).skip(4) {
        texture.follow(&at_half_rate(frame), true);
        assert!(!texture.is_steady_noise());
    }
    assert!(texture.is_voiced());
}
