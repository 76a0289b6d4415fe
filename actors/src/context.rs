//! What the actors of one call share.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use offhook_api::{
    AssistantView, CallDocument, MessageFilter, ServerTarget,
    artifact::{self, RecordingUrls},
};
use offhook_config::Settings;
use offhook_core::{CallOptions, Control, EndedReason, Event, Intensity, Stage, StageFailure};
use offhook_media::{AudioFormat, Hearing, PlayoutOptions};
use offhook_providers::{llm::Llm, stt::Stt, tts::Tts};
use offhook_store::{JournalWriter, Store};
use offhook_transports::{ControlLimit, close_code};
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    CallClock, HealthKey, LegAudio, LegSlot, Outbox, PhoneLine, Port, ProviderHealth, Pulse,
    Staged, Stages, TurnLog,
    backdrop::BackdropSlot,
    call::{CallInput, CallJournal},
    egress::Egress,
    model::{ModelInput, ModelSlot},
    probe,
    provider_health::Probe,
    recorder::{RecorderInput, RecorderSlot},
    revival::{CallKeys, Revival},
    roster::{Roster, Succession, first_well},
    tool_executor::{ToolInput, ToolSlot},
    transcriber::{TranscriberInput, TranscriberSlot},
    transfer::HoldSlot,
    transport::TransportInput,
    vad::{VadInput, VadSlot},
    voice::{VoiceInput, VoiceSlot},
    voice_cache::VoiceCache,
};

/// A call as the front door decided it.
pub struct CallSpec {
    pub id: Uuid,
    pub org: String,
    /// The assistant's document, overrides and variables applied.
    pub assistant: AssistantView,
    pub variable_values: Value,
    pub options: CallOptions,
    pub stages: Stages,
    /// Format of the leg's audio, both ways.
    pub format: AudioFormat,
    pub hearing: Hearing,
    /// Where server events go; `None`: nowhere.
    pub server: Option<ServerTarget>,
    /// `None`: the call is not recorded.
    pub recording: Option<RecordingPlan>,
    /// Where the keys of its providers come from, for a process that has to take it up.
    pub keys: CallKeys,
    /// The carrier's end, where the leg is a carrier's.
    pub line: Option<Arc<PhoneLine>>,
}

/// Where a call's recording is written, and where it will be found.
#[derive(Clone, Debug)]
pub struct RecordingPlan {
    pub path: PathBuf,
    pub urls: RecordingUrls,
}

/// What the actors of one call share.
pub struct CallContext {
    pub spec: CallSpec,
    pub settings: Arc<Settings>,
    pub clock: CallClock,
    pub audio: LegAudio,
    pub ports: Ports,
    pub(crate) slots: Slots,
    pub leg: LegSlot,
    /// The call's document, as the API shows it.
    pub record: Mutex<CallDocument>,
    pub turns: Mutex<TurnLog>,
    pub outbox: Outbox,
    pub egress: Egress,
    pub store: Store,
    pub health: ProviderHealth,
    pub(crate) voice_cache: VoiceCache,
    pub(crate) server_messages: MessageFilter,
    pub(crate) client_messages: MessageFilter,
    /// Somebody wants to know when words of the agent sound.
    pub(crate) wants_word_timings: bool,
    pub(crate) journal: JournalWriter,
    /// `status-update: ended` went out.
    pub(crate) end_published: AtomicBool,
    finished: AtomicBool,
    controls: Mutex<ControlLimit>,
    explanation: Mutex<Option<String>>,
    /// Spoken to whoever comes back to a call that another process began.
    bridge: Mutex<Option<String>>,
    /// Another process goes on with the call: nothing is done for it here any more.
    suspended: AtomicBool,
    ended: watch::Sender<Option<(EndedReason, Option<String>)>>,
    pulses: HashMap<&'static str, Pulse>,
}

/// The inboxes of the call's actors.
pub struct Ports {
    pub call: Arc<Port<CallInput>>,
    pub transport: Arc<Port<TransportInput>>,
    pub vad: Arc<Port<VadInput>>,
    pub transcriber: Arc<Port<TranscriberInput>>,
    pub model: Arc<Port<ModelInput>>,
    pub voice: Arc<Port<VoiceInput>>,
    pub tools: Arc<Port<ToolInput>>,
    pub recorder: Arc<Port<RecorderInput>>,
}

