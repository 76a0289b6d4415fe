use std::{net::SocketAddr, path::PathBuf, time::Duration};

use bytes::Bytes;
use offhook_chaos::{
    fakes::{Fakes, FakesOptions},
    proxy::Proxy,
};
use offhook_core::{Message, ToolKind, ToolSpec};
use offhook_media::AudioFormat;
use offhook_providers::{
    Access, Net, ProviderError,
    llm::{self, LlmEvent, LlmRequest},
    stt::{self, SttEvent, SttInput, SttRequest, SttSession},
    tts::{self, ContextId, TtsEvent, TtsInput, TtsRequest, TtsSession, WordTiming},
};
use offhook_testkit::tones::{self, WORD, spoken};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::timeout};

/// The key that the fakes ask for.
pub const KEY: &str = "key-1";

/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(10);

/// The fakes, quick, and the way to them.
pub struct Bench {
    pub fakes: Fakes,
    /// Stands before them, if anything does.
    pub proxy: Option<Proxy>,
    net: Net,
}

impl Bench {
    pub async fn start() -> Self {
        Self::with_timing(json!({})).await
    }

    pub async fn with_timing(timing: Value) -> Self {
        let mut quick = json!({
            "stt_delay": {"fixed": 10}, "llm_ttft": {"fixed": 5}, "llm_token_gap": {"fixed": 0},
            "tts_ttfb": {"fixed": 5}, "tts_speed": 1000,
        });
        quick.as_object_mut().unwrap().extend(timing.as_object().unwrap().clone());
        let options = json!({"api_key": KEY, "requests_kept": 20, "timing": quick});
        let options: FakesOptions = serde_json::from_value(options).unwrap();
        let listen: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let fakes = Fakes::start(listen, options).await.unwrap();
        let net = Net::new(LIMIT, PathBuf::from("offhook"), true).unwrap();
        Self { fakes, proxy: None, net }
    }

    /// The fakes behind a proxy, as real providers are.
    pub async fn behind_proxy(fakes: &[&str]) -> Self {
        let bench = Self::start().await;
        let upstream = |fake: &&str| ((*fake).to_owned(), bench.fakes.base_url(fake));
        let proxy = Proxy::start(fakes.iter().map(upstream).collect()).await.unwrap();
        Self { proxy: Some(proxy), ..bench }
    }

    fn access(&self, fake: &str, key: &str) -> Access {
        let behind = self.proxy.as_ref().map(|proxy| proxy.base_url(fake));
        let base_url = Some(behind.unwrap_or_else(|| self.fakes.base_url(fake)));
        Access { api_key: Some(SecretString::from(key)), base_url }
    }

    pub async fn stt(&self, document: Value, format: AudioFormat) -> SttSession {
        let access = self.access(document["provider"].as_str().unwrap(), KEY);
        let stt = stt::build(&document, &access, &self.net).unwrap();
        stt.open(SttRequest { format }).await.unwrap()
    }

    /// The error of a session that is refused.
    pub async fn stt_refusal(&self, document: Value, key: &str) -> ProviderError {
        let access = self.access(document["provider"].as_str().unwrap(), key);
        let stt = stt::build(&document, &access, &self.net).unwrap();
        let opening = stt.open(SttRequest { format: AudioFormat::mulaw() });
        opening.await.map(drop).unwrap_err()
    }

    pub async fn tts(&self, fake: &str, document: Value, format: AudioFormat) -> TtsSession {
        let tts = tts::build(&document, &self.access(fake, KEY), &self.net).unwrap();
        tts.open(TtsRequest { format }).await.unwrap()
    }

    /// All events of a reply; the last may be an error.
    pub async fn ask(
        &self,
        fake: &str,
        document: Value,
        messages: Vec<Message>,
        tools: Vec<ToolSpec>,
    ) -> Vec<Result<LlmEvent, ProviderError>> {
        let llm = llm::build(&document, &self.access(fake, KEY), &self.net).unwrap();
        let mut stream = match llm.generate(LlmRequest { messages, tools }).await {
            Ok(stream) => stream,
            Err(error) => return vec![Err(error)],
        };
        let mut events = Vec::new();
        while let Some(event) = timeout(LIMIT, stream.events.recv()).await.unwrap() {
            if !matches!(event, Ok(LlmEvent::Unheard(_))) {
                events.push(event);
            }
        }
        events
    }

    /// A reply that nobody waits for: dropped after its first event.
    pub async fn ask_and_leave(&self, fake: &str, document: Value, said: &str) {
        let llm = llm::build(&document, &self.access(fake, KEY), &self.net).unwrap();
        let request = LlmRequest { messages: vec![user(said)], tools: Vec::new() };
        let mut stream = llm.generate(request).await.unwrap();
        stream.events.recv().await.unwrap().unwrap();
    }

