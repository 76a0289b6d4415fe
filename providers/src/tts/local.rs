//! Voices on this machine: flite (the default), or espeak-ng. No key, no network.
//!
//! flite's library runs in a worker of ours, which is given text over a pipe, so that what is
//! spoken never shows in a list of processes; it also tells when each word is spoken. espeak-ng is
//! one child process for each sentence.

mod espeak;
mod flite;
mod session;
mod text;

use std::{env, path::PathBuf, time::Duration};

use offhook_core::FailureClass;
use offhook_media::AudioFormat;
use serde_json::Value;
use tokio::time::timeout;

use self::{espeak::Espeak, flite::Flite};
use super::{Opening, Provider, Tts, TtsCapabilities, TtsRequest, TtsSession};
use crate::{Access, BuildError, Net, ProviderError, probe::Probe, worker};

pub const PROVIDER: Provider =
    Provider { name: "local", key_variable: "", probe: Probe::Embedded, specimen: "{}", build };

/// Longest text of one message: about a minute of speech.
const TEXT_CHARS_MAX: usize = 1_000;

/// Longest wait for the next piece of audio. A sentence takes flite 0.1 s and espeak-ng less.
const OUTPUT_LIMIT: Duration = Duration::from_secs(5);

fn build(options: &Value, _access: &Access, net: &Net) -> Result<Box<dyn Tts>, BuildError> {
    let engine = engine(options, net).map_err(|reason| BuildError::Options {
        kind: "Tts",
        name: PROVIDER.name.into(),
        reason,
    })?;
    Ok(Box::new(Local { engine }))
}

fn engine(options: &Value, net: &Net) -> Result<Engine, String> {
    let text = |key: &str| match options.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(format!("`{key}` must be a string")),
    };
    let voice = text("voiceId")?;
    let speed = match options.get("speed") {
        None | Some(Value::Null) => 1.0,
        Some(speed) => speed
            .as_f64()
            .filter(|speed| (0.5..=2.0).contains(speed))
            .ok_or("`speed` must be a number from 0.5 to 2")? as f32,
    };
    let is_espeak = match text("engine")? {
        Some("flite") => false,
        Some("espeak") => true,
        Some(other) => return Err(format!("unknown engine `{other}`, expected flite or espeak")),
        None => find_program("flite").is_none() && find_program(espeak::PROGRAM).is_some(),
    };
    if is_espeak {
        // A voice of the engine that is missing is not one of espeak-ng's.
        let voice = voice.filter(|voice| !flite::is_voice(voice));
        Espeak::new(voice.unwrap_or(espeak::DEFAULT_VOICE), speed).map(Engine::Espeak)
    } else {
        let voice = voice.unwrap_or(flite::DEFAULT_VOICE);
        Flite::new(&net.worker_program, voice, speed).map(Engine::Flite)
    }
}

/// Where the shell would find a program.
fn find_program(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|path| path.join(name)).find(|path| path.is_file())
}

struct Local {
    engine: Engine,
}

impl Tts for Local {
    fn capabilities(&self) -> TtsCapabilities {
        TtsCapabilities {
            formats: vec![self.engine.format()],
            word_timings: matches!(self.engine, Engine::Flite(_)),
            idle_limit: None,
            text_chars_max: TEXT_CHARS_MAX,
            streams_text: false,
        }
    }

    fn open(&self, request: TtsRequest) -> Opening<TtsSession> {
        let mut engine = self.engine.clone();
        Box::pin(async move {
            if request.format != engine.format() {
                let detail =
                    format!("this voice speaks PCM16 at {} Hz", engine.format().sample_rate_hz);
                return Err(ProviderError::new(FailureClass::BadRequest, detail));
            }
            engine.prepare().await?;
            Ok(session::open(engine))
        })
    }
}

/// What can speak a sentence. A clone has the same settings and no child process yet.
#[derive(Clone)]
enum Engine {
    Flite(Flite),
    Espeak(Espeak),
}

/// What an engine makes of a sentence.
#[derive(Debug, PartialEq)]
enum Spoken {
    /// Words, in time from the first sample of the sentence.
    Words(Vec<super::WordTiming>),
    Audio(bytes::Bytes),
}

impl Engine {
    fn format(&self) -> AudioFormat {
        match self {
            Self::Flite(flite) => flite.format(),
            Self::Espeak(_) => espeak::FORMAT,
        }
    }

    /// Makes sure that this voice can speak.
    async fn prepare(&mut self) -> Result<(), ProviderError> {
        match self {
            Self::Flite(flite) => flite.prepare().await,
            Self::Espeak(espeak) => espeak.prepare().await,
        }
    }

    /// Starts a sentence; what comes of it is read with [`Self::next`].
    async fn start(&mut self, sentence: &str) -> Result<(), ProviderError> {
        match self {
            Self::Flite(flite) => flite.start(sentence).await,
            Self::Espeak(espeak) => espeak.start(sentence).await,
        }
    }

    /// The next of what was spoken; `None` at the end of the sentence.
    async fn next(&mut self) -> Result<Option<Spoken>, ProviderError> {
        let (name, next) = match self {
            Self::Flite(flite) => (worker::flite::NAME, timeout(OUTPUT_LIMIT, flite.next()).await),
            Self::Espeak(espeak) => (espeak::PROGRAM, timeout(OUTPUT_LIMIT, espeak.next()).await),
        };
        next.unwrap_or_else(|_| {
            let detail = format!("{name} made no audio for {} s", OUTPUT_LIMIT.as_secs());
            Err(ProviderError::new(FailureClass::Stalled, detail))
        })
    }

    /// Kills who speaks the sentence, and makes ready for the next one.
    async fn restart(&mut self) -> Result<(), ProviderError> {
        match self {
            Self::Flite(flite) => flite.restart().await,
            Self::Espeak(espeak) => {
                espeak.stop();
                Ok(())
            }
        }
    }
}