/// What each actor's successor goes on from.
pub(crate) struct Slots {
    pub transcribers: Succession,
    pub models: Succession,
    pub voices: Succession,
    pub call: Mutex<CallJournal>,
    pub vad: VadSlot,
    pub backdrop: BackdropSlot,
    pub hold: HoldSlot,
    pub transcriber: TranscriberSlot,
    pub model: ModelSlot,
    pub voice: VoiceSlot,
    pub tools: ToolSlot,
    pub recorder: RecorderSlot,
}

/// Why a provider that is down did not serve a call from the beginning.
const PASSED_OVER: &str = "it failed other calls and no probe was answered since";

/// What a call takes from its node.
pub struct NodeParts {
    pub settings: Arc<Settings>,
    pub outbox: Outbox,
    pub egress: Egress,
    pub store: Store,
    pub voice_cache: VoiceCache,
    pub health: ProviderHealth,
}

/// The event that tells when words of the agent sound.
const WITH_WORD_TIMINGS: &str = "assistant.speechStarted";

impl CallContext {
    pub fn new(
        spec: CallSpec,
        record: CallDocument,
        clock: CallClock,
        node: NodeParts,
    ) -> Arc<Self> {
        Arc::new(Self::bare(spec, record, clock, node))
    }

    /// A call that another process began: it goes on from its journal, and waits for its leg.
    pub fn revived(
        spec: CallSpec,
        record: CallDocument,
        revival: Revival,
        node: NodeParts,
    ) -> Arc<Self> {
        let clock = revival.clock();
        let mut context = Self::bare(spec, record, clock, node);
        if let Some(connected_at) = revival.connected_at {
            context.audio = context.audio.resumed(connected_at, clock.now());
            let position = context.audio.caller_end();
            context.slots.vad.begin_at(position);
            context.slots.transcriber.begin_at(position);
            context.slots.recorder.resume_at(position);
            context.leg.resume();
            let bridge = context.settings.calls.resume_message.clone();
            context.bridge = Mutex::new(Some(bridge));
        }
        context.slots.call = Mutex::new(CallJournal::of_the_past(revival.entries));
        let context = Arc::new(context);
        context.take_up(revival.tools);
        context
    }

    fn bare(spec: CallSpec, record: CallDocument, clock: CallClock, node: NodeParts) -> Self {
        let calls = &node.settings.calls;
        let lead = match spec.hearing {
            Hearing::Marks => calls.playout_lead,
            Hearing::Clock => calls.websocket_lead,
        };
        let intensity = Intensity {
            restarts_max: calls.restarts_max as usize,
            window: calls.restarts_window,
            backoff: Duration::ZERO,
        };
        register(&spec.stages, &node.health);
        let slots = Slots::new(&spec.stages, &node.health, intensity);
        // What knows of marks knows of clearing.
        let clears = spec.hearing == Hearing::Marks;
        let playout =
            PlayoutOptions { lead, hearing: spec.hearing, clears, ..PlayoutOptions::default() };
        let context = Self {
            audio: LegAudio::new(
                spec.format,
                calls.audio_ring,
                playout,
                spec.assistant.sound().denoise,
            ),
            ports: Ports::new(),
            slots,
            health: node.health,
            leg: LegSlot::default(),
            record: Mutex::new(record),
            turns: Mutex::default(),
            outbox: node.outbox,
            egress: node.egress,
            server_messages: spec.assistant.server_messages(),
            wants_word_timings: [
                spec.assistant.server_messages(),
                spec.assistant.client_messages(),
            ]
            .iter()
            .any(|asked| asked.has(WITH_WORD_TIMINGS)),
            client_messages: spec.assistant.client_messages(),
            journal: node.store.journal(spec.id),
            store: node.store,
            voice_cache: node.voice_cache,
            end_published: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            controls: Mutex::new(ControlLimit::new()),
            explanation: Mutex::default(),
            bridge: Mutex::default(),
            suspended: AtomicBool::new(false),
            ended: watch::Sender::new(None),
            pulses: crate::ROLES.iter().map(|role| (role.name, Pulse::default())).collect(),
            settings: node.settings,
            spec,
            clock,
        };
        context.note_who_was_passed_over();
        context
    }

    /// Who transcribes now.
    pub fn transcriber(&self) -> &Staged<dyn Stt> {
        &self.spec.stages.transcriber.candidates()[self.slots.transcribers.current()]
    }

