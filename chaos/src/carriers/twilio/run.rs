//! A call's instructions, carried out one after the other.

use std::time::Duration;

use futures_util::future::{BoxFuture, Either, select};
use serde_json::json;
use tokio::{
    pin,
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};
use url::Url;

use super::{
    dial,
    dialect::MediaStreams,
    twiml::{Element, parse},
    webhook::{Fields, ask, fields_of, sign, webhook},
};
use crate::carriers::{
    App,
    call::{Call, Instructions, Order},
    line::Source,
    stream::{self, Plan, StreamEnd},
    webhooks,
};

/// Documents in a row without anything that takes time: a loop.
const HOPS_MAX: u32 = 50;

/// Longest call without a limit of its own.
const TIME_LIMIT: Duration = Duration::from_secs(4 * 3_600);

/// How long one key sounds, with its pause.
const KEY_TIME: Duration = Duration::from_millis(200);

/// What a sound file lasts.
const FILE_TIME: Duration = Duration::from_secs(2);

pub struct Runner {
    pub app: App,
    pub call: std::sync::Arc<Call>,
    pub orders: mpsc::Receiver<Order>,
    /// Asked when instructions cannot be had.
    pub fallback: Option<String>,
    pub until: Instant,
    /// The address of the present document, for those in it that are relative.
    base: Option<Url>,
}

/// Where the instructions come from.
#[derive(Debug)]
pub enum Next {
    Ask(String, Fields),
    Document(String),
    End(&'static str, String),
}

/// What a step of an instruction led to.
pub type Way<T = ()> = Result<T, Next>;

impl Runner {
    pub fn new(
        app: &App,
        call: &std::sync::Arc<Call>,
        orders: mpsc::Receiver<Order>,
        fallback: Option<String>,
        time_limit: Option<Duration>,
    ) -> Self {
        Self {
            app: app.clone(),
            call: call.clone(),
            orders,
            fallback,
            until: Instant::now() + time_limit.unwrap_or(TIME_LIMIT),
            base: None,
        }
    }

    /// Carries on until the call is over. Boxed, for instructions may lead to other calls.
    pub fn run(self, next: Next) -> BoxFuture<'static, ()> {
        Box::pin(self.carry_on(next))
    }

    async fn carry_on(mut self, mut next: Next) {
        let mut hops = 0;
        loop {
            let since = Instant::now();
            next = match self.document(next).await {
                Ok(xml) => match parse(&xml) {
                    Ok(verbs) => self.perform(&verbs).await,
                    Err(problem) => self.fail(problem),
                },
                Err(Next::End(status, cause)) => {
                    self.call.end(status, &cause);
                    return;
                }
                Err(other) => other,
            };
            hops = if since.elapsed() > Duration::from_millis(100) { 0 } else { hops + 1 };
            if hops > HOPS_MAX {
                next = Next::End("failed", "81017 too many redirects".into());
            }
        }
    }

