//! The whole runtime on fakes, in virtual time.
//!
//! A [`World`] is a node with its supervisors, actors, store (in memory) and codecs as in the
//! server, on fake providers and without a network. Run it with `#[tokio::test(start_paused =
//! true)]`: a call of minutes takes milliseconds, and every run is the same.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use offhook_actors::{CallKeys, CallSpec, Incoming, LegSocket, Outgoing, Roster, Staged, Stages};
use offhook_api::{AssistantView, CallDocument, call::CallUrls};
use offhook_config::Settings;
use offhook_core::Stage;
use offhook_media::AudioFormat;
use offhook_providers::{Net, llm::Llm, stt::Stt, tts::Tts};
use offhook_store::{Document, Faults, Kind, Store};
use offhook_supervisors::{Admission, Node, Started};
use offhook_transports::{self as transports, Wire};
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{CloseFrame, Role, frame::coding::CloseCode},
    },
};
use uuid::Uuid;

use crate::{
    caller::{CallerOptions, Heard, Line, Spoken, call_over},
    fakes::{FakeLlm, FakeStt, FakeTts},
    tones,
};

/// The whole runtime on fakes.
pub struct World {
    pub node: Node,
    pub store: Store,
    pub stt: FakeStt,
    pub llm: FakeLlm,
    pub tts: FakeTts,
    /// Who may take over, in order: `fallback-1` and so on.
    pub fallbacks: Fallbacks,
    /// Format of the legs of calls placed from here on.
    pub format: AudioFormat,
    /// What the ids of its calls follow from, and with them the jitter of their waits.
    pub seed: u64,
    placed: AtomicU64,
}

/// Providers that stand by.
#[derive(Default)]
pub struct Fallbacks {
    pub stt: Vec<FakeStt>,
    pub llm: Vec<FakeLlm>,
    pub tts: Vec<FakeTts>,
}

/// A call that was placed and whose leg is not connected yet.
pub struct Placed {
    pub id: Uuid,
    /// The caller's end of the leg's socket, on which the server speaks websocket.
    pub leg: DuplexStream,
}

/// A call that is over, as both sides know it.
pub struct Outcome {
    pub heard: Heard,
    /// The call's document after its end.
    pub record: Value,
}

/// Bytes on the wire between the leg and the caller: half a second of audio.
const WIRE_BYTES: usize = 32 * 1024;

/// A call whose document the disk does not take is asked for again: 30 s, longer than disks of
/// tests are full.
const PLACING_LIMIT: u32 = 120;
const PLACING_PAUSE: Duration = Duration::from_millis(250);

const ORG: &str = "test";

/// Any wall time does: 2026-01-01T00:00:00Z.
const EPOCH_MS: i64 = 1_767_225_600_000;

impl World {
    pub async fn new(llm: FakeLlm) -> Self {
        Self::with(llm, Settings::default()).await
    }

    pub async fn with(llm: FakeLlm, settings: Settings) -> Self {
        let store = Store::in_memory(Faults::default());
        let net = Net::new(settings.calls.provider_connect_timeout, "/nonexistent".into(), false)
            .expect("a client without a proxy can always be set up");
        let node = Node::start(Arc::new(settings), store.clone(), net)
            .await
            .expect("supervisors on fakes start");
        Self::over(node, store, llm)
    }

    /// A world over a node that runs already.
    pub fn over(node: Node, store: Store, llm: FakeLlm) -> Self {
        Self {
            node,
            store,
            stt: FakeStt::default(),
            llm,
            tts: FakeTts::default(),
            fallbacks: Fallbacks::default(),
            format: AudioFormat::pcm16(16_000),
            seed: 0,
            placed: AtomicU64::new(0),
        }
    }

    /// A caller's line in [`tones`].
    pub fn say(&self, text: &str) -> Line {
        Line::Say(self.spoken(text))
    }

