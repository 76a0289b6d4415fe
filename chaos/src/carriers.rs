//! Fake carriers: Twilio, Telnyx and Vonage as their customers meet them, with people on the phone.
//!
//! Each has its API (`/twilio`, `/telnyx/v2`, `/vonage`), its webhooks, signed as the carrier signs
//! them, and its media socket with a buffer that is played in real time. `/carriers` is for tests
//! (see [`control`]): it says what a person does who is called, places a call of one to a number,
//! tells what was heard, and breaks things.
//!
//! - A person speaks tones of `testkit::tones`, or a WAV file, when the agent has finished, and
//!   hears words of tones. What `<Say>`, `speak` and `talk` say is heard as such words too.
//! - A status callback may be late, come twice, and overtake another: `callbacks` of
//!   [`CarriersOptions`].
//! - A webhook that cannot be delivered is tried again for `webhook_patience_ms`: 0 is what carriers
//!   do; more stands for a proxy that holds requests while a process is started anew.
//! - An address of `ws://` is taken as well, so that a server on the same machine needs no
//!   certificate.
//!
//! Assumptions, which only a live account could prove: a carrier forgets what it has buffered when
//! the media socket is gone; Twilio asks `action` however the socket ended.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use axum::{Router, middleware};
use offhook_testkit::caller::TurnTiming;
use serde_json::Value;
use tokio::time::Instant;

use crate::chance::Chance;

mod call;
mod control;
mod faults;
mod guest;
mod handset;
mod line;
mod options;
mod playout;
mod room;
mod stream;
mod telnyx;
mod twilio;
mod vonage;
mod webhooks;

pub use guest::Guest;
pub use options::{CallbackOptions, CarriersOptions, Persona, Saying};

use call::Call;
use faults::RestFaults;
use room::Room;

/// The carriers there are, by the names in their addresses.
pub(crate) const CARRIERS: [&str; 3] = ["twilio", "telnyx", "vonage"];

/// Calls that are remembered after their end; the oldest go first.
const CALLS_KEPT: usize = 5_000;

/// The carriers and everybody they connect.
pub struct Carriers {
    pub(crate) options: RwLock<CarriersOptions>,
    pub(crate) chance: Chance,
    pub(crate) http: reqwest::Client,
    pub(crate) faults: RestFaults,
    state: Mutex<State>,
    began: Instant,
}