    /// Carries out what a whisper says; the call goes on after it.
    pub fn whisper(&mut self, url: String) -> BoxFuture<'_, Way> {
        Box::pin(self.whispering(url))
    }

    async fn whispering(&mut self, url: String) -> Way {
        let xml = self.document(Next::Ask(url, Vec::new())).await?;
        let verbs = parse(&xml).map_err(|problem| self.fail(problem))?;
        for verb in &verbs {
            self.verb(verb).await?;
        }
        Ok(())
    }

    /// The next document; the error is what comes instead.
    async fn document(&mut self, next: Next) -> Way<String> {
        match next {
            Next::Document(xml) => Ok(xml),
            Next::End(..) => Err(next),
            Next::Ask(url, more) => {
                let url = self.absolute(&url);
                self.base = Url::parse(&url).ok();
                let mut fields = fields_of(&self.app, &self.call);
                fields.extend(more);
                self.call.note(&self.app, format!("asks {url}"));
                self.call.note_time("asked");
                let app = self.app.clone();
                match self.wait(ask(&app, &url, &fields)).await? {
                    Ok(xml) => {
                        self.call.note_time("instructed");
                        Ok(xml)
                    }
                    Err(problem) => Err(self.fail(problem)),
                }
            }
        }
    }

    /// Twilio asks the fallback once, then apologises and hangs up.
    fn fail(&mut self, problem: String) -> Next {
        self.call.note(&self.app, format!("error {problem}"));
        let code = problem.split(' ').next().unwrap_or_default().to_owned();
        match self.fallback.take() {
            Some(url) => Next::Ask(url, vec![("ErrorCode".into(), code)]),
            None => Next::End("completed", format!("application error: {problem}")),
        }
    }

    async fn perform(&mut self, verbs: &[Element]) -> Next {
        for verb in verbs {
            if let Err(next) = self.verb(verb).await {
                return next;
            }
        }
        Next::End("completed", "no more instructions".into())
    }

    async fn verb(&mut self, verb: &Element) -> Way {
        self.call.note(&self.app, format!("<{}>", verb.name));
        if !matches!(verb.name.as_str(), "Reject" | "Redirect" | "Pause" | "Hangup") {
            self.take();
        }
        match verb.name.as_str() {
            "Say" => self.say(verb.text()).await,
            "Play" => self.play(verb).await,
            "Pause" => self.pause(Duration::from_secs(verb.number("length").unwrap_or(1))).await,
            "Connect" => self.connect(verb).await,
            "Dial" => dial::dial(self, verb).await,
            "Redirect" => Err(Next::Ask(verb.text().to_owned(), Vec::new())),
            "Hangup" => Err(Next::End("completed", "<Hangup>".into())),
            "Reject" if !self.call.is_answered() => Err(match verb.get("reason") {
                Some("busy") => Next::End("busy", "<Reject>".into()),
                Some(_) | None => Next::End("no-answer", "<Reject>".into()),
            }),
            other => {
                self.call.note(&self.app, format!("12200 <{other}> is not known here"));
                Ok(())
            }
        }
    }

    /// Answers an inbound call.
    fn take(&self) {
        if self.call.is_inbound && !self.call.is_answered() {
            self.call.set_status("in-progress");
            self.call.answer();
        }
    }

    pub async fn say(&mut self, text: &str) -> Way {
        let length = self.call.line.say(text);
        self.pause(length).await
    }

    async fn play(&mut self, verb: &Element) -> Way {
        if let Some(digits) = verb.get("digits") {
            self.call.line.with_handset(|handset| handset.heard.keys.push_str(digits));
            let lasts = |key| match key {
                'w' => Duration::from_millis(500),
                'W' => Duration::from_secs(1),
                _ => KEY_TIME,
            };
            return self.pause(digits.chars().map(lasts).sum()).await;
        }
        self.call.line.hear(Source::Music);
        let length = match verb.number("loop").unwrap_or(1) {
            0 => TIME_LIMIT,
            times => FILE_TIME * times as u32,
        };
        let played = self.pause(length).await;
        self.call.line.hear(Source::Silence);
        played
    }

    pub async fn pause(&mut self, length: Duration) -> Way {
        self.wait(sleep(length)).await
    }

    async fn connect(&mut self, verb: &Element) -> Way {
        let Some(stream) = verb.children.iter().find(|child| child.name == "Stream") else {
            self.call.note(&self.app, "12200 <Connect> without <Stream>");
            return Ok(());
        };
        let url = stream.get("url").unwrap_or_default().to_owned();
        let parameters: Vec<(String, String)> = stream
            .children
            .iter()
            .filter(|child| child.name == "Parameter")
            .filter_map(|p| Some((p.get("name")?.to_owned(), p.get("value")?.to_owned())))
            .collect();
        let options = self.app.options();
        let stream_sid = format!("MZ{}", self.app.chance.id().replace('-', ""));
        let callback = stream.get("statusCallback").map(|callback| self.absolute(callback));
        let (app, call_sid) = (self.app.clone(), self.call.id.clone());
        let account_sid = options.twilio_account_sid.clone();
        let told_sid = stream_sid.clone();
        let report = move |what: &str, error: Option<String>| {
            let Some(callback) = &callback else { return };
            let mut fields = vec![
                ("AccountSid".to_owned(), account_sid.clone()),
                ("CallSid".to_owned(), call_sid.clone()),
                ("StreamSid".to_owned(), told_sid.clone()),
                ("StreamEvent".to_owned(), what.to_owned()),
            ];
            fields.extend(error.map(|error| ("StreamError".to_owned(), error)));
            webhooks::call_back(&app, webhook(&app, callback, &fields), |_| {});
        };
        let end = match refusal_of(&url) {
            Some(problem) => Ok(StreamEnd::Refused(problem)),
            None => {
                report("stream-started", None);
                let dialect = MediaStreams {
                    account_sid: options.twilio_account_sid.clone(),
                    call_sid: self.call.id.clone(),
                    stream_sid: stream_sid.clone(),
                    parameters,
                    sequence: 0,
                    chunk: 0,
                };
                let signature = sign(&options.twilio_auth_token, &url, &[]);
                let headers = vec![("x-twilio-signature", signature)];
                let plan = Plan { url, headers, dialect: Box::new(dialect) };
                let (stop, stopped) = watch::channel(false);
                let streaming = stream::run(&self.app, &self.call, plan, stopped);
                pin!(streaming);
                let ordered = order(&mut self.orders, self.until);
                pin!(ordered);
                match select(&mut streaming, ordered).await {
                    Either::Left((end, _)) => Ok(end),
                    Either::Right((order, _)) => {
                        stop.send_replace(true);
                        streaming.await;
                        Err(order)
                    }
                }
            }
        };
        match &end {
            Ok(end) => self.call.note(&self.app, format!("stream ended: {end:?}")),
            Err(_) => self.call.note(&self.app, "stream stopped"),
        }
        match &end {
            Ok(StreamEnd::Refused(problem)) => report("stream-error", Some(problem.clone())),
            Ok(StreamEnd::Lost(problem)) => {
                report("stream-error", Some(format!("31921 {problem}")))
            }
            Ok(StreamEnd::Closed(_) | StreamEnd::Stopped) | Err(_) => {
                report("stream-stopped", None)
            }
        }
        if let Err(order) = end {
            return Err(self.obey(order));
        }
        match verb.get("action") {
            Some(action) => Err(Next::Ask(action.to_owned(), Vec::new())),
            None => Ok(()),
        }
    }

    /// Waits for something; an order comes first.
    pub async fn wait<F: Future>(&mut self, what: F) -> Way<F::Output> {
        let ordered = {
            pin!(what);
            let ordered = order(&mut self.orders, self.until);
            pin!(ordered);
            match select(what, ordered).await {
                Either::Left((output, _)) => return Ok(output),
                Either::Right((order, _)) => order,
            }
        };
        Err(self.obey(ordered))
    }

    /// What an order leads to.
    pub fn obey(&self, order: Option<Order>) -> Next {
        self.call.note(&self.app, format!("order {}", name_of(&order)));
        match order {
            Some(Order::Instructions(Instructions::Document(xml))) => Next::Document(xml),
            Some(Order::Instructions(Instructions::Url(url))) => Next::Ask(url, Vec::new()),
            Some(Order::HangUp) => Next::End("completed", "hung up through the API".into()),
            Some(Order::PersonGone) => {
                let cause = self.call.facts().end_cause.unwrap_or_default();
                Next::End("completed", format!("the person hung up: {cause}"))
            }
            Some(Order::LeaveConference) | None => {
                Next::End("completed", "the time limit is reached".into())
            }
        }
    }

    pub fn absolute(&self, url: &str) -> String {
        let base = self.base.as_ref().and_then(|base| base.join(url).ok());
        base.map_or_else(|| url.to_owned(), String::from)
    }
}

