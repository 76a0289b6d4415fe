//! Calls from and to people.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use super::{
    run::{Next, Runner},
    webhook::{Fields, StatusReports, fields_of, seconds, webhook},
};
use crate::carriers::{
    App,
    call::{Call, Order, Parties, Rung, ring},
    options::Persona,
    webhooks,
};

/// How long it rings when nothing is said, and at most.
const RING: Duration = Duration::from_secs(60);
const RING_MAX: Duration = Duration::from_secs(600);

/// A person calls a number of the customer's.
///
/// # Errors
///
/// When the number is not set up.
pub fn place_inbound(
    app: &App,
    from: String,
    to: String,
    persona: Persona,
) -> Result<Arc<Call>, String> {
    let number = app.number("twilio", &to);
    let Some(url) = number.as_ref().and_then(|number| number.get("voice_url")) else {
        return Err(format!("the number {to} has no voice_url: POST IncomingPhoneNumbers first"));
    };
    let (url, number) = (url.to_owned(), number.clone().unwrap_or_default());
    let parties = Parties {
        id: format!("CA{}", app.chance.id().replace('-', "")),
        carrier: "twilio",
        is_inbound: true,
        from,
        to,
        parent: None,
    };
    let (call, orders) = Call::new(app, parties, persona, "ringing")?;
    let (app, it) = (app.clone(), call.clone());
    tokio::spawn(async move {
        let fallback = number.get("voice_fallback_url").map(str::to_owned);
        let runner = Runner::new(&app, &it, orders, fallback, None);
        runner.run(Next::Ask(url, Vec::new())).await;
        let Some(url) = number.get("status_callback") else { return };
        let events = vec!["completed".into()];
        let mut reports = StatusReports { url: url.to_owned(), events, next: 0 };
        reports.report(&app, &it, "completed", &[]);
    });
    Ok(call)
}

/// The customer calls somebody: `POST /Calls.json`, whose fields were checked.
pub fn place_outbound(app: &App, fields: &Fields) -> Result<Arc<Call>, String> {
    let field = |name: &str| {
        let found = fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
    };
    let to = field("To").unwrap_or_default();
    let parties = Parties {
        id: format!("CA{}", app.chance.id().replace('-', "")),
        carrier: "twilio",
        is_inbound: false,
        from: field("From").unwrap_or_default(),
        to: to.clone(),
        parent: None,
    };
    let (call, orders) = Call::new(app, parties, app.persona(&to), "queued")?;
    let events: Vec<String> = fields
        .iter()
        .filter(|(name, _)| name == "StatusCallbackEvent")
        .flat_map(|(_, events)| events.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let outbound = Outbound {
        app: app.clone(),
        call: call.clone(),
        reports: StatusReports {
            url: field("StatusCallback").unwrap_or_default(),
            events: match (field("StatusCallback"), events.is_empty()) {
                (None, _) => Vec::new(),
                (Some(_), true) => vec!["completed".into()],
                (Some(_), false) => events,
            },
            next: 0,
        },
        first: match field("Twiml") {
            Some(xml) => Next::Document(xml),
            None => Next::Ask(field("Url").unwrap_or_default(), Vec::new()),
        },
        fallback: field("FallbackUrl"),
        ring: seconds(field("Timeout").as_deref()).unwrap_or(RING).min(RING_MAX),
        time_limit: seconds(field("TimeLimit").as_deref()),
        send_digits: field("SendDigits"),
        detection: field("MachineDetection").filter(|_| field("SendDigits").is_none()),
        detection_callback: field("AsyncAmdStatusCallback")
            .filter(|_| field("AsyncAmd").as_deref() == Some("true")),
    };
    tokio::spawn(outbound.run(orders));
    Ok(call)
}

struct Outbound {
    app: App,
    call: Arc<Call>,
    reports: StatusReports,
    first: Next,
    fallback: Option<String>,
    ring: Duration,
    time_limit: Option<Duration>,
    send_digits: Option<String>,
    detection: Option<String>,
    detection_callback: Option<String>,
}

impl Outbound {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let (app, call) = (self.app.clone(), self.call.clone());
        call.set_status("initiated");
        self.reports.report(&app, &call, "initiated", &[]);
        let reports = &mut self.reports;
        let ringing = ring(&call, self.ring, || {
            call.set_status("ringing");
            reports.report(&app, &call, "ringing", &[]);
        });
        let rung = tokio::select! {
            rung = ringing => rung,
            // Whatever is ordered before the answer ends it.
            _ = orders.recv() => {
                call.end("canceled", "hung up through the API");
                self.reports.report(&app, &call, "completed", &[]);
                return;
            }
        };
        let (status, sip) = match rung {
            Rung::Answered => {
                self.answered(orders).await;
                return;
            }
            Rung::Busy => ("busy", "486"),
            Rung::Rejected => ("busy", "603"),
            Rung::NoAnswer => ("no-answer", "487"),
            Rung::NotFound => ("failed", "404"),
            Rung::Failed => ("failed", "503"),
        };
        call.end(status, "not answered");
        self.reports.report(&app, &call, "completed", &[("SipResponseCode", sip)]);
    }

    async fn answered(mut self, orders: mpsc::Receiver<Order>) {
        let (app, call) = (self.app.clone(), self.call.clone());
        call.set_status("in-progress");
        call.answer();
        self.reports.report(&app, &call, "answered", &[]);
        if let Some(digits) = &self.send_digits {
            call.line.with_handset(|handset| handset.heard.keys.push_str(digits));
        }
        if let Some(mode) = &self.detection {
            let found = match (call.persona.is_machine, mode == "DetectMessageEnd") {
                (false, _) => "human",
                (true, false) => "machine_start",
                (true, true) => "machine_end_beep",
            };
            let wait = Duration::from_millis(call.persona.detection_ms);
            match self.detection_callback.take() {
                Some(url) => {
                    tokio::spawn(detect(app.clone(), call.clone(), url, found, wait));
                }
                None => {
                    sleep(wait).await;
                    call.change(|facts| facts.answered_by = Some(found));
                }
            }
        }
        let runner = Runner::new(&app, &call, orders, self.fallback.take(), self.time_limit);
        runner.run(self.first).await;
        self.reports.report(&app, &call, "completed", &[]);
    }
}

/// Tells what picked up, while the call goes on.
async fn detect(app: App, call: Arc<Call>, url: String, found: &'static str, wait: Duration) {
    let since = Instant::now();
    sleep(wait).await;
    if call.is_over() {
        return;
    }
    call.change(|facts| facts.answered_by = Some(found));
    let mut fields = fields_of(&app, &call);
    let took = since.elapsed().as_millis().to_string();
    fields.push(("MachineDetectionDuration".into(), took));
    webhooks::call_back(&app, webhook(&app, &url, &fields), |_| {});
}