    /// What a caller says, in [`tones`].
    pub fn spoken(&self, text: &str) -> Spoken {
        Spoken::new(text, tones::speak(text, self.format.sample_rate_hz))
    }

    /// Places a call to an assistant of this document; providers named in it are not looked at.
    pub async fn place(&self, assistant: Value) -> Placed {
        self.place_on(assistant, self.stages()).await
    }

    /// The fakes as the stages of a call.
    pub fn stages(&self) -> Stages {
        let fallbacks = &self.fallbacks;
        Stages {
            transcriber: roster(Stage::Transcriber, &self.stt, &fallbacks.stt, |it| {
                Arc::new(it) as Arc<dyn Stt>
            }),
            model: roster(Stage::Model, &self.llm, &fallbacks.llm, |it| {
                Arc::new(it) as Arc<dyn Llm>
            }),
            voice: roster(Stage::Voice, &self.tts, &fallbacks.tts, |it| {
                Arc::new(it) as Arc<dyn Tts>
            }),
        }
    }

    /// Places a call whose stages are these.
    pub async fn place_on(&self, assistant: Value, stages: Stages) -> Placed {
        let id = self.next_id();
        let audio_format = match self.format.bytes_per_sample() {
            1 => json!({"format": "mulaw", "container": "raw", "sampleRate": 8_000}),
            _ => json!({"format": "pcm_s16le", "container": "raw",
                "sampleRate": self.format.sample_rate_hz}),
        };
        let request =
            json!({"transport": {"provider": "vapi.websocket", "audioFormat": audio_format}});
        let record = CallDocument::create(&request, id, ORG, &CallUrls::default(), EPOCH_MS)
            .expect("the request is one that calls can have");
        let codec = transports::build(&record.as_value()["transport"])
            .expect("the transport is one that calls can have");
        let document = Document {
            org: ORG.into(),
            kind: Kind::Call,
            id,
            created_at_ms: EPOCH_MS,
            updated_at_ms: EPOCH_MS,
            body: record.as_value().clone(),
        };
        self.keep(document).await;
        let assistant = AssistantView::new(assistant).expect("the assistant can be read");
        let spec = CallSpec {
            id,
            org: ORG.into(),
            variable_values: json!({}),
            options: assistant.call_options(),
            stages,
            format: codec.format(),
            hearing: codec.hearing(),
            server: assistant.server().cloned(),
            recording: None,
            keys: CallKeys::default(),
            line: None,
            assistant,
        };
        let admission = Admission {
            record,
            leg_token: String::new(),
            lease: self.node.take_slot().expect("a test places fewer calls than there are slots"),
            now_ms: EPOCH_MS,
        };
        let started = self.node.run(spec, admission).await;
        assert!(matches!(started, Started::Running), "{started:?}");
        let leg = self.connect(id, codec).await.expect("a new call has no leg");
        Placed { id, leg }
    }

