//! Carries a plan out: the whole runtime on providers that break, in virtual time.

use std::{collections::HashMap, sync::Arc, time::Duration};

use offhook_actors::Revival;
use offhook_config::Settings;
use offhook_core::Message;
use offhook_media::AudioFormat;
use offhook_providers::Net;
use offhook_store::{Faults, Store};
use offhook_supervisors::Node;
use offhook_testkit::{
    caller::{CallerOptions, Heard, Line as Said, call_over},
    fakes::{FakeLlm, Reply},
    tones::{self, Word},
    world::World,
};
use serde_json::{Value, json};
use tokio::{
    runtime::{Builder, Handle},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_tungstenite::{WebSocketStream, tungstenite::protocol::Role};
use uuid::Uuid;

use super::{
    fault::Fault,
    leg::Line,
    phrases::{self, BOOKING, GREETING, TOOL, TOOL_FAILED, TOOL_WORKED},
    plan::{Doing, Plan},
    providers::{Company, Script},
    receiver::{Delivery, Postbox, URL},
    recorder::Counts,
    sabotage::{self, Saboteur},
    trace::{Note, Trace},
};

/// What a run came to.
pub struct Ran {
    pub plan: Plan,
    /// Every call, in the order they were placed.
    pub calls: Vec<CallRan>,
    pub notes: Vec<Note>,
    pub deliveries: Vec<Delivery>,
    /// How often each run of a tool was asked for.
    pub tool_runs: HashMap<String, usize>,
    /// What was not as it must be after any run.
    pub broken: Vec<String>,
}

/// One call of a run.
pub struct CallRan {
    pub nth: usize,
    pub id: Uuid,
    pub heard: Heard,
    /// The words of the agent, with their times in the call.
    pub words: Vec<Word>,
    /// The call's document after its end.
    pub record: Value,
    /// Times since the run began: when it was placed, when its media began, when it was over.
    pub placed: Duration,
    pub began: Duration,
    pub ended: Duration,
}

/// Longest call of a run: a caller runs out of patience before.
const CALL_LIMIT: Duration = Duration::from_secs(180);

/// Silence after which a caller gives up. Longer than every bound of a promise.
const PATIENCE: Duration = Duration::from_secs(20);

/// Silence of the agent after which the caller takes the turn: longer than any gap that the table
/// allows, so that a gap is heard as one and does not become an interruption.
const TURN_GAP: Duration = Duration::from_millis(2_800);

/// The same where the actor of the call wedges, for which the table allows 5 s.
const WEDGED_TURN_GAP: Duration = Duration::from_millis(6_500);

/// Longest wait for the end of a call whose caller is gone.
const END_LIMIT: Duration = Duration::from_secs(60);

/// Longest wait for what was published to be delivered: above the longest pause of the outbox.
const DELIVERY_LIMIT: Duration = Duration::from_secs(900);

/// Longest wait for the record of a call that is over: disks of scenarios are full for seconds.
const RECORD_LIMIT: Duration = Duration::from_secs(15);

/// After the last call: whatever was to stop has stopped by then.
const SETTLED: Duration = Duration::from_secs(60);

/// Between the beginnings of calls that run at the same time: callers do not speak in step.
const STAGGER: Duration = Duration::from_millis(37);

/// How often the journal is compared with the live call.
const JOURNAL_LOOK: Duration = Duration::from_millis(1_700);

/// The length of what has begun; a mu-law leg is what a carrier brings.
const FORMAT: AudioFormat = AudioFormat::mulaw();

/// Runs a plan to its end in virtual time, on this thread.
pub fn run(plan: &Plan) -> Ran {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without sockets can always be built");
    runtime.block_on(carry_out(plan))
}

async fn carry_out(plan: &Plan) -> Ran {
    let trace = Trace::begin();
    let counts = Counts::new(trace.clone());
    let _counting = metrics::set_default_local_recorder(&counts);
    let stage = Arc::new(Scene::set(plan, trace.clone()).await);
    let tasks_before = Handle::current().metrics().num_alive_tasks();
    let mut calls = Vec::new();
    for nth in 0..plan.calls_before as usize {
        calls.push(stage.clone().call(nth).await);
        sleep(plan.pause).await;
    }
    let mut running = JoinSet::new();
    for nth in 0..plan.calls as usize {
        let (stage, first) = (stage.clone(), plan.calls_before as usize);
        running.spawn(async move {
            sleep(STAGGER * nth as u32).await;
            stage.call(first + nth).await
        });
    }
    while let Some(call) = running.join_next().await {
        calls.push(call.expect("the call of a run does not panic"));
    }
    calls.sort_by_key(|(call, _)| call.nth);
    let (calls, broken): (Vec<_>, Vec<_>) = calls.into_iter().unzip();
    let mut broken: Vec<String> = broken.into_iter().flatten().collect();
    stage.look_after(tasks_before, &counts, &mut broken).await;
    let ran = Ran {
        plan: plan.clone(),
        calls,
        notes: trace.notes(),
        deliveries: stage.postbox.deliveries(),
        tool_runs: stage.postbox.tool_runs(),
        broken,
    };
    stage.world.node.stop().await;
    ran
}

/// Everything that the calls of a run share.
struct Scene {
    plan: Plan,
    world: Arc<World>,
    store: Faults,
    postbox: Postbox,
    trace: Trace,
    companies: Vec<Company>,
    draining: watch::Sender<bool>,
}

impl Scene {
    async fn set(plan: &Plan, trace: Trace) -> Self {
        let faults = Faults::default();
        let store = Store::in_memory(faults.clone());
        let mut settings = Settings::default();
        settings.calls.concurrency_limit = plan.calls + plan.calls_before + 1;
        let net = Net::new(settings.calls.provider_connect_timeout, "/nonexistent".into(), false)
            .expect("a client without a proxy can always be set up");
        let postbox = Postbox::new(trace.clone());
        let receiver = Some(Arc::new(postbox.clone()) as _);
        let node = Node::start_posting_to(receiver, Arc::new(settings), store.clone(), net)
            .await
            .expect("supervisors on fakes start");
        let health = node.health().clone();
        let mut world = World::over(node, store, FakeLlm::lines(&[]));
        world.format = FORMAT;
        world.seed = plan.seed;
        let script: Script = Arc::new(answer);
        let total = (plan.calls + plan.calls_before) as usize;
        let companies = if plan.cast.shared { 1 } else { total };
        let companies = (0..companies)
            .map(|nth| Company::new(&plan.cast, &script, &health, &trace, nth))
            .collect();
        let draining = watch::Sender::new(false);
        let scene = Self {
            plan: plan.clone(),
            world: Arc::new(world),
            store: faults,
            postbox,
            trace,
            companies,
            draining,
        };
        scene.drain_when_told();
        scene
    }

    fn drain_when_told(&self) {
        let (node, mut told) = (self.world.node.clone(), self.draining.subscribe());
        tokio::spawn(async move {
            if told.wait_for(|told| *told).await.is_ok() {
                node.drain().await;
            }
        });
    }

    /// Holds one call to its end; returns it with what was not as it must be.
    async fn call(self: Arc<Self>, nth: usize) -> (CallRan, Vec<String>) {
        let company = self.companies[nth % self.companies.len()].clone();
        let placed = self.trace.now();
        // What all share breaks once.
        let all_share = |fault: &Fault| self.plan.cast.shared || fault.is_of_node();
        let mut faults = self.plan.faults.clone();
        faults.retain(|timed| nth == 0 || !all_share(&timed.fault));
        sabotage::prepare(&company, &self.trace, nth, &faults);
        let call = self.world.place_on(assistant(&self.plan), company.stages()).await;
        let (id, line) = (call.id, Line::default());
        let breaks_leg = self.plan.faults.iter().any(|timed| timed.fault.is_of_leg());
        let leg = match breaks_leg {
            true => line.lay(self.world.clone(), id, call.leg).await,
            false => call.leg,
        };
        let saboteur = Saboteur {
            world: self.world.clone(),
            store: self.store.clone(),
            company,
            postbox: self.postbox.clone(),
            trace: self.trace.clone(),
            call: nth,
            id,
            line,
            draining: self.draining.clone(),
        };
        saboteur.set_off(&faults);
        let looking = tokio::spawn(compare_journal(self.world.clone(), id));
        let began = self.trace.now();
        let socket = WebSocketStream::from_raw_socket(leg, Role::Client, None).await;
        let mut options = CallerOptions::new("in process", FORMAT, self.lines());
        options.limit = CALL_LIMIT;
        options.patience = PATIENCE;
        let wedges = self.plan.wedges_call();
        options.turn_gap = if wedges { WEDGED_TURN_GAP } else { TURN_GAP };
        let heard = call_over(socket, options).await;
        let mut broken = Vec::new();
        if timeout(END_LIMIT, self.world.node.wait_ended(id)).await.is_err() {
            broken.push(format!("call {nth} was not over {END_LIMIT:?} after its caller was gone"));
        }
        let ended = self.trace.now();
        looking.abort();
        if let Ok(Some(differs)) = looking.await
            && !self.plan.breaks_store()
        {
            broken.push(format!("call {nth}: {differs}"));
        }
        let words = tones::words_of(&heard.agent, heard.sample_rate_hz);
        let record = self.last_record(id).await;
        (CallRan { nth, id, heard, words, record, placed, began, ended }, broken)
    }

    /// The call's document once it says that the call is over: a disk that was full gets it later.
    async fn last_record(&self, id: Uuid) -> Value {
        let began = Instant::now();
        loop {
            let record = self.world.record(id).await;
            if record["status"] == "ended" || began.elapsed() >= RECORD_LIMIT {
                return record;
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    fn lines(&self) -> Vec<Said> {
        let say = |text| self.world.spoken(text);
        let line = |doing: &Doing| match *doing {
            Doing::Ask(nth) => Said::Say(say(phrases::EXCHANGES[nth].question)),
            Doing::AskForTool => Said::Say(say(BOOKING.question)),
            Doing::Interrupt { after, with } => {
                Said::Interrupt { after, spoken: say(phrases::EXCHANGES[with].question) }
            }
            Doing::Wait(time) => Said::Wait(time),
        };
        self.plan.caller.iter().map(line).collect()
    }

    /// What must hold once all calls are over.
    async fn look_after(&self, tasks_before: usize, counts: &Counts, broken: &mut Vec<String>) {
        let node = &self.world.node;
        let began = Instant::now();
        while node.outbox().pending() > 0 && began.elapsed() < DELIVERY_LIMIT {
            sleep(Duration::from_secs(1)).await;
        }
        // Who is down for good is probed for good.
        for company in &self.companies {
            company.mend();
        }
        sleep(SETTLED).await;
        let mut must = |holds: bool, what: String| {
            if !holds {
                broken.push(what);
            }
        };
        let pending = node.outbox().pending();
        must(pending == 0, format!("{pending} server events are still not delivered"));
        let active = node.active_calls();
        must(active == 0, format!("{active} calls are still registered"));
        let slots = node.slot_limits().in_use;
        must(slots == 0, format!("{slots} slots are still in use"));
        for company in &self.companies {
            for (who, open) in company.open() {
                must(false, format!("{open} sessions of {who} are still open"));
            }
        }
        let tasks = Handle::current().metrics().num_alive_tasks();
        let more = tasks.saturating_sub(tasks_before);
        must(more == 0, format!("{more} tasks are left that were not there before the calls"));
        for (name, what) in QUEUES {
            let lost = counts.of(name);
            must(lost == 0, format!("{what}: {lost}"));
        }
        if !self.plan.breaks_store() {
            let journals = self.world.store.journaled_calls().await.unwrap_or_default();
            must(journals.is_empty(), format!("{} journals are left", journals.len()));
        }
    }
}

/// What is counted where a queue was full.
const QUEUES: &[(&str, &str)] = &[
    ("offhook_port_dropped_total", "inputs of actors were dropped by a full port"),
    ("offhook_outbox_lost_total", "server events were dropped by a full outbox"),
    ("offhook_audio_lost_milliseconds_total", "milliseconds of the caller's audio were lost"),
];

fn assistant(plan: &Plan) -> Value {
    let mut assistant = json!({"firstMessage": GREETING, "server": {"url": URL}});
    if plan.caller.contains(&Doing::AskForTool) {
        assistant["model"] = json!({"provider": "openai", "model": "gpt-4.1-mini", "tools": [{
            "type": "function",
            "server": {"url": URL, "timeoutSeconds": TOOL_TIMEOUT_S},
            "messages": [{"type": "request-start", "content": TOOL_START}],
            "function": {"name": TOOL, "parameters": {"type": "object", "properties": {}}},
        }]});
    }
    assistant
}

/// Longest wait for the tool, in seconds.
pub const TOOL_TIMEOUT_S: u64 = 4;

/// Spoken when the tool is asked.
pub const TOOL_START: &str = "One moment while the computer has a look.";

/// What the models of a run say.
fn answer(messages: &[Message]) -> Reply {
    let asked = offhook_testkit::fakes::last_user(messages);
    if !asked.contains(BOOKING.key) {
        return Reply::Say(phrases::answer(messages));
    }
    let since =
        messages.iter().rev().take_while(|message| !matches!(message, Message::User { .. }));
    let result = since.into_iter().find_map(|message| match message {
        Message::ToolResult { content, .. } => Some(content.as_str()),
        Message::System { .. }
        | Message::User { .. }
        | Message::Assistant { .. }
        | Message::ToolCalls { .. } => None,
    });
    match result {
        None => Reply::Call { say: String::new(), tool: TOOL.into(), arguments: json!({}) },
        Some(result) if result.contains("vacancy") => Reply::Say(TOOL_WORKED.into()),
        Some(_) => Reply::Say(TOOL_FAILED.into()),
    }
}

/// Compares the journal on disk with the live call until that is over; says how they differ.
async fn compare_journal(world: Arc<World>, id: Uuid) -> Option<String> {
    loop {
        sleep(JOURNAL_LOOK).await;
        let context = world.node.call(id)?;
        let live = context.history();
        let Ok(lines) = world.store.read_journal(id).await else { continue };
        if world.node.call(id).is_none() || context.ending().is_some() {
            return None;
        }
        let replayed = Revival::read(&lines).map(|revival| revival.history);
        if replayed.as_ref() != Some(&live) && context.history() == live {
            let replayed =
                replayed.map_or_else(|| "unreadable".into(), |history| history.len().to_string());
            return Some(format!(
                "its journal on disk replays to a history of {replayed} entries, the live one has {}",
                live.len()
            ));
        }
    }
}
