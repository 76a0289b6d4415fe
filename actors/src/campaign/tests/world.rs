//! A carrier, a client's server and slots for a campaign, in virtual time.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures_util::{FutureExt, future::BoxFuture};
use offhook_api::campaign::{CampaignView, ContactRow};
use offhook_core::campaign::{Outcome, Predial, WallTime};
use offhook_store::{Append, CAMPAIGN_ROWS_MAX, CampaignPart};
use serde_json::{Value, json};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};
use uuid::Uuid;

use super::super::*;

/// SplitMix64.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// Monday 2026-11-23T12:00Z.
pub const BEGIN_MS: u64 = 1_795_435_200_000;

/// The world beyond the campaign: it lives on when the campaign dies.
pub struct World {
    began: Instant,
    slots: Arc<Semaphore>,
    slots_max: usize,
    state: Mutex<State>,
}

pub struct State {
    pub dice: Dice,
    /// Every request that reached the carrier.
    pub dials: Vec<(Uuid, String, Instant)>,
    calls: HashMap<Uuid, (Instant, Outcome)>,
    pub told: Vec<Value>,
    pub asked: Vec<Value>,
    pub filed: Option<Filing>,
    pub outcome: fn(&str) -> Outcome,
    pub eligible: fn(&Value) -> Predial,
    /// The carrier's records are lost.
    pub is_blind: bool,
    pub most_at_once: usize,
}

pub const HOLD: Duration = Duration::from_secs(20);

/// The longest that a request takes to the carrier, and its answer back.
const WIRE_MS: u64 = 400;

impl World {
    pub fn new(seed: u64, slots: usize) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            slots: Arc::new(Semaphore::new(slots)),
            slots_max: slots,
            state: Mutex::new(State {
                dice: Dice(seed),
                dials: Vec::new(),
                calls: HashMap::new(),
                told: Vec::new(),
                asked: Vec::new(),
                filed: None,
                outcome: |_| Outcome::Answered,
                eligible: |_| Predial::Eligible,
                is_blind: false,
                most_at_once: 0,
            }),
        })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn slots_in_use(&self) -> usize {
        self.slots_max - self.slots.available_permits()
    }

    pub fn dials_of_each(&self) -> BTreeMap<String, usize> {
        let mut each = BTreeMap::new();
        for (_, number, _) in &self.state().dials {
            *each.entry(number.clone()).or_default() += 1;
        }
        each
    }

    pub fn told(&self, event: &str) -> usize {
        self.state().told.iter().filter(|body| body["message"]["type"] == event).count()
    }

    pub async fn filed(&self) -> Filing {
        loop {
            if let Some(filing) = self.state().filed {
                return filing;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn live(self: &Arc<Self>, intent: Uuid, slot: Option<OwnedSemaphorePermit>) -> Live {
        let world = self.clone();
        let over = async move {
            let (ends, outcome) = world.state().calls[&intent];
            sleep_until(ends).await;
            drop(slot);
            ending(outcome)
        };
        Live { over: over.boxed() }
    }
}

fn ending(outcome: Outcome) -> Ending {
    Ending { outcome, reason: format!("{outcome:?}").to_lowercase().into() }
}

/// A desk of the process that lives at the moment.
pub struct FakeDesk(pub Arc<World>);

impl Desk for FakeDesk {
    type Slot = OwnedSemaphorePermit;

    fn now(&self) -> WallTime {
        let passed = u64::try_from(self.0.began.elapsed().as_millis()).unwrap();
        WallTime::from_millis(BEGIN_MS + passed)
    }

    fn take_slot(
        &self,
        _: &CampaignSpec,
        lines: Vec<(LineId, Arc<str>)>,
    ) -> BoxFuture<'static, Option<(LineId, Self::Slot)>> {
        let world = self.0.clone();
        async move {
            let slot = world.slots.clone().acquire_owned().await.ok();
            let in_use = world.slots_in_use();
            let mut state = world.state();
            state.most_at_once = state.most_at_once.max(in_use);
            Some((lines.first()?.0, slot?))
        }
        .boxed()
    }

    fn place(
        &self,
        order: DialOrder,
        slot: Self::Slot,
    ) -> BoxFuture<'static, Result<Live, DialError>> {
        let world = self.0.clone();
        async move {
            let (out_ms, back_ms, is_lost) = {
                let dice = &mut world.state().dice;
                (dice.roll(WIRE_MS), dice.roll(WIRE_MS), dice.roll(2) == 0)
            };
            // Whoever dies here does not call its request back: it arrives, or is lost.
            let asker = Arc::new(());
            let (waiting, carrier) = (Arc::downgrade(&asker), world.clone());
            let arriving = tokio::spawn(async move {
                sleep(Duration::from_millis(out_ms)).await;
                if waiting.strong_count() == 0 && is_lost {
                    return;
                }
                let number = order.customer["number"].as_str().unwrap().to_owned();
                let mut state = carrier.state();
                let outcome = (state.outcome)(&number);
                state.dials.push((order.intent, number, Instant::now()));
                state.calls.insert(order.intent, (Instant::now() + HOLD, outcome));
            });
            arriving.await.unwrap();
            sleep(Duration::from_millis(back_ms)).await;
            drop(asker);
            Ok(world.live(order.intent, Some(slot)))
        }
        .boxed()
    }

    fn look_up(&self, order: DialOrder) -> BoxFuture<'static, Found> {
        let world = self.0.clone();
        async move {
            sleep(Duration::from_millis(80)).await;
            let mut state = world.state();
            if state.is_blind {
                return Found::Unknown;
            }
            if state.dice.roll(5) == 0 {
                return Found::Unreachable;
            }
            match state.calls.get(&order.intent) {
                None => Found::NeverDialled,
                Some((ends, outcome)) if *ends <= Instant::now() => Found::Over(ending(*outcome)),
                Some(_) => {
                    drop(state);
                    Found::Live(world.live(order.intent, None))
                }
            }
        }
        .boxed()
    }

    fn ask_server(&self, _: Arc<CampaignSpec>, body: Value) -> BoxFuture<'static, Predial> {
        let mut state = self.0.state();
        let verdict = (state.eligible)(&body["message"]["contact"]);
        state.asked.push(body);
        async move { verdict }.boxed()
    }

    fn tell_server(&self, _: &CampaignSpec, _: &'static str, body: Value) {
        self.0.state().told.push(body);
    }

    fn file(&self, _: Arc<CampaignSpec>, filing: Filing) -> BoxFuture<'static, bool> {
        self.0.state().filed = Some(filing);
        async { true }.boxed()
    }
}

