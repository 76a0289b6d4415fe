use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use crate::{LegCodec, LegError, LegEvent, RateLimit, Timeline, Wire};

/// Plays `data` as the messages of a hostile peer, as the owner of a socket would handle them.
///
/// The first byte chooses the format, then each message has two bytes before it: kind and time
/// passed, then length. It panics when a promise of the codec is broken; it is what a fuzzer calls.
pub fn fuzz_decode(data: &[u8]) {
    let (&choice, messages) = data.split_first().unwrap_or((&0, &[]));
    let audio_format = match choice % 3 {
        0 => json!({"format": "mulaw"}),
        1 => json!({"sampleRate": 8_000}),
        _ => json!({"sampleRate": 48_000}),
    };
    for transport in crate::ALL {
        let options = json!({"provider": transport.name, "audioFormat": audio_format});
        // Each carrier has formats of its own.
        let Ok(leg) = (transport.build)(&options) else { continue };
        let mut peer = Peer::new(leg);
        let mut rest = messages;
        while let [head, length, tail @ ..] = rest {
            let (payload, next) = tail.split_at(tail.len().min(usize::from(*length)));
            rest = next;
            let message = if head & 1 == 0 {
                Wire::Binary(Bytes::copy_from_slice(payload))
            } else {
                Wire::Text(String::from_utf8_lossy(payload).into_owned())
            };
            if peer.send(Duration::from_millis(u64::from(head >> 1)), message).is_err() {
                break;
            }
        }
    }
}

/// Plays `data` as a stream of the carrier `provider`: a message a line, 20 ms apart. A line that
/// begins with a zero byte is a binary message.
///
/// # Panics
///
/// When a promise of the codec is broken, or there is no such carrier.
pub fn fuzz_stream(provider: &str, data: &[u8]) {
    let options = json!({"provider": provider});
    let mut peer = Peer::new(crate::build(&options).expect("the carriers have defaults"));
    for line in data.split(|byte| *byte == b'\n') {
        let message = match line.split_first() {
            Some((0, audio)) => Wire::Binary(Bytes::copy_from_slice(audio)),
            Some(_) | None => Wire::Text(String::from_utf8_lossy(line).into_owned()),
        };
        if peer.send(Duration::from_millis(20), message).is_err() {
            return;
        }
    }
}

/// A peer, and what is promised to whoever reads it.
struct Peer {
    leg: Box<dyn LegCodec>,
    limit: RateLimit,
    timeline: Timeline,
    now: Duration,
    starts: u32,
}

impl Peer {
    fn new(leg: Box<dyn LegCodec>) -> Self {
        let format = leg.format();
        Self {
            leg,
            limit: RateLimit::new(format),
            timeline: Timeline::new(format),
            now: Duration::ZERO,
            starts: 0,
        }
    }

    /// Sends a message after a while; the error is the end of the leg.
    fn send(&mut self, after: Duration, message: Wire) -> Result<(), LegError> {
        self.now += after;
        let now = self.now;
        self.limit.admit(now, &message)?;
        for event in self.leg.decode(message)? {
            match event {
                LegEvent::Audio(audio) => {
                    let format = self.leg.format();
                    let bytes = format.bytes_per_sample();
                    assert!(!audio.is_empty() && audio.len().is_multiple_of(bytes));
                    self.limit.admit_audio(now, audio.len())?;
                    let samples = format.samples_in_bytes(audio.len());
                    let _silence = self.timeline.on_audio(now, samples);
                }
                LegEvent::Client(message) => {
                    assert!(message["type"].is_string());
                    assert!(self.leg.event(&message).is_none_or(|wire| !wire.is_empty()));
                }
                LegEvent::Refused(reason) | LegEvent::Complained(reason) => {
                    assert!(!reason.is_empty());
                }
                LegEvent::Started(_) => {
                    self.starts += 1;
                    assert_eq!(self.starts, 1, "a stream begins once");
                    assert!(self.leg.clear().is_some_and(|wire| !wire.is_empty()));
                }
                LegEvent::MarkPlayed(_)
                | LegEvent::Dtmf(_)
                | LegEvent::HungUp
                | LegEvent::Stopped => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_messages_of_known_shapes_break_nothing() {
        for seed in [
            &b""[..],
            b"\x01",
            b"\x01\x00",
            b"\x01\x00\xFF\x00",
            b"\x02\x01\x11{\"type\":\"hangup\"}",
            b"\x02\x01\x0D{\"type\":null}\x00\x03abc\xFE\x04abcd",
            b"\x00\x01\x02\xFF\xFE\x00\x00",
        ] {
            fuzz_decode(seed);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_a_panic(data in prop::collection::vec(any::<u8>(), 0..4_000)) {
            fuzz_decode(&data);
            for carrier in crate::ALL.iter().filter(|transport| transport.is_carrier) {
                fuzz_stream(carrier.name, &data);
            }
        }
    }
}
