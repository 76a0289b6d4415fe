//! One call: a person's line, what became of it, and who may change its course.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use super::{
    App,
    faults::MediaFault,
    handset::{FRAME_TIME, Handset},
    line::{Line, Source},
    options::{Answers, Persona},
};
use crate::fakes::monotonic_ns;

/// Orders that may wait; whoever gives more gets 429.
const ORDERS_MAX: usize = 64;

/// Entries of a call's log that are kept.
const LOG_MAX: usize = 2_000;

/// Longest call; a test that forgets one does not keep it for ever.
const CALL_LIMIT: Duration = Duration::from_secs(4 * 3_600);

/// What happens to a call that its runner does not decide itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// The customer ends it, through the API.
    HangUp,
    /// The customer gives it other instructions: a document, or where to ask for one.
    Instructions(Instructions),
    /// The person hung up.
    PersonGone,
    /// The conference that it is in is over, or it was taken out.
    LeaveConference,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Instructions {
    Document(String),
    Url(String),
}

pub struct Call {
    pub id: String,
    pub carrier: &'static str,
    pub is_inbound: bool,
    pub from: String,
    pub to: String,
    pub parent: Option<String>,
    pub persona: Persona,
    pub line: Line,
    pub media_fault: watch::Sender<MediaFault>,
    orders: mpsc::Sender<Order>,
    over: AtomicBool,
    answered: AtomicBool,
    facts: Mutex<Facts>,
    /// Ends the media stream that somebody else runs, while there is one.
    stream: Mutex<Option<watch::Sender<bool>>>,
    /// Ids of commands that were carried out.
    commands: Mutex<HashSet<String>>,
}

/// What is known of a call.
#[derive(Clone, Debug)]
pub struct Facts {
    pub status: &'static str,
    pub created: Timestamp,
    pub answered: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    pub answered_by: Option<&'static str>,
    pub end_cause: Option<String>,
    /// What its carrier knows of it besides, by the names of its API.
    pub fields: BTreeMap<String, String>,
    /// Times of `CLOCK_MONOTONIC`, by what happened then.
    pub times: Vec<(&'static str, u64)>,
    log: Vec<(u64, String)>,
}

/// Who is to be called, or calls.
pub struct Parties {
    pub id: String,
    pub carrier: &'static str,
    pub is_inbound: bool,
    pub from: String,
    pub to: String,
    pub parent: Option<String>,
}

impl Call {
    /// A call that nobody has answered, and who is told of orders.
    pub fn new(
        app: &App,
        parties: Parties,
        persona: Persona,
        status: &'static str,
    ) -> Result<(Arc<Self>, mpsc::Receiver<Order>), String> {
        let (orders, ordered) = mpsc::channel(ORDERS_MAX);
        let mut handset = Handset::new(&persona, app.options().recorded_seconds)?;
        let Parties { id, carrier, is_inbound, from, to, parent } = parties;
        if let Some(guest) = app.guest_of(if is_inbound { &from } else { &to }) {
            handset.hand_to(guest);
        }
        let call = Arc::new(Self {
            id,
            carrier,
            is_inbound,
            from,
            to,
            parent,
            persona,
            line: Line::new(handset),
            media_fault: watch::Sender::new(MediaFault::None),
            orders,
            over: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            stream: Mutex::new(None),
            commands: Mutex::default(),
            facts: Mutex::new(Facts {
                status,
                created: Timestamp::now(),
                answered: None,
                ended: None,
                answered_by: None,
                end_cause: None,
                fields: BTreeMap::new(),
                times: vec![("created", monotonic_ns())],
                log: Vec::new(),
            }),
        });
        app.add(call.clone());
        Ok((call, ordered))
    }

    /// Connects the person; what they say and hear begins.
    pub fn answer(self: &Arc<Self>) {
        if self.answered.swap(true, Ordering::SeqCst) {
            return;
        }
        self.note_time("answered");
        self.change(|facts| facts.answered = Some(Timestamp::now()));
        tokio::spawn(live(self.clone()));
    }

    pub fn is_answered(&self) -> bool {
        self.answered.load(Ordering::SeqCst)
    }

    /// Ends the call for good.
    pub fn end(&self, status: &'static str, cause: &str) {
        self.change(|facts| {
            facts.status = status;
            facts.ended = Some(Timestamp::now());
            facts.end_cause = Some(cause.to_owned());
            facts.times.push(("ended", monotonic_ns()));
        });
        self.line.hear(Source::Silence);
        self.over.store(true, Ordering::SeqCst);
        if let Some(mut guest) = self.line.with_handset(Handset::take_back) {
            guest.over(self.document());
        }
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// `false` when the call takes no more.
    pub fn order(&self, order: Order) -> bool {
        !self.is_over() && self.orders.try_send(order).is_ok()
    }

    pub fn facts(&self) -> Facts {
        self.lock().clone()
    }

    pub fn status(&self) -> &'static str {
        self.lock().status
    }

