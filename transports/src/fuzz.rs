use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use crate::{LegEvent, RateLimit, Timeline, Wire};

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
        let mut leg = (transport.build)(&options).expect("the formats above are carried");
        let mut limit = RateLimit::new(leg.format());
        let mut timeline = Timeline::new(leg.format());
        let mut now = Duration::ZERO;
        let mut rest = messages;
        while let [head, length, tail @ ..] = rest {
            let (payload, next) = tail.split_at(tail.len().min(usize::from(*length)));
            rest = next;
            now += Duration::from_millis(u64::from(head >> 1));
            let message = if head & 1 == 0 {
                Wire::Binary(Bytes::copy_from_slice(payload))
            } else {
                Wire::Text(String::from_utf8_lossy(payload).into_owned())
            };
            if limit.admit(now, &message).is_err() {
                break;
            }
            let Ok(events) = leg.decode(message) else { break };
            for event in events {
                match event {
                    LegEvent::Audio(audio) => {
                        let bytes = leg.format().bytes_per_sample();
                        assert!(!audio.is_empty() && audio.len().is_multiple_of(bytes));
                        if limit.admit_audio(now, audio.len()).is_err() {
                            break;
                        }
                        let samples = leg.format().samples_in_bytes(audio.len());
                        let _silence = timeline.on_audio(now, samples);
                    }
                    LegEvent::Client(message) => {
                        assert!(message["type"].is_string());
                        assert!(leg.event(&message).is_none_or(|wire| !wire.is_empty()));
                    }
                    LegEvent::Refused(reason) => assert!(!reason.is_empty()),
                    LegEvent::MarkPlayed(_) | LegEvent::Dtmf(_) | LegEvent::HungUp => {}
                }
            }
        }
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
        }
    }
}
