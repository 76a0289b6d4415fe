//! PocketSphinx on this machine: no key, no network, English.
//!
//! With a grammar (`transcriber.grammar`, JSGF) it is right about small tasks. Of 15 sentences in one
//! session it got all in flite's voices `rms`, `slt`, `awb` and `kal16` (the first three through 8 kHz
//! mu-law too, `rms` and `slt` at 0.7 to 1.4 times their speed) and espeak-ng's `en-us+f3`, 14 in its
//! `en-us`, 12 in its `en-gb`. What is said outside of the grammar is mostly refused as noise and
//! gives no final. Without a grammar it uses the open language model of Debian's package, which is
//! almost useless: use a cloud provider or a speech server of your own for real calls.

mod session;

use std::{path::PathBuf, time::Duration};

use offhook_core::FailureClass;
use offhook_media::AudioFormat;
use serde_json::Value;

use super::{Opening, Provider, Replay, Stt, SttCapabilities, SttRequest, SttSession};
use crate::{Access, BuildError, Net, ProviderError, probe::Probe, worker::pocketsphinx};

pub const PROVIDER: Provider =
    Provider { name: "local", key_variable: "", probe: Probe::Embedded, specimen: "{}", build };

const FORMAT: AudioFormat = AudioFormat::pcm16(pocketsphinx::SAMPLE_RATE_HZ);

/// Longest piece of audio in one message: what a worker takes without its parent waiting.
const CHUNK_MAX: Duration = Duration::from_secs(1);

fn build(options: &Value, _access: &Access, net: &Net) -> Result<Box<dyn Stt>, BuildError> {
    let grammar = match options.get("grammar") {
        None | Some(Value::Null) => None,
        Some(Value::String(grammar)) => Some(grammar.clone()),
        Some(_) => {
            return Err(BuildError::Options {
                kind: "Stt",
                name: PROVIDER.name.into(),
                reason: "`grammar` must be a JSGF grammar in a string".into(),
            });
        }
    };
    let settings = pocketsphinx::Settings { grammar, ..Default::default() };
    Ok(Box::new(Local { settings, worker_program: net.worker_program.clone() }))
}

struct Local {
    settings: pocketsphinx::Settings,
    worker_program: PathBuf,
}

impl Stt for Local {
    fn capabilities(&self) -> SttCapabilities {
        SttCapabilities {
            formats: vec![FORMAT],
            native_end_of_turn: false,
            word_timings: false,
            replay: Replay::Burst,
            chunk: (Duration::from_millis(10), CHUNK_MAX),
            // It recognises in the time that the machine has for it.
            final_within: None,
            keep_alive: None,
        }
    }

    fn open(&self, request: SttRequest) -> Opening<SttSession> {
        let (settings, program) = (self.settings.clone(), self.worker_program.clone());
        Box::pin(async move {
            if request.format != FORMAT {
                let detail = format!("pocketsphinx takes PCM16 at {} Hz", FORMAT.sample_rate_hz);
                return Err(ProviderError::new(FailureClass::BadRequest, detail));
            }
            session::open(&program, &settings).await
        })
    }
}
