//! The document of a call, from `POST /call` to its end.

use offhook_core::{CallStatus, EndedReason, Stage};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    audio_format::WireAudio,
    cost::CallCosts,
    lenient::{self, text},
    server_fields, time,
};

/// The kind of a call, which follows from its transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallType {
    Websocket,
    Web,
    InboundPhone,
    OutboundPhone,
}

impl CallType {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Websocket => "vapi.websocketCall",
            Self::Web => "webCall",
            Self::InboundPhone => "inboundPhoneCall",
            Self::OutboundPhone => "outboundPhoneCall",
        }
    }

    /// The type of the call that a request asks for.
    ///
    /// # Errors
    ///
    /// Says what is missing or contradicts itself.
    pub fn of_request(request: &Value) -> Result<Self, Vec<String>> {
        let transport = lenient::get(request, "transport");
        let provider = transport.and_then(|transport| text(transport, "provider"));
        let is_set = |field: &&str| lenient::get(request, field).is_some();
        match provider {
            Some("vapi.websocket") => {
                let misplaced: Vec<String> = ["phoneNumber", "phoneNumberId"]
                    .into_iter()
                    .filter(is_set)
                    .map(|field| {
                        format!(
                            "{field} should not exist when transport.provider is vapi.websocket"
                        )
                    })
                    .collect();
                if misplaced.is_empty() { Ok(Self::Websocket) } else { Err(misplaced) }
            }
            Some("daily") => Ok(Self::Web),
            Some("twilio" | "telnyx" | "vonage" | "vapi.sip") => Ok(Self::OutboundPhone),
            Some(other) => Err(vec![format!(
                "transport.provider must be one of the following values: vapi.websocket, daily, \
                 twilio, telnyx, vonage, vapi.sip (got `{other}`)"
            )]),
            None if transport.is_some() => {
                Err(vec!["transport.provider should not be empty".into()])
            }
            None if ["customer", "customerId", "customers"].iter().any(is_set) => {
                Ok(Self::OutboundPhone)
            }
            None => Err(vec![
                "one of `transport`, `customer`, `customerId` or `customers` must be set".into(),
            ]),
        }
    }
}

/// Addresses of a call, as far as it has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallUrls {
    pub listen: Option<String>,
    pub control: Option<String>,
    pub websocket: Option<String>,
}

/// How many calls the server takes, as `POST /call` answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionLimits {
    pub concurrency_blocked: bool,
    pub concurrency_limit: usize,
    /// Calls that could still be started when this one was created.
    pub remaining_concurrent_calls: usize,
}

/// Changes of providers that a call's document lists: a call that saw more of them says no more.
const FALLBACKS_MAX: usize = 32;

/// A provider that could not be set up when the call began, or failed later, and who took its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    pub stage: Stage,
    /// The provider that the document wants.
    pub from: String,
    /// The one of its fallback plan.
    pub to: String,
    /// Why not the first; never what a caller said.
    pub reason: String,
}

/// What is known of a call once it is over.
#[derive(Clone, Debug)]
pub struct CallEnd {
    pub reason: EndedReason,
    /// A sentence for the operator; never what a caller said.
    pub message: Option<String>,
    pub at_ms: i64,
    /// As [`crate::artifact::build`] makes it; its messages are the call's messages too.
    pub artifact: Value,
    /// What it took, where that is known, and what that costs.
    pub costs: CallCosts,
}

/// The document of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct CallDocument(Value);

impl CallDocument {
    /// Makes the document of a new call from a validated request.
    ///
    /// # Errors
    ///
    /// One message for each path of the request that no call can have.
    pub fn create(
        request: &Value,
        id: Uuid,
        org_id: &str,
        urls: &CallUrls,
        now_ms: i64,
    ) -> Result<Self, Vec<String>> {
        Self::of_type(CallType::of_request(request)?, request, id, org_id, urls, now_ms)
    }

    /// Makes the document of a new call of this type.
    ///
    /// # Errors
    ///
    /// One message for each path of the request that no call can have.
    pub fn of_type(
        call_type: CallType,
        request: &Value,
        id: Uuid,
        org_id: &str,
        urls: &CallUrls,
        now_ms: i64,
    ) -> Result<Self, Vec<String>> {
        let mut body = Map::new();
        body.insert("type".into(), call_type.name().into());
        body.insert("status".into(), json!(CallStatus::Queued));
        body.extend(
            request.as_object().cloned().unwrap_or_default().into_iter().filter(|(name, value)| {
                !RUNTIME_FIELDS.contains(&name.as_str()) && !value.is_null()
            }),
        );
        if call_type == CallType::Websocket {
            body.insert("transport".into(), websocket_transport(request, urls)?);
        }
        let nothing = CallCosts::default();
        body.insert("cost".into(), nothing.total());
        body.insert("costs".into(), nothing.costs());
        body.insert("costBreakdown".into(), nothing.breakdown());
        let monitor = monitor(urls);
        if !monitor.is_empty() {
            body.insert("monitor".into(), monitor.into());
        }
        Ok(Self(server_fields::stamp_new(Value::Object(body), id, org_id, now_ms)))
    }

    /// Takes a stored document for what it is.
    pub const fn from_value(document: Value) -> Self {
        Self(document)
    }

    pub const fn as_value(&self) -> &Value {
        &self.0
    }

    pub fn into_value(self) -> Value {
        self.0
    }

    /// What `POST /call` answers: the call, and how many more there may be.
    pub fn created_answer(&self, limits: SubscriptionLimits) -> Value {
        let mut answer = self.0.clone();
        answer["subscriptionLimits"] = json!({
            "concurrencyBlocked": limits.concurrency_blocked,
            "concurrencyLimit": limits.concurrency_limit,
            "remainingConcurrentCalls": limits.remaining_concurrent_calls,
        });
        answer
    }

