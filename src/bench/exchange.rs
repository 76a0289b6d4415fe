//! Callers who dial a number of a fake carrier's, which runs in this program: the callers are on the
//! phone there, and hear audio the moment that it comes to the carrier.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use offhook_chaos::carriers::{Carriers, Guest, Persona};
use offhook_media::AudioFormat;
use serde_json::Value;
use tokio::{
    sync::{
        mpsc::{self, Receiver, Sender},
        oneshot,
    },
    time::{Instant, sleep_until, timeout},
};

use super::{
    call::Outcome,
    caller::{Caller, Conduct, Measured, Step},
    clock::Moment,
    fakes::TTS_TTFB,
    fleet::{Load, NEWS_MAX, News},
    phrase::FRAME,
    samples::Samples,
};
use crate::fake_carriers::{Carrier, NUMBER};

/// What a carrier's line carries, decoded.
pub const FORMAT: AudioFormat = AudioFormat::pcm16(8_000);

/// The longest wait for a call to be answered: carriers give up on a webhook after 15 s.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// The longest call: what the assistant of a bench allows.
const CALL_LIMIT: Duration = Duration::from_secs(43_200);

/// Callers' numbers have seven digits of their own.
const NUMBERS: u32 = 10_000_000;

/// Where callers dial.
#[derive(Clone)]
pub struct Exchange {
    pub carriers: Arc<Carriers>,
    pub carrier: Carrier,
}

/// The callers of one load.
struct Callers {
    exchange: Exchange,
    load: Load,
    conduct: Arc<Conduct>,
    /// The next call that takes the place of one that ended.
    next: AtomicU32,
    began: Instant,
}

impl Exchange {
    /// Starts the callers. The news ends with the last call.
    pub fn start(&self, load: Load, conduct: Arc<Conduct>) -> Receiver<News> {
        let (sender, news) = mpsc::channel(NEWS_MAX);
        let callers = Arc::new(Callers {
            exchange: self.clone(),
            next: AtomicU32::new(load.calls),
            began: Instant::now(),
            load,
            conduct,
        });
        for slot in 0..load.calls {
            tokio::spawn(Arc::clone(&callers).hold_slot(slot, sender.clone()));
        }
        news
    }
}

impl Callers {
    /// Holds one call after another, as long as there are any to place.
    async fn hold_slot(self: Arc<Self>, slot: u32, news: Sender<News>) {
        sleep_until(self.began + self.load.ramp * slot).await;
        let mut nth = slot;
        loop {
            let outcome = Box::new(self.hold(nth, &news).await);
            let next = self.next.fetch_add(1, Ordering::Relaxed);
            let more = next < self.load.total;
            let told = news.send(News::Ended { outcome, more }).await;
            if !more || told.is_err() {
                return;
            }
            nth = next;
        }
    }

    /// Places a call and waits for its end.
    async fn hold(&self, nth: u32, news: &Sender<News>) -> Outcome {
        let Exchange { carriers, carrier } = &self.exchange;
        let from = format!("+1408{:07}", nth % NUMBERS);
        let (answered, is_answered) = oneshot::channel();
        let (over, is_over) = oneshot::channel();
        let phone = Phone {
            nth,
            conduct: Arc::clone(&self.conduct),
            caller: None,
            due: Moment::default(),
            lateness: Samples::default(),
            news: news.clone(),
            answered: Some(answered),
            over: Some(over),
        };
        carriers.invite(&from, Box::new(phone));
        if let Err(problem) = carriers.place(carrier.name(), &from, NUMBER, Persona::default()) {
            return failed(nth, problem);
        }
        // A call that is over without an answer tells so too.
        if timeout(ANSWER_LIMIT, is_answered).await.is_err() {
            let problem = format!("nobody answered within {} s", ANSWER_LIMIT.as_secs());
            return failed(nth, problem);
        }
        match timeout(CALL_LIMIT, is_over).await {
            Ok(Ok(over)) => over.outcome(nth),
            Ok(Err(_)) => failed(nth, "the carrier lost the call".into()),
            Err(_) => failed(nth, format!("it did not end within {} s", CALL_LIMIT.as_secs())),
        }
    }
}

fn failed(nth: u32, problem: String) -> Outcome {
    Outcome {
        nth,
        setup: None,
        greeted: None,
        first_audio: None,
        measured: Measured::default(),
        lateness: Samples::default(),
        failure: Some(problem),
    }
}

/// A caller on the phone.
struct Phone {
    nth: u32,
    conduct: Arc<Conduct>,
    /// Since the answer.
    caller: Option<Caller>,
    /// When the next frame is to be sent.
    due: Moment,
    lateness: Samples,
    news: Sender<News>,
    answered: Option<oneshot::Sender<()>>,
    over: Option<oneshot::Sender<Box<Over>>>,
}

/// A call that is over.
struct Over {
    call: Value,
    caller: Option<Caller>,
    lateness: Samples,
}

impl Guest for Phone {
    fn speak(&mut self) -> Option<Vec<i16>> {
        let now = Moment::now();
        let caller = match &mut self.caller {
            Some(caller) => caller,
            None => {
                // Whoever waits for these may be gone, and with it the need to know.
                let _ = self.answered.take().map(|answered| answered.send(()));
                let _ = self.news.try_send(News::Up);
                self.due = now;
                self.caller.insert(Caller::new(Arc::clone(&self.conduct), self.nth, now))
            }
        };
        self.lateness.add_coarse(now.since(self.due));
        self.due = self.due + FRAME;
        match caller.step(now) {
            Step::Send(frame) => Some(FORMAT.decode(&frame)),
            Step::HangUp => None,
        }
    }

    fn receive(&mut self, samples: &[i16]) {
        if let Some(caller) = &mut self.caller {
            caller.hear(Moment::now(), &FORMAT.encode(samples));
        }
    }

    fn clear(&mut self) {
        if let Some(caller) = &mut self.caller {
            caller.forget(Moment::now());
        }
    }

    fn over(&mut self, call: Value) {
        let (caller, lateness) = (self.caller.take(), std::mem::take(&mut self.lateness));
        let _ = self.answered.take().map(|answered| answered.send(()));
        let done = Box::new(Over { call, caller, lateness });
        let _ = self.over.take().map(|over| over.send(done));
    }
}

impl Over {
    fn outcome(self, nth: u32) -> Outcome {
        let time = |what: &str| self.call["times_ns"][what].as_u64().map(Moment);
        let asked = time("created");
        let (is_done, measured) = match self.caller {
            Some(caller) => (caller.is_done(), caller.measured()),
            None => (false, Measured::default()),
        };
        let setup = asked.zip(time("stream_connected")).map(|(from, to)| to.since(from));
        let greeted = measured.greeted;
        let first_audio =
            asked.zip(greeted).map(|(from, to)| to.since(from).saturating_sub(TTS_TTFB));
        let failure = match (is_done, greeted) {
            (true, Some(_)) => None,
            (true, None) => Some("the agent did not greet the caller".to_owned()),
            (false, _) => {
                let cause = self.call["end_cause"].as_str().unwrap_or("no cause is known");
                Some(format!("the call ended under the caller: {cause}"))
            }
        };
        Outcome { nth, setup, greeted, first_audio, measured, lateness: self.lateness, failure }
    }
}
