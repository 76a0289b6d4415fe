use std::f64::consts::TAU;

use super::*;

const AMPLITUDE: f64 = 10_000.0;

fn sine(hz: f64, rate: u32, samples: usize) -> Vec<i16> {
    (0..samples)
        .map(|n| (AMPLITUDE * (TAU * hz * n as f64 / f64::from(rate)).sin()).round() as i16)
        .collect()
}

/// Feeds pieces of changing, awkward sizes, and flushes.
fn resample(from: u32, to: u32, input: &[i16]) -> Vec<i16> {
    let mut resampler = Resampler::new(from, to);
    let (mut output, mut rest, mut size) = (Vec::new(), input, 1);
    while !rest.is_empty() {
        let (piece, others) = rest.split_at(size.min(rest.len()));
        output.extend(resampler.process(piece));
        rest = others;
        size = size * 7 % 331 + 1;
    }
    output.extend(resampler.flush());
    output
}

/// The largest difference, away from the two ends, where the filter sees the silence around.
fn difference(a: &[i16], b: &[i16], edge: usize) -> i32 {
    assert_eq!(a.len(), b.len());
    let pairs = a.iter().zip(b).take(a.len() - edge).skip(edge);
    pairs.map(|(a, b)| (i32::from(*a) - i32::from(*b)).abs()).max().unwrap_or(0)
}

#[test]
fn a_tone_keeps_level_frequency_and_place_in_time_at_every_pair_of_rates() {
    let rates = [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000];
    for from in rates {
        for to in rates {
            let output = resample(from, to, &sine(440.0, from, from as usize));
            let expected = sine(440.0, to, to as usize);
            let worst = difference(&output, &expected, to as usize / 100);
            assert!(worst <= 60, "{from} Hz to {to} Hz is off by {worst} of {AMPLITUDE}");
        }
    }
}

#[test]
fn a_rate_that_shares_little_with_the_other_is_interpolated() {
    let output = resample(8_000, 11_111, &sine(440.0, 8_000, 8_000));
    // It may lie up to half a sample off its place, which is this much where the tone is steepest.
    let half_sample = (AMPLITUDE * TAU * 440.0 / 11_111.0 / 2.0) as i32;
    assert!(difference(&output, &sine(440.0, 11_111, 11_111), 120) <= 60 + half_sample);
}

#[test]
fn there_and_back_again_is_the_same_tone() {
    let tone = sine(440.0, 8_000, 16_000);
    let output = resample(16_000, 8_000, &resample(8_000, 16_000, &tone));
    assert!(difference(&output, &tone, 100) <= 60);
}

#[test]
fn what_the_lower_rate_cannot_hold_is_filtered_out() {
    let output = resample(16_000, 8_000, &sine(5_500.0, 16_000, 16_000));
    let loudest = output[100..7_900].iter().map(|sample| sample.unsigned_abs()).max();
    assert!(loudest < Some(100), "an alias is left at {loudest:?} of {AMPLITUDE}");
}

#[test]
fn telephone_band_passes_unchanged() {
    let output = resample(8_000, 16_000, &sine(3_300.0, 8_000, 8_000));
    assert!(difference(&output, &sine(3_300.0, 16_000, 16_000), 200) <= 300);
}

#[test]
fn pieces_do_not_matter() {
    let tone = sine(700.0, 8_000, 4_000);
    let mut whole = Resampler::new(8_000, 16_000);
    let mut at_once = whole.process(&tone);
    at_once.extend(whole.flush());
    assert_eq!(resample(8_000, 16_000, &tone), at_once);
}

#[test]
fn output_follows_input_by_less_than_ten_milliseconds() {
    for (from, to) in [(8_000, 16_000), (16_000, 8_000), (8_000, 24_000), (48_000, 8_000)] {
        let mut resampler = Resampler::new(from, to);
        let (mut taken, mut given) = (0.0, 0.0);
        for _ in 0..100 {
            let piece = vec![0; from as usize / 90];
            taken += piece.len() as f64 / f64::from(from);
            given += resampler.process(&piece).len() as f64 / f64::from(to);
            assert!(taken - given < 0.010, "{from} Hz to {to} Hz is {} s late", taken - given);
        }
    }
}

#[test]
fn the_loudest_sound_is_clipped_and_does_not_wrap() {
    let square: Vec<i16> =
        (0..800).map(|n| if n / 20 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
    let output = resample(8_000, 16_000, &square);
    for (n, sample) in output.iter().enumerate().skip(100).take(1_400) {
        // In the middle of each half wave the sign is never in doubt.
        if (10..30).contains(&(n % 40)) {
            assert_eq!(*sample > 0, n / 40 % 2 == 0, "sample {n} is {sample}");
        }
    }
}

#[test]
fn equal_rates_pass_samples_on() {
    let mut resampler = Resampler::new(8_000, 8_000);
    assert_eq!(resampler.process(&[1, 2, 3]), [1, 2, 3]);
    assert!(resampler.flush().is_empty());
}

#[test]
fn a_flushed_resampler_begins_anew() {
    let tone = sine(440.0, 8_000, 1_000);
    let mut resampler = Resampler::new(8_000, 16_000);
    let mut streams = (0..2).map(|_| {
        let mut output = resampler.process(&tone);
        output.extend(resampler.flush());
        output
    });
    assert_eq!(streams.next(), streams.next());
    assert!(Resampler::new(8_000, 16_000).flush().is_empty());
}
