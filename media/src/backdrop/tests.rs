use std::io::Cursor;

use hound::{SampleFormat, WavReader};

use super::*;
use crate::{Vad, VadOptions};

const SENTENCES: &[u8] = include_bytes!("../../testdata/two-sentences-8khz.wav");

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn level_db(samples: &[i16]) -> f32 {
    let power = samples.iter().map(|&s| (f32::from(s) / 32_768.0).powi(2)).sum::<f32>();
    10.0 * (power / samples.len() as f32).log10()
}

fn wav(channels: u16, sample_rate: u32, samples: &[i16]) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels,
        sample_rate,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let mut file = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
    samples.iter().for_each(|&sample| writer.write_sample(sample).unwrap());
    writer.finalize().unwrap();
    file.into_inner()
}

#[test]
fn an_office_is_soft_and_the_same_every_time() {
    for rate in [8_000, 16_000, 24_000] {
        let office = office(rate);
        assert!((level_db(&office) - LEVEL_DB).abs() < 1.0, "{} dB", level_db(&office));
        let peak = office.iter().map(|s| s.unsigned_abs()).max().unwrap();
        assert!(f32::from(peak) <= 32_768.0 * amplitude(LEVEL_DB + PEAK_DB));
        assert_eq!(office, super::office(rate));
    }
}

#[test]
fn a_backdrop_that_comes_back_from_the_line_is_no_speech() {
    let format = AudioFormat::mulaw();
    let office = office(8_000);
    // An echo on a bad line is 10 dB below what was sent.
    let echo: Vec<i16> = office.iter().map(|sample| sample / 3).collect();
    let sent = format.decode(&format.encode(&echo));
    let mut vad = Vad::new(8_000, VadOptions::default());
    let edges: Vec<_> = sent.chunks(160).flat_map(|frame| vad.push(frame)).collect();
    assert_eq!(edges, []);
}

#[test]
fn speech_over_a_backdrop_is_far_above_it() {
    let format = AudioFormat::pcm16(8_000);
    let speech: Vec<i16> =
        WavReader::new(SENTENCES).unwrap().into_samples().map(|s| s.unwrap()).collect();
    let mut backdrop = Backdrop::new(format, office(8_000).into());
    let mixed = format.decode(&backdrop.mix(ms(0), &format.encode(&speech)));
    assert_eq!(mixed.len(), speech.len());
    let difference: Vec<i16> = mixed.iter().zip(&speech).map(|(a, b)| a.wrapping_sub(*b)).collect();
    assert!(level_db(&speech) - level_db(&difference) > 18.0);
}

#[test]
fn silence_is_filled_in_real_time_and_speech_takes_its_place() {
    let format = AudioFormat::mulaw();
    let mut backdrop = Backdrop::new(format, vec![100; 1_000].into());
    assert_eq!(backdrop.fill(ms(1_000)).len(), 5);
    assert_eq!(backdrop.fill(ms(1_000)).len(), 0);
    assert_eq!(backdrop.fill(ms(1_020)).len(), 1);
    // Half a second of speech is sent ahead.
    for _ in 0..25 {
        assert_eq!(backdrop.mix(ms(1_020), &[0xFF; 160]).len(), 160);
    }
    assert_eq!(backdrop.fill(ms(1_500)).len(), 0);
    assert_eq!(backdrop.fill(ms(1_540)).len(), 1);
}

#[test]
fn a_leg_that_forgot_what_it_had_is_filled_again_and_a_stall_is_not_made_up_for() {
    let mut backdrop = Backdrop::new(AudioFormat::mulaw(), vec![100; 1_000].into());
    backdrop.mix(ms(0), &[0xFF; 8_000]);
    backdrop.cleared(ms(100));
    assert_eq!(backdrop.fill(ms(100)).len(), 5);
    assert_eq!(backdrop.fill(ms(9_000)).len(), 5);
}

#[test]
fn mixing_follows_the_law_of_the_leg() {
    let format = AudioFormat::mulaw();
    let mut backdrop = Backdrop::new(format, vec![400, -400].into());
    let mixed = format.decode(&backdrop.mix(ms(0), &format.encode(&[8_000, 8_000, 0, i16::MIN])));
    for (mixed, expected) in mixed.into_iter().zip([8_400, 7_600, 400, i16::MIN]) {
        assert!(mixed.abs_diff(expected) < 700, "{mixed}, expected {expected}");
    }
}

#[test]
fn a_wav_file_of_any_kind_becomes_a_loop_at_the_level_of_a_backdrop() {
    let loud: Vec<i16> = (0..96_000).map(|n| if n % 70 < 35 { 20_000 } else { -20_000 }).collect();
    let sound = loop_of_wav(&wav(2, 48_000, &loud), 8_000).unwrap();
    assert_eq!(sound.len(), 8_000 - 2_000);
    assert!((level_db(&sound) - LEVEL_DB).abs() < 1.0);
    let long = wav(1, 8_000, &vec![1_000; 8_000 * 90]);
    assert_eq!(loop_of_wav(&long, 8_000).unwrap().len(), 8_000 * 60 - 2_000);
}

#[test]
fn what_is_no_wav_file_is_refused() {
    assert!(loop_of_wav(b"ID3\x04mp3", 8_000).unwrap_err().contains("no WAV file"));
    assert!(loop_of_wav(b"", 8_000).is_err());
    assert!(loop_of_wav(&wav(1, 8_000, &[1; 100]), 8_000).unwrap_err().contains("shorter"));
    assert!(loop_of_wav(&wav(9, 8_000, &[1; 9_000]), 8_000).unwrap_err().contains("9 channels"));
}
