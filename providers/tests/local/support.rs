//! Sessions, speech and child processes for the tests.

use std::{fs, time::Duration};

use offhook_core::FailureClass;
use offhook_media::AudioFormat;
use offhook_providers::{
    Access, Net, ProviderError,
    stt::{self, SttEvent, SttInput, SttRequest, SttSession},
    tts::{self, ContextId, TtsEvent, TtsInput, TtsRequest, TtsSession, WordTiming},
};
use serde_json::{Value, json};
use tokio::time::timeout;

/// No test waits longer for anything.
const LIMIT: Duration = Duration::from_secs(30);

pub const PCM16: AudioFormat = AudioFormat::pcm16(16_000);

pub fn net() -> Net {
    net_with(env!("CARGO_BIN_EXE_provider-worker"))
}

/// With another program in the worker's place.
pub fn net_with(worker_program: &str) -> Net {
    Net::new(LIMIT, worker_program.into(), false).unwrap()
}

/// Opens a voice at its own rate; `None`, loudly, if it is not installed.
pub async fn open_voice(options: Value) -> Option<(TtsSession, AudioFormat)> {
    let voice = tts::build(&options, &Access::default(), &net()).unwrap();
    let format = voice.capabilities().formats[0];
    let session = installed(voice.open(TtsRequest { format }).await)?;
    Some((session, format))
}

/// Opens a transcriber with a grammar; `None`, loudly, if it is not installed.
pub async fn open_transcriber(grammar: Option<String>) -> Option<SttSession> {
    let options = json!({"provider": "local", "grammar": grammar});
    let transcriber = stt::build(&options, &Access::default(), &net()).unwrap();
    installed(transcriber.open(SttRequest { format: PCM16 }).await)
}

fn installed<T>(opened: Result<T, ProviderError>) -> Option<T> {
    match opened {
        Ok(session) => Some(session),
        Err(error) if error.class == FailureClass::Unavailable => {
            eprintln!("SKIPPED: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// What a context became.
#[derive(Default)]
pub struct Speech {
    pub audio: Vec<u8>,
    pub longest_piece: usize,
    pub words: Vec<WordTiming>,
}

/// Reads one context to its `Done`.
pub async fn read_speech(session: &mut TtsSession, wanted: ContextId) -> Speech {
    let mut speech = Speech::default();
    loop {
        match next(session).await.expect("the session goes on").unwrap() {
            TtsEvent::Audio { context, audio } if context == wanted => {
                speech.longest_piece = speech.longest_piece.max(audio.len());
                speech.audio.extend_from_slice(&audio);
            }
            TtsEvent::Words { context, words } if context == wanted => speech.words.extend(words),
            TtsEvent::Done { context } if context == wanted => return speech,
            TtsEvent::Audio { .. } | TtsEvent::Words { .. } => {}
            TtsEvent::Done { context } => panic!("{context:?} is done, not {wanted:?}"),
        }
    }
}

pub async fn next(session: &mut TtsSession) -> Option<Result<TtsEvent, ProviderError>> {
    timeout(LIMIT, session.events.recv()).await.expect("a voice says something")
}

pub async fn say(session: &TtsSession, context: ContextId, text: &str) {
    session.input.send(TtsInput::Text { context, text: text.into() }).await.unwrap();
}

pub async fn finish(session: &TtsSession, context: ContextId) {
    session.input.send(TtsInput::Finish { context }).await.unwrap();
}

/// Sentences as 16 kHz audio in a voice of flite.
pub async fn spoken(voice: &str, sentences: &[&str]) -> Option<Vec<Vec<u8>>> {
    let (mut session, _) =
        open_voice(json!({"provider": "local", "engine": "flite", "voiceId": voice})).await?;
    let mut all = Vec::new();
    for (index, sentence) in sentences.iter().enumerate() {
        let context = ContextId(index as u32);
        say(&session, context, sentence).await;
        finish(&session, context).await;
        all.push(read_speech(&mut session, context).await.audio);
    }
    Some(all)
}

/// Sends audio in frames of 20 ms.
pub async fn hear(session: &SttSession, audio: &[u8]) {
    for frame in audio.chunks(640) {
        let frame = SttInput::Audio(bytes::Bytes::copy_from_slice(frame));
        timeout(LIMIT, session.audio.send(frame)).await.expect("it takes audio").unwrap();
    }
}

pub fn silence(time: Duration) -> Vec<u8> {
    vec![0; PCM16.bytes_in(time)]
}

pub async fn next_heard(session: &mut SttSession) -> Option<Result<SttEvent, ProviderError>> {
    timeout(LIMIT, session.events.recv()).await.expect("a transcriber says something")
}

/// The next final and its end; `None` at the end of the session.
pub async fn next_final(session: &mut SttSession) -> Option<(String, Duration)> {
    loop {
        match next_heard(session).await?.unwrap() {
            SttEvent::Final { text, until } => return Some((text, until)),
            SttEvent::SpeechStarted { .. } | SttEvent::Partial { .. } => {}
            SttEvent::Language { .. }
            | SttEvent::EagerEndOfTurn
            | SttEvent::TurnResumed
            | SttEvent::EndOfTurn
            | SttEvent::WordsPaused => panic!("it judges no turns, and knows one language"),
        }
    }
}

/// Our child processes whose command line contains all of `words`.
pub fn children(words: &[&str]) -> Vec<u32> {
    let own = std::process::id().to_string();
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            let read = |file| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let stat = read("stat");
            let after_name = stat.rsplit(')').next().unwrap_or_default();
            let line = read("cmdline");
            after_name.split_whitespace().nth(1) == Some(&own)
                && words.iter().all(|word| line.contains(word))
        })
        .collect()
}