#[derive(Default)]
struct State {
    /// By the carrier's id, and the ids oldest first.
    calls: HashMap<String, Arc<Call>>,
    order: Vec<String>,
    /// What people do who are called, by number; the empty number is everybody else.
    people: HashMap<String, Persona>,
    /// Who is on the phone in the next call of a number.
    guests: HashMap<String, Box<dyn Guest>>,
    numbers: BTreeMap<(&'static str, String), Number>,
    rooms: HashMap<String, Arc<Room>>,
}

/// A number of a customer, and what the carrier knows of it: the fields of its API.
#[derive(Clone, Debug, Default)]
pub(crate) struct Number {
    pub id: String,
    pub fields: BTreeMap<String, String>,
}

impl Number {
    /// A field, unless it is empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl Carriers {
    pub fn new(options: CarriersOptions, seed: u64) -> Arc<Self> {
        // Sockets take the default; somebody else may have chosen it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let tls =
            rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let http = reqwest::Client::builder()
            .use_preconfigured_tls(tls)
            .pool_idle_timeout(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("nothing in these settings can fail");
        Arc::new(Self {
            options: RwLock::new(options),
            chance: Chance::new(seed),
            http,
            faults: RestFaults::default(),
            state: Mutex::default(),
            began: Instant::now(),
        })
    }

    /// A number of the customer's at a carrier, which knows nothing else of it.
    ///
    /// # Errors
    ///
    /// When there is no such carrier.
    pub fn sell(&self, carrier: &str, number: &str) -> Result<(), String> {
        self.change_number(known(carrier)?, number, |_| {});
        Ok(())
    }

    /// Breaks something, as `POST /carriers/fault` does.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the fault.
    pub fn break_something(self: &Arc<Self>, fault: &Value) -> Result<(), String> {
        let fault = serde_json::from_value(fault.clone()).map_err(|error| error.to_string())?;
        faults::add(self, fault)
    }

    /// The key that Telnyx's signatures are checked with.
    pub fn telnyx_key(self: &Arc<Self>) -> String {
        telnyx::public_key(self)
    }

    /// The next call from or to this number is this person's.
    pub fn invite(&self, number: &str, guest: Box<dyn Guest>) {
        self.state().guests.insert(number.to_owned(), guest);
    }

    /// A person calls a number of the customer's; returns the carrier's id of the call.
    ///
    /// # Errors
    ///
    /// When there is no such carrier, or the number is not set up.
    pub fn place(
        self: &Arc<Self>,
        carrier: &str,
        from: &str,
        to: &str,
        persona: Persona,
    ) -> Result<String, String> {
        let placed = match known(carrier)? {
            "twilio" => twilio::place_inbound(self, from.to_owned(), to.to_owned(), persona),
            "telnyx" => telnyx::place_inbound(self, from.to_owned(), to.to_owned(), persona),
            _ => vonage::place_inbound(self, from.to_owned(), to.to_owned(), persona),
        };
        // Nobody is on the phone in a call that there is not.
        let placed = placed.inspect_err(|_| drop(self.guest_of(from)));
        Ok(placed?.id.clone())
    }

    /// The document of `GET /carriers/calls/{id}`.
    pub fn document(&self, id: &str) -> Option<Value> {
        self.call(id).map(|call| call.document())
    }

    /// What the person of a call heard, in samples at 8 kHz from the answer on, and how long the
    /// answers to what was said were waited for.
    pub fn heard(&self, id: &str) -> Option<(Vec<i16>, Vec<TurnTiming>)> {
        let call = self.call(id)?;
        Some(call.line.with_handset(|handset| (handset.heard.samples(), handset.turns())))
    }

    pub(crate) fn guest_of(&self, number: &str) -> Option<Box<dyn Guest>> {
        self.state().guests.remove(number)
    }

    pub fn options(&self) -> CarriersOptions {
        self.options.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Since the carriers began, in milliseconds: the clock of every log.
    pub(crate) fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    pub(crate) fn add(&self, call: Arc<Call>) {
        let mut state = self.state();
        if state.order.len() >= CALLS_KEPT {
            let over = state
                .order
                .iter()
                .position(|id| state.calls.get(id).is_none_or(|call| call.is_over()));
            if let Some(over) = over {
                let id = state.order.remove(over);
                state.calls.remove(&id);
            }
        }
        state.order.push(call.id.clone());
        state.calls.insert(call.id.clone(), call);
    }

    pub(crate) fn call(&self, id: &str) -> Option<Arc<Call>> {
        self.state().calls.get(id).cloned()
    }

    /// Newest first.
    pub(crate) fn calls(&self, carrier: &str) -> Vec<Arc<Call>> {
        let state = self.state();
        let calls = state.order.iter().rev().filter_map(|id| state.calls.get(id));
        calls.filter(|call| call.carrier == carrier).cloned().collect()
    }

    pub(crate) fn persona(&self, number: &str) -> Persona {
        let state = self.state();
        state.people.get(number).or_else(|| state.people.get("")).cloned().unwrap_or_default()
    }

    pub(crate) fn introduce(&self, number: String, persona: Persona) {
        self.state().people.insert(number, persona);
    }

    pub(crate) fn number(&self, carrier: &'static str, number: &str) -> Option<Number> {
        self.state().numbers.get(&(carrier, number.to_owned())).cloned()
    }

    pub(crate) fn numbers(&self, carrier: &str) -> Vec<(String, Number)> {
        let state = self.state();
        let numbers = state.numbers.iter().filter(|((of, _), _)| *of == carrier);
        numbers.map(|((_, number), known)| (number.clone(), known.clone())).collect()
    }

    /// Changes a number, which is bought when it is not there yet.
    pub(crate) fn change_number(
        &self,
        carrier: &'static str,
        number: &str,
        change: impl FnOnce(&mut Number),
    ) -> Number {
        let id = self.chance.id();
        let mut state = self.state();
        let known = state
            .numbers
            .entry((carrier, number.to_owned()))
            .or_insert_with(|| Number { id, fields: BTreeMap::new() });
        change(known);
        known.clone()
    }

    pub(crate) fn remove_number(&self, carrier: &'static str, number: &str) {
        self.state().numbers.remove(&(carrier, number.to_owned()));
    }

    /// The room of this name, which is opened when there is none.
    pub(crate) fn room(&self, name: &str) -> Arc<Room> {
        self.state().rooms.entry(name.to_owned()).or_default().clone()
    }

    pub(crate) fn room_names(&self) -> Vec<String> {
        self.state().rooms.keys().cloned().collect()
    }

    pub(crate) fn close_room(&self, name: &str) {
        self.state().rooms.remove(name);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn known(carrier: &str) -> Result<&'static str, String> {
    let known = CARRIERS.into_iter().find(|known| carrier == *known);
    known.ok_or_else(|| {
        format!("unknown carrier `{carrier}`, expected one of: {}", CARRIERS.join(", "))
    })
}

pub(crate) type App = Arc<Carriers>;

/// All carriers and their control, at their prefixes.
pub(crate) fn router(app: App) -> Router {
    let api = |carrier: &'static str, router: Router<App>| {
        router.layer(middleware::from_fn_with_state((app.clone(), carrier), faults::answer))
    };
    Router::new()
        .nest("/carriers", control::router())
        .nest("/twilio", api("twilio", twilio::router()))
        .nest("/telnyx", api("telnyx", telnyx::router()))
        .nest("/vonage", api("vonage", vonage::router()))
        .with_state(app)
}
