//! A call's NCCO, carried out action by action.

use std::{sync::Arc, time::Duration};

use futures_util::future::{BoxFuture, Either, select};
use offhook_media::AudioFormat;
use serde_json::{Value, json};
use tokio::{
    pin,
    sync::{mpsc, watch},
    time::sleep,
};

use super::{dialect::Endpoint, token};
use crate::carriers::{
    App,
    call::{Call, Instructions, Order, Parties, Rung, ring},
    line::{Sink, Source},
    stream::{self, Plan, StreamEnd},
};

/// How long it rings when nothing is said.
pub const RING: Duration = Duration::from_secs(60);

/// What a sound file lasts; one that is repeated for ever lasts an hour.
const FILE_TIME: Duration = Duration::from_secs(2);
const EVER: Duration = Duration::from_secs(3_600);

pub struct Runner {
    pub app: App,
    pub call: Arc<Call>,
    pub orders: mpsc::Receiver<Order>,
    /// Told of events.
    pub event_url: Option<String>,
}

/// Where the instructions come from.
pub enum Next {
    Ask(String),
    Ncco(Value),
    End(String),
}

type Way<T = ()> = Result<T, Next>;

impl Runner {
    /// Carries on until the call is over. Boxed, for instructions may lead to other calls.
    pub fn run(self, next: Next) -> BoxFuture<'static, ()> {
        Box::pin(self.carry_on(next))
    }

    async fn carry_on(mut self, mut next: Next) {
        loop {
            next = match next {
                Next::End(cause) => {
                    self.call.end("completed", &cause);
                    self.tell("completed", json!({"duration": "1", "price": "0"}));
                    return;
                }
                Next::Ask(url) => {
                    let body = json!({
                        "uuid": self.call.id,
                        "conversation_uuid": conversation(&self.call),
                        "from": plain(&self.call.from),
                        "to": plain(&self.call.to),
                    });
                    self.call.note(&self.app, format!("asks {url}"));
                    let app = self.app.clone();
                    match self.wait(token::ask(&app, &url, &body)).await {
                        Ok(Ok(ncco)) => Next::Ncco(ncco),
                        Ok(Err(problem)) => Next::End(format!("no NCCO: {problem}")),
                        Err(next) => next,
                    }
                }
                Next::Ncco(ncco) => self.perform(&ncco).await,
            };
        }
    }

    async fn perform(&mut self, ncco: &Value) -> Next {
        let Some(actions) = ncco.as_array() else { return Next::End("NCCO is no list".into()) };
        for action in actions {
            if let Err(next) = self.act(action).await {
                return next;
            }
        }
        Next::End("no more actions".into())
    }

    async fn act(&mut self, action: &Value) -> Way {
        let kind = action["action"].as_str().unwrap_or_default().to_owned();
        self.call.note(&self.app, format!("action {kind}"));
        self.take();
        match kind.as_str() {
            "talk" => {
                let length = self.call.line.say(action["text"].as_str().unwrap_or_default());
                self.wait(sleep(length)).await
            }
            "stream" => {
                self.call.line.hear(Source::Music);
                let length = match action["loop"].as_u64().unwrap_or(1) {
                    0 => EVER,
                    times => FILE_TIME * times as u32,
                };
                let played = self.wait(sleep(length)).await;
                self.call.line.hear(Source::Silence);
                played
            }
            "wait" => {
                let seconds = action["timeout"].as_f64().unwrap_or(10.0).clamp(0.0, 7_200.0);
                self.wait(sleep(Duration::from_secs_f64(seconds))).await
            }
            "notify" => self.notify(action).await,
            "conversation" => self.converse(action).await,
            "connect" if action["endpoint"][0]["type"] == "websocket" => self.connect(action).await,
            "connect" => self.dial(action).await,
            _ => Err(Next::End(format!("the action {kind} is not known here"))),
        }
    }

    /// Answers an inbound call.
    fn take(&self) {
        if self.call.is_inbound && !self.call.is_answered() {
            self.call.set_status("answered");
            self.call.answer();
            self.tell("answered", json!({}));
        }
    }

    async fn connect(&mut self, action: &Value) -> Way {
        let endpoint = &action["endpoint"][0];
        let uri = endpoint["uri"].as_str().unwrap_or_default().to_owned();
        let content = endpoint["content-type"].as_str().unwrap_or_default();
        let rate = content.rsplit_once("rate=").and_then(|(_, rate)| rate.parse().ok());
        let Some(rate @ (8_000 | 16_000 | 24_000)) = rate else {
            return Err(Next::End(format!("the content-type {content} is not known")));
        };
        let dialect =
            Endpoint { format: AudioFormat::pcm16(rate), headers: endpoint["headers"].clone() };
        let plan = Plan { url: uri.clone(), headers: Vec::new(), dialect: Box::new(dialect) };
        let (stop, stopped) = watch::channel(false);
        let end = {
            let streaming = stream::run(&self.app, &self.call, plan, stopped);
            pin!(streaming);
            let ordered = self.orders.recv();
            pin!(ordered);
            match select(&mut streaming, ordered).await {
                Either::Left((end, _)) => Ok(end),
                Either::Right((order, _)) => {
                    stop.send_replace(true);
                    streaming.await;
                    Err(order)
                }
            }
        };
        let end = end.map_err(|order| self.obey(order))?;
        self.call.note(&self.app, format!("stream ended: {end:?}"));
        let status = match end {
            StreamEnd::Refused(_) => "unanswered",
            StreamEnd::Closed(_) | StreamEnd::Lost(_) | StreamEnd::Stopped => "disconnected",
        };
        let url = action["eventUrl"][0].as_str().map(str::to_owned).or(self.event_url.clone());
        let Some(url) = url else { return Ok(()) };
        // The answer may be other instructions.
        let body = self.event(status, json!({"uuid": self.app.chance.id(), "to": uri}));
        let app = self.app.clone();
        match self.wait(token::ask(&app, &url, &body)).await? {
            Ok(ncco) if ncco.as_array().is_some_and(|ncco| !ncco.is_empty()) => {
                Err(Next::Ncco(ncco))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Tells an address that the call has come so far; its answer may be other instructions.
    async fn notify(&mut self, action: &Value) -> Way {
        let Some(url) = action["eventUrl"][0].as_str().map(str::to_owned) else {
            return Err(Next::End("notify without eventUrl".into()));
        };
        let body = json!({
            "payload": action["payload"],
            "conversation_uuid": conversation(&self.call),
            "timestamp": jiff::Timestamp::now().to_string(),
        });
        let app = self.app.clone();
        match self.wait(token::ask(&app, &url, &body)).await? {
            Ok(ncco) if ncco.as_array().is_some_and(|ncco| !ncco.is_empty()) => {
                Err(Next::Ncco(ncco))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    async fn converse(&mut self, action: &Value) -> Way {
        let name = action["name"].as_str().unwrap_or_default().to_owned();
        let (room, id) = (self.app.room(&name), self.call.id.clone());
        let is = |name: &str, otherwise: bool| action[name].as_bool().unwrap_or(otherwise);
        room.join(&id, is("startOnEnter", true), is("endOnExit", false), is("mute", false));
        let both = || (room.clone(), id.clone());
        let ((hears, as_one), (says, as_other)) = (both(), both());
        self.call.line.connect(Source::Room(hears, as_one), Sink::Room(says, as_other));
        let order = self.orders.recv().await;
        let ends = room.leave(&id);
        self.call.line.connect(Source::Silence, Sink::Nobody);
        for member in room.members().iter().filter(|_| ends) {
            // Somebody who is gone has left already.
            let _ = self.app.call(member).map(|call| call.order(Order::LeaveConference));
        }
        match order {
            Some(Order::LeaveConference) => Ok(()),
            order => Err(self.obey(order)),
        }
    }

    async fn dial(&mut self, action: &Value) -> Way {
        let endpoint = &action["endpoint"][0];
        let number = endpoint["number"].as_str().or(endpoint["uri"].as_str()).unwrap_or_default();
        let to = with_plus(number);
        let limit = action["timeout"].as_u64().map_or(RING, Duration::from_secs);
        let parties = Parties {
            id: self.app.chance.id(),
            carrier: "vonage",
            is_inbound: false,
            from: action["from"].as_str().map_or(self.call.from.clone(), with_plus),
            to: to.clone(),
            parent: Some(self.call.id.clone()),
        };
        let persona = self.app.persona(&to);
        let Ok((other, mut orders)) = Call::new(&self.app, parties, persona, "started") else {
            return Ok(());
        };
        let url = action["eventUrl"][0].as_str().map(str::to_owned).or(self.event_url.clone());
        let is_synchronous = action["eventType"] == "synchronous";
        let rung = self.wait(ring(&other, limit, || other.set_status("ringing"))).await;
        let status = match rung {
            Err(next) => {
                other.end("cancelled", "the caller is gone");
                return Err(next);
            }
            Ok(Rung::Answered) => {
                other.set_status("answered");
                other.answer();
                if let Some(url) = &url {
                    let event = json!({"uuid": other.id, "to": plain(&to)});
                    token::tell(&self.app, url, &self.event("answered", event));
                }
                let gone = self.bridge(&other, &mut orders).await;
                other.end("completed", "the person hung up");
                gone?;
                "completed"
            }
            Ok(Rung::Busy) => "busy",
            Ok(Rung::NoAnswer) => "unanswered",
            Ok(Rung::Rejected) => "rejected",
            Ok(Rung::NotFound | Rung::Failed) => "failed",
        };
        other.end(status, "over");
        let Some(url) = url else { return Ok(()) };
        let body = self.event(status, json!({"uuid": other.id, "to": plain(&to)}));
        if !is_synchronous {
            token::tell(&self.app, &url, &body);
            return Ok(());
        }
        let app = self.app.clone();
        match self.wait(token::ask(&app, &url, &body)).await? {
            Ok(ncco) if ncco.is_array() => Err(Next::Ncco(ncco)),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    async fn bridge(&mut self, other: &Arc<Call>, orders: &mut mpsc::Receiver<Order>) -> Way {
        let room = self.app.room(&other.id);
        for call in [&self.call, other] {
            room.enter(&call.id);
            let both = || (room.clone(), call.id.clone());
            let ((hears, as_one), (says, as_other)) = (both(), both());
            call.line.connect(Source::Room(hears, as_one), Sink::Room(says, as_other));
        }
        self.call.note(&self.app, format!("connected with {}", other.id));
        let gone = self.wait(orders.recv()).await;
        for call in [&self.call, other] {
            room.leave(&call.id);
            call.line.connect(Source::Silence, Sink::Nobody);
        }
        self.app.close_room(&other.id);
        gone.map(drop)
    }

    /// Waits for something; an order comes first.
    async fn wait<F: Future>(&mut self, what: F) -> Way<F::Output> {
        let ordered = {
            pin!(what);
            let ordered = self.orders.recv();
            pin!(ordered);
            match select(what, ordered).await {
                Either::Left((output, _)) => return Ok(output),
                Either::Right((order, _)) => order,
            }
        };
        Err(self.obey(ordered))
    }

    fn obey(&self, order: Option<Order>) -> Next {
        match order {
            Some(Order::Instructions(Instructions::Document(ncco))) => {
                Next::Ncco(serde_json::from_str(&ncco).unwrap_or_default())
            }
            Some(Order::Instructions(Instructions::Url(url))) => Next::Ask(url),
            Some(Order::HangUp) => Next::End("hung up through the API".into()),
            Some(Order::PersonGone | Order::LeaveConference) | None => {
                Next::End("the person hung up".into())
            }
        }
    }

    /// Tells of an event of this call.
    pub fn tell(&self, status: &str, more: Value) {
        if let Some(url) = &self.event_url {
            self.call.note(&self.app, format!("event {status}"));
            token::tell(&self.app, url, &self.event(status, more));
        }
    }

    fn event(&self, status: &str, more: Value) -> Value {
        let direction = if self.call.is_inbound { "inbound" } else { "outbound" };
        let mut event = json!({
            "uuid": self.call.id,
            "conversation_uuid": conversation(&self.call),
            "status": status,
            "direction": direction,
            "from": plain(&self.call.from),
            "to": plain(&self.call.to),
            "timestamp": jiff::Timestamp::now().to_string(),
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            event[name] = value.clone();
        }
        event
    }
}

pub fn conversation(call: &Call) -> String {
    format!("CON-{}", call.id)
}

/// Vonage writes E.164 without its plus.
pub fn plain(number: &str) -> &str {
    number.strip_prefix('+').unwrap_or(number)
}

pub fn with_plus(number: &str) -> String {
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { format!("+{number}") } else { number.to_owned() }
}