    pub fn set_status(&self, status: &'static str) {
        self.change(|facts| facts.status = status);
    }

    pub fn change(&self, change: impl FnOnce(&mut Facts)) {
        change(&mut self.lock());
    }

    pub fn set_field(&self, name: &str, value: &str) {
        self.change(|facts| drop(facts.fields.insert(name.to_owned(), value.to_owned())));
    }

    /// Whether a command with this id was not carried out before.
    pub fn is_new_command(&self, id: &str) -> bool {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned())
    }

    /// Takes the place of the call's one stream; `false` when it is taken.
    pub fn take_stream(&self, stop: watch::Sender<bool>) -> bool {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        if stream.is_some() {
            return false;
        }
        *stream = Some(stop);
        true
    }

    pub fn stop_stream(&self) {
        if let Some(stop) = &*self.stream.lock().unwrap_or_else(PoisonError::into_inner) {
            stop.send_replace(true);
        }
    }

    pub fn drop_stream(&self) {
        *self.stream.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub fn has_stream(&self) -> bool {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Writes down what happened, with the clock of all carriers.
    pub fn note(&self, app: &App, what: impl Into<String>) {
        let mut facts = self.lock();
        if facts.log.len() < LOG_MAX {
            facts.log.push((app.now_ms(), what.into()));
        }
    }

    /// Writes down when something happened first.
    pub fn note_time(&self, what: &'static str) {
        let mut facts = self.lock();
        if facts.times.iter().all(|(known, _)| *known != what) {
            facts.times.push((what, monotonic_ns()));
        }
    }

    /// The document of `GET /carriers/calls/{id}`.
    pub fn document(&self) -> Value {
        let facts = self.facts();
        let times: serde_json::Map<String, Value> =
            facts.times.iter().map(|(what, ns)| ((*what).to_owned(), json!(ns))).collect();
        let log: Vec<_> =
            facts.log.iter().map(|(at, what)| json!({"at_ms": at, "what": what})).collect();
        json!({
            "id": self.id,
            "carrier": self.carrier,
            "direction": if self.is_inbound { "inbound" } else { "outbound" },
            "from": self.from,
            "to": self.to,
            "parent": self.parent,
            "status": facts.status,
            "is_over": self.is_over(),
            "end_cause": facts.end_cause,
            "times_ns": times,
            "log": log,
            "heard": self.line.with_handset(|handset| handset.heard.document()),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the person speak and hear until the call is over.
async fn live(call: Arc<Call>) {
    let began = Instant::now();
    let mut ticks = interval(FRAME_TIME);
    // What was late is caught up with: time on the line does not stand still.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut frame = 0_u32;
    while !call.is_over() && began.elapsed() < CALL_LIMIT {
        ticks.tick().await;
        if let Some(why) = call.line.tick(FRAME_TIME * frame) {
            call.change(|facts| facts.end_cause = Some(why.into()));
            // With no room for it the call has been ordered to end long since.
            let _ = call.order(Order::PersonGone);
            return;
        }
        frame += 1;
    }
}

/// What became of a call that rang.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    Answered,
    Busy,
    NoAnswer,
    Rejected,
    NotFound,
    Failed,
}

/// Rings at the person, who does what they do; `ringing` is called when it rings.
pub async fn ring(call: &Arc<Call>, limit: Duration, ringing: impl FnOnce()) -> Rung {
    let wait = Duration::from_millis(call.persona.ring_ms);
    let early = match call.persona.answers {
        Answers::NotFound => Some(Rung::NotFound),
        Answers::Failed => Some(Rung::Failed),
        Answers::Busy => Some(Rung::Busy),
        Answers::Answer | Answers::NoAnswer | Answers::Reject => None,
    };
    if let Some(early) = early {
        sleep(wait.min(limit)).await;
        return early;
    }
    ringing();
    let rings_for = match call.persona.answers {
        Answers::NoAnswer => limit,
        Answers::Answer | Answers::Reject | Answers::Busy | Answers::NotFound | Answers::Failed => {
            wait.min(limit)
        }
    };
    sleep(rings_for).await;
    match call.persona.answers {
        Answers::Answer if wait <= limit => Rung::Answered,
        Answers::Reject => Rung::Rejected,
        Answers::Answer
        | Answers::NoAnswer
        | Answers::Busy
        | Answers::NotFound
        | Answers::Failed => Rung::NoAnswer,
    }
}