/// The next order; none when the call's time is up.
pub async fn order(orders: &mut mpsc::Receiver<Order>, until: Instant) -> Option<Order> {
    let late = sleep_until(until);
    pin!(late);
    let next = orders.recv();
    pin!(next);
    match select(next, late).await {
        Either::Left((order, _)) => order,
        Either::Right(_) => None,
    }
}

fn name_of(order: &Option<Order>) -> &'static str {
    match order {
        Some(Order::Instructions(Instructions::Document(_))) => "Twiml",
        Some(Order::Instructions(Instructions::Url(_))) => "Url",
        Some(Order::HangUp) => "HangUp",
        Some(Order::PersonGone) => "PersonGone",
        Some(Order::LeaveConference) => "LeaveConference",
        None => "TimeLimit",
    }
}

/// Why Twilio does not connect to this address.
fn refusal_of(url: &str) -> Option<String> {
    let parsed = Url::parse(url).ok();
    let is_near = parsed.as_ref().is_some_and(|url| {
        url.scheme() == "ws" && matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"))
    });
    let is_secure = parsed.as_ref().is_some_and(|url| url.scheme() == "wss");
    if !is_near && !is_secure {
        return Some("31922 the stream's url is not wss".into());
    }
    let has_query = parsed.is_some_and(|url| url.query().is_some());
    has_query.then(|| "31941 the stream's url has a query".into())
}

/// What a call of the API looks like.
pub fn document(app: &App, call: &Call) -> serde_json::Value {
    let facts = call.facts();
    let account = app.options().twilio_account_sid;
    let time = |time: Option<jiff::Timestamp>| time.map(super::webhook::time_text);
    let seconds = facts
        .answered
        .zip(facts.ended)
        .map(|(from, to)| to.duration_since(from).as_secs().max(0).to_string());
    let direction = match (call.is_inbound, &call.parent) {
        (true, _) => "inbound",
        (false, None) => "outbound-api",
        (false, Some(_)) => "outbound-dial",
    };
    json!({
        "sid": call.id,
        "account_sid": account,
        "parent_call_sid": call.parent,
        "from": call.from,
        "to": call.to,
        "status": facts.status,
        "direction": direction,
        "answered_by": facts.answered_by,
        "date_created": time(Some(facts.created)),
        "date_updated": time(Some(facts.ended.or(facts.answered).unwrap_or(facts.created))),
        "start_time": time(facts.answered),
        "end_time": time(facts.ended),
        "duration": seconds,
        "price": null,
        "price_unit": "USD",
        "api_version": "2010-04-01",
        "uri": format!("/2010-04-01/Accounts/{account}/Calls/{}.json", call.id),
    })
}
