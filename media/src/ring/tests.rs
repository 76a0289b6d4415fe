use proptest::prelude::*;

use super::*;

const FORMAT: AudioFormat = AudioFormat::mulaw();

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What lies at a position, so that each sample tells where it belongs.
fn sample_at(position: u64) -> u8 {
    (position % 251) as u8
}

fn audio(from: u64, samples: u64) -> Bytes {
    (from..from + samples).map(sample_at).collect()
}

fn filled(capacity: Duration, samples: u64) -> AudioRing {
    let mut ring = AudioRing::new(FORMAT, capacity);
    for frame in 0..samples / 160 {
        assert_eq!(ring.push(audio(frame * 160, 160)), Duration::ZERO);
    }
    ring
}

#[test]
fn two_readers_get_the_same_audio_at_their_own_pace() {
    let ring = filled(seconds(30), 16_000);
    let mut read = BytesMut::new();
    while let RingRead { at, skipped: 0, audio } = ring.read(read.len() as u64, seconds(1) / 50)
        && !audio.is_empty()
    {
        assert_eq!(at, read.len() as u64);
        read.extend_from_slice(&audio);
    }
    assert_eq!(read, ring.read(0, seconds(2)).audio);
    assert_eq!(read, audio(0, 16_000));
}

#[test]
fn a_reader_at_the_end_gets_nothing_and_keeps_its_place() {
    let ring = filled(seconds(30), 160);
    assert_eq!(ring.read(160, seconds(1)), RingRead { at: 160, skipped: 0, audio: Bytes::new() });
}

#[test]
fn a_read_within_one_segment_does_not_copy() {
    let ring = filled(seconds(30), 16_000);
    let (one, two) = (ring.read(0, seconds(1) / 4), ring.read(800, seconds(1) / 4));
    assert_eq!(one.audio[800..].as_ptr(), two.audio.as_ptr());
}

#[test]
fn committed_audio_goes_after_the_grace() {
    let mut ring = filled(seconds(30), 80_000);
    ring.commit(8_000);
    assert_eq!(ring.start(), 0);
    ring.commit(40_000);
    assert_eq!(ring.start(), 24_000);
    let late = ring.read(23_000, seconds(1));
    assert_eq!((late.at, late.skipped), (24_000, 1_000));
    assert_eq!(late.audio, audio(24_000, 8_000));

    // A commit never goes back, nor beyond what there is.
    ring.commit(10_000);
    assert_eq!(ring.start(), 24_000);
    ring.commit(u64::MAX);
    assert_eq!((ring.start(), ring.end()), (64_000, 80_000));
}

#[test]
fn audio_beyond_the_capacity_is_lost_and_counted_unless_it_was_committed() {
    let mut ring = filled(seconds(5), 40_000);
    assert_eq!(ring.push(audio(40_000, 160)), Duration::from_millis(20));
    ring.commit(1_000);
    // Of the next two seconds that fall out, 840 samples are committed.
    assert_eq!(ring.push(audio(40_160, 16_000)), FORMAT.duration_of(16_000 - 840));
    assert_eq!(ring.start(), 16_160);
}

#[test]
fn a_push_longer_than_the_capacity_keeps_its_end() {
    let mut ring = AudioRing::new(AudioFormat::pcm16(16_000), seconds(1));
    assert_eq!(ring.push(Bytes::from(vec![1; 320_000])), seconds(9));
    assert_eq!(ring.read(0, seconds(60)).audio.len(), 32_000);
    assert_eq!(ring.read(0, seconds(60)).skipped, 144_000);
}

#[derive(Clone, Debug)]
enum Op {
    Push(u64),
    /// Commit up to a part of what there is.
    Commit(f64),
    /// A reader reads at most so many samples.
    Read(usize, u64),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (0u64..1_500).prop_map(Op::Push),
        1 => (0.0..1.2f64).prop_map(Op::Commit),
        4 => (0usize..3, 0u64..3_000).prop_map(|(reader, max)| Op::Read(reader, max)),
    ];
    prop::collection::vec(op, 1..200)
}

proptest! {
    #[test]
    fn every_sample_is_read_once_in_order_or_counted_as_lost(
        ops in ops(),
        capacity_ms in 1u64..6_000,
    ) {
        let capacity = Duration::from_millis(capacity_ms);
        let mut ring = AudioRing::new(FORMAT, capacity);
        let mut cursors = [0u64; 3];
        let (mut pushed, mut committed, mut dropped) = (0, 0u64, 0);
        for op in ops {
            match op {
                Op::Push(samples) => {
                    let (start, floor) = (ring.start(), committed);
                    let lost = ring.push(audio(pushed, samples));
                    pushed += samples;
                    let expected = (start..ring.start()).filter(|&at| at >= floor).count() as u64;
                    prop_assert_eq!(lost, FORMAT.duration_of(expected));
                    dropped += expected;
                }
                Op::Commit(part) => {
                    let until = (pushed as f64 * part) as u64;
                    ring.commit(until);
                    committed = committed.max(until.min(pushed));
                }
                Op::Read(reader, max) => {
                    let cursor = &mut cursors[reader];
                    let read = ring.read(*cursor, FORMAT.duration_of(max));
                    prop_assert_eq!(read.at, *cursor + read.skipped);
                    prop_assert_eq!(read.skipped, ring.start().saturating_sub(*cursor));
                    let expected = (pushed - read.at).min(max);
                    prop_assert_eq!(&read.audio, &audio(read.at, expected));
                    *cursor = read.at + expected;
                }
            }
            prop_assert_eq!(ring.end(), pushed);
            prop_assert!(ring.end() - ring.start() <= FORMAT.samples_in(capacity));
            let held: usize = ring.segments.iter().map(|segment| segment.audio.len()).sum();
            let held = held + ring.tail.capacity();
            prop_assert!(held <= FORMAT.bytes_in(capacity + 2 * SEGMENT), "{} bytes", held);
        }
        prop_assert!(dropped <= pushed);
    }
}

#[test]
fn a_ring_may_begin_behind_what_another_held() {
    let mut ring = AudioRing::starting_at(AudioFormat::mulaw(), Duration::from_secs(1), 8_000);
    assert_eq!(ring.end(), 8_000);
    assert_eq!(ring.push(Bytes::from_static(&[7; 80])), Duration::ZERO);
    let read = ring.read(0, Duration::from_secs(1));
    assert_eq!((read.at, read.skipped, read.audio.len()), (8_000, 8_000, 80));
}