    pub fn id(&self) -> Option<Uuid> {
        text(&self.0, "id")?.parse().ok()
    }

    pub fn org_id(&self) -> &str {
        text(&self.0, "orgId").unwrap_or_default()
    }

    pub fn type_name(&self) -> &str {
        text(&self.0, "type").unwrap_or_default()
    }

    pub fn status(&self) -> &str {
        text(&self.0, "status").unwrap_or_default()
    }

    pub fn is_scheduled(&self) -> bool {
        self.status() == "scheduled"
    }

    pub fn has_ended(&self) -> bool {
        self.status() == "ended"
    }

    pub fn created_at_ms(&self) -> i64 {
        self.time_ms("createdAt").unwrap_or_default()
    }

    /// When its leg was connected.
    pub fn started_at_ms(&self) -> Option<i64> {
        self.time_ms("startedAt")
    }

    pub fn ended_at_ms(&self) -> Option<i64> {
        self.time_ms("endedAt")
    }

    /// The format of its websocket leg, which was checked when the call was created.
    pub fn audio(&self) -> WireAudio {
        let format = self.0.get("transport").and_then(|transport| transport.get("audioFormat"));
        WireAudio::read(format).unwrap_or_default()
    }

    /// Moves the call on; the first time in progress is when it started. A call that has ended
    /// stays so.
    pub fn set_status(&mut self, status: CallStatus, now_ms: i64) {
        if self.has_ended() {
            return;
        }
        self.0["status"] = json!(status);
        if status == CallStatus::InProgress && self.started_at_ms().is_none() {
            self.0["startedAt"] = time::iso8601(now_ms).into();
        }
        server_fields::stamp_updated(&mut self.0, now_ms);
    }

    /// Says that the call is to be placed later, and has not begun.
    pub fn schedule(&mut self, now_ms: i64) {
        if !self.has_ended() {
            self.0["status"] = json!(CallStatus::Scheduled);
            server_fields::stamp_updated(&mut self.0, now_ms);
        }
    }

    /// Says that the call was created at another time than it was set up.
    pub fn note_created(&mut self, created_ms: i64) {
        self.0["createdAt"] = time::iso8601(created_ms).into();
    }

    /// Says which carrier has the call, and by which id it knows it.
    pub fn note_carrier(&mut self, carrier: &str, id: Option<&str>) {
        self.0["phoneCallProvider"] = carrier.into();
        self.0["phoneCallTransport"] = "pstn".into();
        let Some(id) = id else { return };
        self.0["phoneCallProviderId"] = id.into();
        let name = match carrier {
            "twilio" => "callSid",
            "telnyx" => "callControlId",
            _ => "callUUID",
        };
        self.0["transport"][name] = id.into();
    }

    /// Says where the caller was sent.
    pub fn note_destination(&mut self, destination: &Value) {
        self.0["destination"] = destination.clone();
    }

    /// Says which provider serves the call in place of another, in a field of our own.
    pub fn note_fallback(&mut self, it: &Fallback) {
        let entry = json!({"stage": it.stage.name(), "from": it.from, "to": it.to,
            "reason": it.reason});
        let fallbacks = &mut self.0["fallbacks"];
        if fallbacks.is_null() {
            *fallbacks = json!([]);
        }
        if let Value::Array(list) = fallbacks
            && list.len() < FALLBACKS_MAX
        {
            list.push(entry);
        }
    }

    /// Ends the call. Returns whether it was this that ended it: the first end stands.
    pub fn end(&mut self, end: CallEnd) -> bool {
        if self.has_ended() {
            return false;
        }
        self.0["status"] = json!(CallStatus::Ended);
        self.0["endedReason"] = json!(end.reason);
        if let Some(message) = end.message {
            self.0["endedMessage"] = message.into();
        }
        self.0["endedAt"] = time::iso8601(end.at_ms).into();
        self.0["cost"] = end.costs.total();
        self.0["costs"] = end.costs.costs();
        self.0["costBreakdown"] = end.costs.breakdown();
        self.0["messages"] = lenient::get(&end.artifact, "messages").cloned().unwrap_or(json!([]));
        self.0["artifact"] = end.artifact;
        self.0["analysis"] = json!({});
        server_fields::stamp_updated(&mut self.0, end.at_ms);
        true
    }

    fn time_ms(&self, field: &str) -> Option<i64> {
        Some(time::parse(text(&self.0, field)?)?.as_millisecond())
    }
}

/// Fields of a call that only the runtime writes.
const RUNTIME_FIELDS: &[&str] = &[
    "type",
    "status",
    "destination",
    "phoneCallProvider",
    "phoneCallProviderId",
    "phoneCallTransport",
    "cost",
    "costs",
    "costBreakdown",
    "monitor",
    "messages",
    "artifact",
    "analysis",
    "fallbacks",
    "startedAt",
    "endedAt",
    "endedReason",
    "endedMessage",
    "subscriptionLimits",
];

fn websocket_transport(request: &Value, urls: &CallUrls) -> Result<Value, Vec<String>> {
    let mut transport = request["transport"].clone();
    let audio = WireAudio::read(transport.get("audioFormat"))?;
    transport["conversationType"] = "voice".into();
    transport["audioFormat"] = audio.to_json();
    if let Some(url) = &urls.websocket {
        transport["websocketCallUrl"] = url.clone().into();
    }
    Ok(transport)
}

fn monitor(urls: &CallUrls) -> Map<String, Value> {
    [("listenUrl", &urls.listen), ("controlUrl", &urls.control)]
        .into_iter()
        .filter_map(|(name, url)| Some((name.to_owned(), url.clone()?.into())))
        .collect()
}

#[cfg(test)]
mod tests;