    /// Which model is asked now.
    pub fn model(&self) -> &Staged<dyn Llm> {
        &self.spec.stages.model.candidates()[self.slots.models.current()]
    }

    /// Who speaks now.
    pub fn speaker(&self) -> &Staged<dyn Tts> {
        &self.spec.stages.voice.candidates()[self.slots.voices.current()]
    }

    /// Who serves a stage, and what its sessions went through.
    pub(crate) fn succession(&self, stage: Stage) -> &Succession {
        match stage {
            Stage::Transcriber => &self.slots.transcribers,
            Stage::Model => &self.slots.models,
            Stage::Voice => &self.slots.voices,
        }
    }

    /// The candidates of a stage, as the node knows them.
    pub(crate) fn health_keys(&self, stage: Stage) -> Vec<&HealthKey> {
        fn of<P: ?Sized>(roster: &Roster<P>) -> Vec<&HealthKey> {
            roster.candidates().iter().map(|it| &it.health).collect()
        }
        let stages = &self.spec.stages;
        match stage {
            Stage::Transcriber => of(&stages.transcriber),
            Stage::Model => of(&stages.model),
            Stage::Voice => of(&stages.voice),
        }
    }

    /// Says in the call's document who serves in place of whom, where the wanted provider is down.
    fn note_who_was_passed_over(&self) {
        for stage in [Stage::Transcriber, Stage::Model, Stage::Voice] {
            let keys = self.health_keys(stage);
            let (from, to) = (keys[0], keys[self.succession(stage).current()]);
            if from != to {
                self.note_promotion(stage, from, to, "breaker", PASSED_OVER.to_owned());
            }
        }
    }

    /// Whether the actor of this name still answers.
    pub fn pulse(&self, name: &'static str) -> &Pulse {
        &self.pulses[name]
    }

    /// Asks the supervisor to end the call; only the first reason counts.
    pub fn end(&self, reason: EndedReason, message: Option<String>) {
        if self.is_suspended() {
            return;
        }
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some((reason, message));
            }
            first
        });
    }

    /// Why the call ends, and the words for the operator, once it does.
    pub fn ending(&self) -> Option<(EndedReason, Option<String>)> {
        let (reason, message) = self.ended.borrow().clone()?;
        let explained = || lock(&self.explanation).clone();
        Some((reason, message.or_else(explained)))
    }

    /// Waits until somebody asked to end the call.
    pub async fn wait_for_end(&self) {
        let mut ended = self.ended.subscribe();
        // The sender lives in `self`, which outlives this borrow.
        let _ = ended.wait_for(Option::is_some).await;
    }

    /// True once: for whoever carries out the end of the call.
    pub fn begin_finish(&self) -> bool {
        !self.is_suspended() && !self.finished.swap(true, Ordering::AcqRel)
    }

    /// The call's clock as its documents count it.
    pub fn wire_clock(&self) -> artifact::CallClock {
        artifact::CallClock {
            created_ms: self.clock.epoch_ms,
            connected: self.audio.connected_at().unwrap_or_default(),
        }
    }

    /// Whether everybody was told that the call ended.
    pub fn end_was_published(&self) -> bool {
        self.end_published.load(Ordering::Acquire)
    }

    /// Stops whatever the stages still have under way.
    pub fn silence(&self) {
        self.slots.model.stop();
        self.slots.voice.stop();
        self.slots.tools.stop();
    }

    pub fn tell(&self, event: Event) {
        self.turns().arrived(self.clock.now(), &event);
        let is_last = matches!(
            event,
            Event::LegClosed { .. }
                | Event::EndRequested { .. }
                | Event::Control(Control::EndCall)
                | Event::Farewell { .. }
                | Event::StageFailed { .. }
        );
        match is_last {
            true => self.ports.call.send_surely(CallInput::Event(event)),
            false => self.ports.call.send(CallInput::Event(event)),
        }
    }

    /// Passes on what a client asks for; false when clients ask for more than the call can bear.
    pub fn control(&self, control: Control) -> bool {
        let is_end = control == Control::EndCall;
        let mut limit = self.controls.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = is_end || limit.admit(self.clock.now().as_duration());
        drop(limit);
        if admitted {
            self.tell(Event::Control(control));
        }
        admitted
    }

    /// Keeps words for the operator on why the call is about to end; the first count.
    pub(crate) fn explain_end(&self, message: String) {
        lock(&self.explanation).get_or_insert(message);
    }

    /// What was about to end the call does not.
    pub(crate) fn forget_explanation(&self) {
        lock(&self.explanation).take();
    }

    /// What is spoken to whoever comes back, once.
    pub(crate) fn take_bridge(&self) -> Option<String> {
        lock(&self.bridge).take()
    }

    /// Leaves the call as it is, for the process that comes after this one. Nothing is decided or
    /// done for it from here on; its client is told to come again.
    pub fn suspend(&self) {
        self.suspended.store(true, Ordering::Release);
        self.silence();
        let reason = "the server restarts, connect again".to_owned();
        let close = TransportInput::Close { code: close_code::SERVICE_RESTART, reason };
        self.ports.transport.send(close);
    }

    /// Whether another process goes on with the call.
    pub fn is_suspended(&self) -> bool {
        self.suspended.load(Ordering::Acquire)
    }

    /// Logs a stage's final failure for the operator and tells the conversation.
    pub(crate) fn stage_failed(&self, failure: StageFailure) {
        tracing::error!(
            call = %self.spec.id,
            stage = %failure.stage,
            provider = failure.provider,
            class = failure.class.name(),
            detail = failure.detail,
            "stage failed"
        );
        self.explain_end(failure.detail.clone());
        self.tell(Event::StageFailed { failure });
    }

    pub fn record(&self) -> MutexGuard<'_, CallDocument> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn turns(&self) -> MutexGuard<'_, TurnLog> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    fn new(stages: &Stages, health: &ProviderHealth, intensity: Intensity) -> Self {
        fn of<P: ?Sized>(
            roster: &Roster<P>,
            health: &ProviderHealth,
            intensity: Intensity,
        ) -> Succession {
            Succession::new(roster.candidates().len(), first_well(roster, health), intensity)
        }
        Self {
            transcribers: of(&stages.transcriber, health, intensity),
            models: of(&stages.model, health, intensity).waiting(retry_after_max(&stages.model)),
            voices: of(&stages.voice, health, intensity),
            call: Mutex::default(),
            vad: VadSlot::default(),
            backdrop: BackdropSlot::default(),
            hold: HoldSlot::default(),
            transcriber: TranscriberSlot::default(),
            model: ModelSlot::default(),
            voice: VoiceSlot::default(),
            tools: ToolSlot::default(),
            recorder: RecorderSlot::default(),
        }
    }
}

