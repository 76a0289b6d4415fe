use std::time::Duration;

use offhook_media::AudioFormat;

use crate::{LegError, Wire, close_code};

/// The longest message that is used, in bytes.
///
/// Holds ten seconds of the widest format (16-bit at 48 kHz: 960 kB), which is the most that a client
/// can have kept back.
pub const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

/// The longest message that the socket should read, in bytes, for its message and frame size.
///
/// More than is used: a client that sends 10 MB at once reads nothing until all of it is written,
/// so it must be taken off the wire for the client to get an answer, and not a connection reset.
pub const SOCKET_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// The longest interruption of the network after which everything kept back may arrive at once.
///
/// Longer ones end most TCP connections of telephony in practice, and ten seconds of speech all at
/// once are as much as a transcriber can catch up with before the caller gives up.
const STALL: Duration = Duration::from_secs(10);

/// Sustained speed of audio, in percent of real time: clocks that run fast, and clients that
/// catch up.
const AUDIO_SPEED_PERCENT: u64 = 150;

/// Sustained messages in a second. The shortest frames in use are those of a browser's audio
/// worklet: 128 samples, which at 48 kHz are 375 a second.
const MESSAGES_PER_SECOND: u64 = 500;

/// Sustained bytes in a second besides audio: control messages.
const CONTROL_BYTES_PER_SECOND: u64 = 32 * 1024;

/// What base64 in JSON makes of audio, at most: 4/3, and the JSON around short frames.
const TEXT_EXPANSION: u64 = 2;

/// Keeps one peer from costing more than a call is worth: messages, bytes and audio in a second.
///
/// Each limit is a bucket that holds ten seconds of its sustained rate, so a client that was cut off
/// for a while may catch up, and one that sends a file as fast as it can is told to slow down.
pub struct RateLimit {
    format: AudioFormat,
    messages: Bucket,
    bytes: Bucket,
    audio: Bucket,
}

impl RateLimit {
    /// For a leg that carries audio in `format`.
    pub fn new(format: AudioFormat) -> Self {
        let samples_per_second = u64::from(format.sample_rate_hz);
        let audio_bytes = samples_per_second * format.bytes_per_sample() as u64;
        let bytes = audio_bytes * TEXT_EXPANSION + CONTROL_BYTES_PER_SECOND;
        Self {
            format,
            messages: Bucket::new(MESSAGES_PER_SECOND * STALL.as_secs(), MESSAGES_PER_SECOND),
            bytes: Bucket::new(bytes * STALL.as_secs(), bytes),
            audio: Bucket::new(
                samples_per_second * STALL.as_secs(),
                samples_per_second * AUDIO_SPEED_PERCENT / 100,
            ),
        }
    }

    /// Admits a message before it is decoded.
    pub fn admit(&mut self, now: Duration, message: &Wire) -> Result<(), LegError> {
        if message.len() > MAX_MESSAGE_BYTES {
            return Err(LegError::message_too_long());
        }
        if !self.messages.take(now, 1) {
            return Err(LegError::new(
                close_code::POLICY,
                format!(
                    "too many messages: at most {MESSAGES_PER_SECOND} a second over {} s, send \
                     audio in messages of 20 ms",
                    STALL.as_secs()
                ),
            ));
        }
        if !self.bytes.take(now, message.len() as u64) {
            return Err(LegError::new(
                close_code::TOO_BIG,
                format!(
                    "too many bytes: at most {} a second over {} s, send audio in real time",
                    self.bytes.per_second,
                    STALL.as_secs()
                ),
            ));
        }
        Ok(())
    }

    /// Admits the audio that a message turned out to hold.
    pub fn admit_audio(&mut self, now: Duration, audio_bytes: usize) -> Result<(), LegError> {
        if self.audio.take(now, self.format.samples_in_bytes(audio_bytes)) {
            return Ok(());
        }
        Err(LegError::new(
            close_code::POLICY,
            format!(
                "audio more than {} s ahead of real time: send it as it is spoken, at most {}.{} \
                 times as fast",
                STALL.as_secs(),
                AUDIO_SPEED_PERCENT / 100,
                AUDIO_SPEED_PERCENT % 100 / 10
            ),
        ))
    }
}

/// Requests of clients that a call takes in a second: people press buttons, programs inject a
/// message a turn, and each makes the whole history go out again.
const CONTROLS_PER_SECOND: u64 = 5;

/// Requests at once: a program that sets a conversation up.
const CONTROLS_AT_ONCE: u64 = 50;

/// Keeps clients from flooding one call with requests, through its socket or its control URL.
pub struct ControlLimit(Bucket);

impl ControlLimit {
    pub fn new() -> Self {
        Self(Bucket::new(CONTROLS_AT_ONCE, CONTROLS_PER_SECOND))
    }

    /// Whether another request is taken; time is that of the call.
    pub fn admit(&mut self, now: Duration) -> bool {
        self.0.take(now, 1)
    }
}

impl Default for ControlLimit {
    fn default() -> Self {
        Self::new()
    }
}

/// A leaky bucket: what is taken fills it, time empties it.
struct Bucket {
    /// A millionth of what is counted, so that microseconds leave no remainder.
    level: u128,
    capacity: u128,
    per_second: u64,
    at: Duration,
}