    pub async fn get(&self, path: &str) -> Value {
        let url = format!("http://{}{path}", self.fakes.address());
        let text = self.net.http.get(url).send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// The last request that reached the fakes.
    pub async fn last_request(&self) -> Exchange {
        let requests = self.get("/fakes/requests").await;
        Exchange(requests.as_array().unwrap().last().unwrap().clone())
    }

    /// Waits until a count of a provider is reached.
    pub async fn until_count(&self, provider: &str, count: &str, expected: u64) {
        let reached = async {
            while self.get("/fakes/report").await["providers"][provider][count] != expected {
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, reached).await.unwrap();
    }
}

/// A request as it reached a fake.
pub struct Exchange(Value);

impl Exchange {
    pub fn path(&self) -> &str {
        self.0["path"].as_str().unwrap()
    }

    /// Parameters in their order, as `name=value`.
    pub fn query(&self) -> Vec<String> {
        let pairs = self.0["query"].as_array().unwrap().iter();
        let text = |pair: &Value, at: usize| pair[at].as_str().unwrap().to_owned();
        pairs.map(|pair| format!("{}={}", text(pair, 0), text(pair, 1))).collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = self.0["headers"].as_array().unwrap();
        headers.iter().find(|pair| pair[0] == name).and_then(|pair| pair[1].as_str())
    }

    pub fn messages(&self) -> &[Value] {
        self.0["messages"].as_array().unwrap()
    }
}

/// Sends words and as much silence after them, in frames of 20 ms.
pub async fn say(session: &SttSession, text: &str, silence: Duration, format: AudioFormat) {
    let mut audio = Vec::new();
    for word in text.split_whitespace() {
        audio.extend_from_slice(&spoken(word, format));
    }
    audio.extend_from_slice(&format.silence(format.samples_in(silence)));
    for frame in audio.chunks(format.bytes_in(Duration::from_millis(20))) {
        session.audio.send(SttInput::Audio(Bytes::copy_from_slice(frame))).await.unwrap();
    }
}

/// All that comes after the end of the audio.
pub async fn finish(session: SttSession) -> Vec<SttEvent> {
    let SttSession { audio, mut events } = session;
    drop(audio);
    all(&mut events).await
}

async fn all<T>(events: &mut mpsc::Receiver<Result<T, ProviderError>>) -> Vec<T> {
    let mut heard = Vec::new();
    while let Some(event) = timeout(LIMIT, events.recv()).await.unwrap() {
        heard.push(event.unwrap());
    }
    heard
}

/// The next event that is no partial text.
pub async fn next_firm(session: &mut SttSession) -> SttEvent {
    loop {
        let event = timeout(LIMIT, session.events.recv()).await.unwrap().unwrap().unwrap();
        if !matches!(event, SttEvent::Partial { .. }) {
            return event;
        }
    }
}

pub fn user(said: &str) -> Message {
    Message::User { content: said.into() }
}

pub fn tool(name: &str, parameters: Value) -> ToolSpec {
    ToolSpec {
        name: name.into(),
        description: format!("the {name}"),
        parameters,
        kind: ToolKind::Function,
        is_async: false,
        messages: Vec::new(),
    }
}

pub fn text_of(events: &[Result<LlmEvent, ProviderError>]) -> String {
    let text = |event: &Result<LlmEvent, ProviderError>| match event {
        Ok(LlmEvent::Text(text)) => Some(text.clone()),
        Ok(
            LlmEvent::ToolCall(_)
            | LlmEvent::Unheard(_)
            | LlmEvent::Usage(_)
            | LlmEvent::Finished(_),
        )
        | Err(_) => None,
    };
    events.iter().filter_map(text).collect()
}

/// What a context was heard to say.
pub struct Heard {
    pub text: String,
    pub words: Vec<WordTiming>,
}

/// Has texts spoken in one context.
pub async fn speak(session: &mut TtsSession, format: AudioFormat, texts: &[&str]) -> Heard {
    let context = ContextId(7);
    for text in texts {
        let text = (*text).to_owned();
        session.input.send(TtsInput::Text { context, text }).await.unwrap();
    }
    session.input.send(TtsInput::Finish { context }).await.unwrap();
    listen(session, context, format).await
}

/// Listens to a context until it is done.
pub async fn listen(session: &mut TtsSession, wanted: ContextId, format: AudioFormat) -> Heard {
    let (mut audio, mut words) = (Vec::new(), Vec::new());
    loop {
        let event = timeout(LIMIT, session.events.recv()).await.unwrap().unwrap().unwrap();
        match event {
            TtsEvent::Audio { context, audio: piece } => {
                assert_eq!(context, wanted);
                audio.extend_from_slice(&piece);
            }
            TtsEvent::Words { words: told, .. } => words.extend(told),
            TtsEvent::Done { context } => {
                assert_eq!(context, wanted);
                break;
            }
        }
    }
    let samples = format.decode(&audio);
    let heard = tones::words_of(&samples, format.sample_rate_hz);
    assert_eq!(audio.len(), heard.len() * format.bytes_in(WORD), "whole words");
    Heard { text: tones::text_of(&heard), words }
}

/// `word start-end` in milliseconds.
pub fn timed(words: &[WordTiming]) -> Vec<String> {
    let told = words
        .iter()
        .map(|word| format!("{} {}-{}", word.word, word.start.as_millis(), word.end.as_millis()));
    told.collect()
}