pub type Ref = ActorRef<CampaignMsg<OwnedSemaphorePermit>>;

/// A campaign and what it leaves to its successors.
pub struct Subject {
    pub args: CampaignArgs<FakeDesk>,
    pub actor: Ref,
}

pub fn number(index: u32) -> String {
    format!("+1415555{index:04}")
}

impl Subject {
    pub async fn start(world: &Arc<World>, store: &Store, contacts: u32, dialing: Value) -> Self {
        let id = Uuid::from_u128(42);
        let document = json!({
            "id": id, "name": "test", "assistantId": "a", "phoneNumberId": "p",
            "maxConcurrency": 6, "server": {"url": "https://client.example"},
            "createdAt": "2026-11-23T00:00:00.000Z",
        });
        let mut document = document;
        for (name, value) in dialing.as_object().unwrap() {
            document[name] = value.clone();
        }
        let customers = (0..contacts).map(|index| json!({"number": number(index)}));
        let rows: Vec<_> = customers.map(|it| ContactRow::read(&it, 0).unwrap().encode()).collect();
        for rows in rows.chunks(CAMPAIGN_ROWS_MAX) {
            let part = CampaignPart::Contacts;
            store.campaign_append(id, part, rows.to_vec(), Append::Durable, || true).await.unwrap();
        }
        let view = CampaignView::read(&document).unwrap();
        let spec = Arc::new(CampaignSpec { id, org: "org".into(), view, document });
        let args = CampaignArgs {
            spec,
            desk: Arc::new(FakeDesk(world.clone())),
            store: store.clone(),
            numbers: Numbers::default(),
            ownership: Ownership::default(),
        };
        let actor = spawn(&args).await;
        Self { args, actor }
    }

    /// Dies in the middle of whatever it does; a successor takes over after a while.
    pub async fn kill(&mut self, down: Duration) {
        self.actor.kill();
        sleep(down).await;
        // What was only in the memory of the process.
        self.args.numbers = Numbers::default();
        self.actor = spawn(&self.args).await;
    }

    pub async fn glance(&self) -> Glance {
        let asked = self.actor.call(CampaignMsg::Glance, Some(Duration::from_secs(5))).await;
        asked.unwrap().unwrap()
    }

    pub async fn told_to(&self, event: Event) {
        let ask = |reply| CampaignMsg::Do(event, reply);
        self.actor.call(ask, Some(Duration::from_secs(5))).await.unwrap().unwrap();
    }
}

async fn spawn(args: &CampaignArgs<FakeDesk>) -> Ref {
    let (actor, _) = Actor::spawn(None, CampaignActor::default(), args.clone()).await.unwrap();
    actor
}