impl Bucket {
    fn new(capacity: u64, per_second: u64) -> Self {
        let capacity = u128::from(capacity) * 1_000_000;
        Self { level: 0, capacity, per_second, at: Duration::ZERO }
    }

    /// Takes `amount` if there is room for it, and says whether there was.
    fn take(&mut self, now: Duration, amount: u64) -> bool {
        let elapsed = now.saturating_sub(self.at).as_micros();
        self.at += Duration::from_micros(elapsed as u64);
        self.level = self.level.saturating_sub(elapsed * u128::from(self.per_second));
        let level = self.level + u128::from(amount) * 1_000_000;
        if level > self.capacity {
            return false;
        }
        self.level = level;
        true
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    const FRAME: Duration = Duration::from_millis(20);

    fn binary(bytes: usize) -> Wire {
        Wire::Binary(Bytes::from(vec![0; bytes]))
    }

    /// Sends one message of audio.
    fn send(limit: &mut RateLimit, now: Duration, bytes: usize) -> Result<(), LegError> {
        limit.admit(now, &binary(bytes))?;
        limit.admit_audio(now, bytes)
    }

    #[test]
    fn a_message_longer_than_the_socket_reads_is_too_big() {
        let mut limit = RateLimit::new(AudioFormat::pcm16(16_000));
        let error = limit.admit(Duration::ZERO, &binary(10 * 1024 * 1024)).unwrap_err();
        assert_eq!((error.close_code, error.name()), (close_code::TOO_BIG, "message-too-long"));
    }

    #[test]
    fn ten_megabytes_of_audio_at_once_are_refused_after_ten_seconds_worth() {
        let format = AudioFormat::pcm16(16_000);
        let mut limit = RateLimit::new(format);
        let frame = format.bytes_in(FRAME);
        let taken = (0..10 * 1024 * 1024 / frame)
            .take_while(|_| send(&mut limit, Duration::ZERO, frame).is_ok())
            .count();
        assert_eq!(format.duration_of(format.samples_in_bytes(taken * frame)), STALL);
        let error = send(&mut limit, Duration::ZERO, frame).unwrap_err();
        assert_eq!(error.close_code, close_code::POLICY);
        assert_eq!(
            error.message,
            "audio more than 10 s ahead of real time: send it as it is spoken, at most 1.5 times \
             as fast"
        );
    }

    #[test]
    fn ten_megabytes_of_text_are_refused_as_too_big() {
        let mut limit = RateLimit::new(AudioFormat::mulaw());
        let text = Wire::Text(" ".repeat(64 * 1024));
        let error =
            (0..160).find_map(|_| limit.admit(Duration::ZERO, &text).err()).expect("a refusal");
        assert_eq!(error.close_code, close_code::TOO_BIG);
    }

    #[test]
    fn a_million_tiny_messages_are_refused_after_some_thousands() {
        let mut limit = RateLimit::new(AudioFormat::pcm16(16_000));
        let taken = (0..1_000_000).take_while(|_| send(&mut limit, FRAME, 0).is_ok()).count();
        assert_eq!(taken, 5_000);
        let error = limit.admit(FRAME, &binary(0)).unwrap_err();
        assert_eq!((error.close_code, error.name()), (close_code::POLICY, "rate-exceeded"));
    }

    #[test]
    fn a_browsers_worklet_frames_pass_for_an_hour() {
        let mut limit = RateLimit::new(AudioFormat::pcm16(48_000));
        for frame in 0..375 * 3_600u64 {
            let now = Duration::from_nanos(frame * 2_666_667);
            assert_eq!(send(&mut limit, now, 256), Ok(()));
        }
    }

    #[test]
    fn real_time_speech_after_a_refusal_is_admitted_again() {
        let mut limit = RateLimit::new(AudioFormat::pcm16(8_000));
        let all = AudioFormat::pcm16(8_000).bytes_in(STALL);
        assert_eq!(limit.admit_audio(Duration::ZERO, all), Ok(()));
        assert!(limit.admit_audio(Duration::ZERO, 2).is_err());
        assert_eq!(limit.admit_audio(FRAME, 320), Ok(()));
    }

    proptest! {
        #[test]
        fn real_time_audio_survives_any_stalls_up_to_ten_seconds(
            rate in prop::sample::select(vec![8_000u32, 16_000, 24_000, 44_100, 48_000]),
            stalls in prop::collection::vec((1u64..3_000, 0u64..10_000), 1..6),
        ) {
            let format = AudioFormat::pcm16(rate);
            let mut limit = RateLimit::new(format);
            let mut now = Duration::ZERO;
            for (flowing_ms, stalled_ms) in stalls {
                for _ in 0..flowing_ms / 20 {
                    now += FRAME;
                    prop_assert_eq!(send(&mut limit, now, format.bytes_in(FRAME)), Ok(()));
                }
                now += Duration::from_millis(stalled_ms);
                for _ in 0..stalled_ms / 20 {
                    prop_assert_eq!(send(&mut limit, now, format.bytes_in(FRAME)), Ok(()));
                }
                // Twice the backlog's length at 1.5 times the rate drains it.
                for _ in 0..stalled_ms / 10 {
                    now += FRAME;
                    prop_assert_eq!(send(&mut limit, now, format.bytes_in(FRAME)), Ok(()));
                }
            }
        }
    }
}