/// Longest wait that a model's provider may ask for instead of another being asked: the caller waits
/// in silence, and other models answer otherwise.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(1);

/// As long as that, unless the same model is there with another key.
fn retry_after_max(models: &Roster<dyn Llm>) -> Duration {
    let named = |it: &Staged<dyn Llm>| (it.name.clone(), it.provider.model().to_owned());
    let mut seen: Vec<_> = models.candidates().iter().map(named).collect();
    seen.sort_unstable();
    let all = seen.len();
    seen.dedup();
    if seen.len() < all { Duration::ZERO } else { RETRY_AFTER_MAX }
}

/// Makes a call's providers known to the node, with the way to probe each.
fn register(stages: &Stages, health: &ProviderHealth) {
    for staged in stages.transcriber.candidates() {
        let provider = staged.provider.clone();
        let probe: Probe = Arc::new(move || {
            let provider = provider.clone();
            Box::pin(async move { probe::transcribe(&*provider).await.map(drop) })
        });
        health.register(&staged.health, probe);
    }
    for staged in stages.model.candidates() {
        let provider = staged.provider.clone();
        let probe: Probe = Arc::new(move || {
            let provider = provider.clone();
            Box::pin(async move { probe::ask(&*provider).await.map(drop) })
        });
        health.register(&staged.health, probe);
    }
    for staged in stages.voice.candidates() {
        let provider = staged.provider.clone();
        let probe: Probe = Arc::new(move || {
            let provider = provider.clone();
            Box::pin(async move { probe::speak(&*provider).await.map(drop) })
        });
        health.register(&staged.health, probe);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ports {
    fn new() -> Self {
        Self {
            call: Arc::new(Port::new("call")),
            transport: Arc::new(Port::new("transport")),
            vad: Arc::new(Port::new("vad")),
            transcriber: Arc::new(Port::new("transcriber")),
            model: Arc::new(Port::new("model")),
            voice: Arc::new(Port::new("voice")),
            tools: Arc::new(Port::new("tool_executor")),
            recorder: Arc::new(Port::new("recorder")),
        }
    }
}
