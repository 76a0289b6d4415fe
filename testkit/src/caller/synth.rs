//! Speech for the caller's lines, from the synthesizers that Debian packages.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Stdio;
use std::str::FromStr;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::{CallerError, wav};

/// Time for a line to be synthesized: both programs need a fiftieth of its length.
const SPEAK_LIMIT: Duration = Duration::from_secs(30);

/// The voices of Debian's flite. It speaks with its default when it is asked for another.
const FLITE_VOICES: &[&str] = &["rms", "slt", "awb", "kal", "kal16"];

/// Who speaks: written `flite:rms` or `espeak:en-us`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Voice {
    /// A voice of flite.
    Flite(String),
    /// A voice of espeak-ng.
    Espeak(String),
}

impl Default for Voice {
    /// The voice that a small-vocabulary recogniser understands best over the telephone.
    fn default() -> Self {
        Self::Flite("rms".into())
    }
}

impl FromStr for Voice {
    type Err = CallerError;

    fn from_str(voice: &str) -> Result<Self, CallerError> {
        match voice.split_once(':') {
            Some(("flite", name)) if FLITE_VOICES.contains(&name) => Ok(Self::Flite(name.into())),
            Some(("espeak", name)) if !name.is_empty() => Ok(Self::Espeak(name.into())),
            _ => Err(unknown(voice)),
        }
    }
}

/// The words a minute of espeak-ng at its usual pace.
const ESPEAK_WORDS_A_MINUTE: f32 = 175.0;

/// Speaks `text`, at `sample_rate_hz`.
pub async fn speak(
    text: &str,
    voice: &Voice,
    sample_rate_hz: u32,
) -> Result<Vec<i16>, CallerError> {
    speak_at_pace(text, voice, 1.0, sample_rate_hz).await
}

/// Speaks `text` at `pace` times the voice's usual pace.
pub async fn speak_at_pace(
    text: &str,
    voice: &Voice,
    pace: f32,
    sample_rate_hz: u32,
) -> Result<Vec<i16>, CallerError> {
    let (program, name, options, paced) = match voice {
        Voice::Flite(name) => {
            let paced = ["--setf".into(), format!("duration_stretch={}", 1.0 / pace)];
            ("flite", name, ["-voice", "-f", "-o"], paced)
        }
        Voice::Espeak(name) => {
            let words = (ESPEAK_WORDS_A_MINUTE * pace) as u32;
            ("espeak-ng", name, ["-v", "-f", "-w"], ["-s".into(), words.to_string()])
        }
    };
    if program == "flite" && !FLITE_VOICES.contains(&name.as_str()) {
        return Err(unknown(&format!("flite:{name}")));
    }
    let failed = |reason: String| CallerError::Synthesis { program: program.into(), reason };
    let folder = tempfile::tempdir().map_err(|error| failed(error.to_string()))?;
    let (input, output) = (folder.path().join("line.txt"), folder.path().join("line.wav"));
    // From a file, so that a line that begins with a dash is not taken for an option.
    std::fs::write(&input, text).map_err(|error| failed(error.to_string()))?;
    let mut command = Command::new(program);
    command.args([options[0], name, options[1]]).arg(&input).arg(options[2]).arg(&output);
    command.args(paced);
    run(command, program).await?;
    read(&output, sample_rate_hz).map_err(|error| failed(error.to_string()))
}

/// Runs a synthesizer; both have the name of their Debian package.
async fn run(mut command: Command, program: &str) -> Result<(), CallerError> {
    let failed = |reason: String| CallerError::Synthesis { program: program.into(), reason };
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = match timeout(SPEAK_LIMIT, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) if error.kind() == ErrorKind::NotFound => {
            return Err(CallerError::NotInstalled {
                program: program.into(),
                package: program.into(),
            });
        }
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Err(_) => return Err(failed(format!("not done after {} s", SPEAK_LIMIT.as_secs()))),
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(format!("{}: {}", output.status, said.lines().next().unwrap_or_default())))
}

fn read(path: &Path, sample_rate_hz: u32) -> Result<Vec<i16>, CallerError> {
    let samples = wav::read_wav(path, sample_rate_hz)?;
    if samples.is_empty() {
        return Err(CallerError::Wav {
            path: path.display().to_string(),
            reason: "no audio in it: the text has nothing to speak".into(),
        });
    }
    Ok(samples)
}

fn unknown(voice: &str) -> CallerError {
    let flite = FLITE_VOICES.iter().map(|name| format!("flite:{name}"));
    let known: Vec<String> =
        flite.chain(["espeak:<name of `espeak-ng --voices`>".into()]).collect();
    CallerError::UnknownVoice { voice: voice.into(), known: known.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::super::level;
    use super::*;

    #[tokio::test]
    async fn each_synthesizer_speaks_at_the_rate_of_the_call() {
        for voice in [Voice::default(), "espeak:en-us".parse().unwrap()] {
            for rate in [8_000, 16_000, 48_000] {
                let speech = speak("-hello, this is a test", &voice, rate).await.unwrap();
                let seconds = speech.len() as f64 / f64::from(rate);
                assert!((0.8..4.0).contains(&seconds), "{voice:?} {rate} {seconds}");
                assert!(level::is_voiced(&speech), "{voice:?} {rate}");
            }
        }
    }

    #[tokio::test]
    async fn a_faster_pace_makes_a_line_shorter() {
        for voice in [Voice::default(), "espeak:en-us".parse().unwrap()] {
            let line = async |pace| {
                let text = "I would like to cancel my appointment";
                speak_at_pace(text, &voice, pace, 8_000).await.unwrap().len() as f64
            };
            let (slow, fast) = (line(0.8).await, line(1.25).await);
            assert!(fast < 0.8 * slow, "{voice:?}: {fast} and {slow} samples");
        }
    }

    #[tokio::test]
    async fn a_missing_synthesizer_is_named_with_its_package() {
        let error = run(Command::new("no-such-synthesizer"), "flite").await.unwrap_err();
        assert_eq!(error.to_string(), "`flite` is not installed: apt-get install flite");
    }

    #[tokio::test]
    async fn an_unknown_voice_is_refused() {
        let error = "flite:alan".parse::<Voice>().unwrap_err().to_string();
        assert!(error.starts_with("unknown voice `flite:alan`, expected one of: flite:rms"));
        assert!(speak("hi", &Voice::Flite("alan".into()), 8_000).await.is_err());
        let error = speak("hi", &Voice::Espeak("klingon-99".into()), 8_000).await.unwrap_err();
        assert!(error.to_string().starts_with("speaking a line with `espeak-ng` failed: exit"));
    }

    #[tokio::test]
    async fn a_text_of_nothing_is_an_error() {
        let spoken = speak("", &Voice::default(), 8_000).await;
        assert!(spoken.is_err(), "{} samples", spoken.unwrap().len());
    }
}