    /// The same in every run.
    fn next_id(&self) -> Uuid {
        Uuid::from_u64_pair(self.seed, self.placed.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Writes a document; asks again where the disk takes none, as a client does who is told so.
    async fn keep(&self, document: Document) {
        for _ in 0..PLACING_LIMIT {
            if self.store.put(document.clone()).await.is_ok() {
                return;
            }
            tokio::time::sleep(PLACING_PAUSE).await;
        }
        panic!("the store took no document {PLACING_LIMIT} times");
    }

    /// Connects another media socket to a call that runs, as a client does that was cut off.
    pub async fn reconnect(&self, id: Uuid) -> Option<DuplexStream> {
        let transport = self.record(id).await["transport"].clone();
        let codec = transports::build(&transport).expect("the call was placed with it");
        self.connect(id, codec).await
    }

    async fn connect(
        &self,
        id: Uuid,
        codec: Box<dyn transports::LegCodec>,
    ) -> Option<DuplexStream> {
        let (ours, theirs) = tokio::io::duplex(WIRE_BYTES);
        let socket = WebSocketStream::from_raw_socket(ours, Role::Server, None).await;
        let attached = self.node.attach_leg(id, "", |_, _| true, leg_socket(socket, codec));
        attached.is_ok().then_some(theirs)
    }

    /// Runs a synthetic caller against a placed call until it is over.
    pub async fn converse(&self, placed: Placed, lines: Vec<Line>) -> Outcome {
        let turn_gap = CallerOptions::new("", self.format, Vec::new()).turn_gap;
        self.converse_patiently(placed, lines, turn_gap).await
    }

    /// The same with a caller who takes the floor after so long a silence of the agent.
    pub async fn converse_patiently(
        &self,
        placed: Placed,
        lines: Vec<Line>,
        turn_gap: Duration,
    ) -> Outcome {
        let socket = WebSocketStream::from_raw_socket(placed.leg, Role::Client, None).await;
        let mut options = CallerOptions::new("in process", self.format, lines);
        options.turn_gap = turn_gap;
        options.limit = Duration::from_secs(300);
        let heard = call_over(socket, options).await;
        self.node.wait_ended(placed.id).await;
        Outcome { heard, record: self.record(placed.id).await }
    }

    /// The stored document of a call.
    pub async fn record(&self, id: Uuid) -> Value {
        let found = self.store.get(ORG, Kind::Call, id).await.expect("memory gives documents");
        found.expect("the call was stored when it was placed").body
    }
}

/// The candidates of a stage: `fake`, then those that stand by.
fn roster<F: Clone, P: ?Sized>(
    stage: Stage,
    first: &F,
    fallbacks: &[F],
    provider: impl Fn(F) -> Arc<P>,
) -> Roster<P> {
    let names = std::iter::once("fake".to_owned())
        .chain((1..=fallbacks.len()).map(|number| format!("fallback-{number}")));
    let fakes = std::iter::once(first).chain(fallbacks).cloned();
    let candidates = names.zip(fakes).map(|(name, fake)| Staged::new(stage, &name, provider(fake)));
    Roster::new(candidates.collect()).expect("there is at least the first")
}

impl Outcome {
    /// The words that the caller heard, in order.
    pub fn words_heard(&self) -> String {
        tones::text_of(&tones::words_of(&self.heard.agent, self.heard.sample_rate_hz))
    }

    /// The call's transcript as it is told to others: who said what.
    pub fn transcript(&self) -> String {
        self.record["artifact"]["transcript"].as_str().unwrap_or_default().trim().to_owned()
    }

    pub fn ended_reason(&self) -> &str {
        self.record["endedReason"].as_str().unwrap_or_default()
    }
}

fn leg_socket(
    socket: WebSocketStream<DuplexStream>,
    codec: Box<dyn transports::LegCodec>,
) -> LegSocket {
    let (writer, reader) = socket.split();
    let reader = reader.map(|message| match message {
        Ok(Message::Text(text)) => Ok(Incoming::Wire(Wire::Text(text.to_string()))),
        Ok(Message::Binary(bytes)) => Ok(Incoming::Wire(Wire::Binary(bytes))),
        Ok(Message::Close(frame)) => {
            Ok(Incoming::Closed { code: frame.map(|frame| frame.code.into()) })
        }
        Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => Ok(Incoming::Alive),
        Err(error) => Err(error.to_string()),
    });
    let writer = writer.sink_map_err(|error| error.to_string()).with(|message| async move {
        Ok::<_, String>(match message {
            Outgoing::Wire(Wire::Text(text)) => Message::text(text),
            Outgoing::Wire(Wire::Binary(bytes)) => Message::Binary(bytes),
            Outgoing::Ping => Message::Ping(bytes::Bytes::new()),
            Outgoing::Close { code, reason } => {
                let code = CloseCode::from(code);
                Message::Close(Some(CloseFrame { code, reason: reason.into() }))
            }
        })
    });
    LegSocket::new(Box::pin(reader), Box::pin(writer), codec)
}
