//! Requests of Twilio, signed.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::{Timestamp, fmt::rfc2822, tz::TimeZone};
use ring::hmac;
use url::form_urlencoded;

use crate::carriers::{
    App,
    call::Call,
    webhooks::{self, Answer, Webhook},
};

pub type Fields = Vec<(String, String)>;

/// The signature of a request with these fields (Twilio's documentation, "Webhooks Security").
pub fn sign(auth_token: &str, url: &str, fields: &[(String, String)]) -> String {
    let mut sorted = fields.to_vec();
    sorted.sort();
    sorted.dedup();
    let data = sorted.iter().fold(url.to_owned(), |data, (name, value)| data + name + value);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, auth_token.as_bytes());
    BASE64_STANDARD.encode(hmac::sign(&key, data.as_bytes()))
}

pub fn webhook(app: &App, url: &str, fields: &Fields) -> Webhook {
    let token = app.options().twilio_auth_token;
    // What is behind it is for Twilio alone: how often to try, and so on.
    let url = url.split('#').next().unwrap_or_default().to_owned();
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let headers = vec![("x-twilio-signature", sign(&token, &url, fields))];
    let content_type = "application/x-www-form-urlencoded; charset=UTF-8";
    Webhook { url, content_type, headers, body: body.into() }
}

/// Asks for instructions.
pub async fn ask(app: &App, url: &str, fields: &Fields) -> Result<String, String> {
    let Answer { status, body } = webhooks::deliver(app, &webhook(app, url, fields))
        .await
        .map_err(|problem| format!("11205 HTTP connection failure: {problem}"))?;
    match status {
        200..=299 => Ok(String::from_utf8_lossy(&body).into_owned()),
        _ => Err(format!("11200 HTTP retrieval failure: status {status}")),
    }
}

/// What every webhook of a call tells.
pub fn fields_of(app: &App, call: &Call) -> Fields {
    let account = app.options().twilio_account_sid;
    let direction = match (call.is_inbound, &call.parent) {
        (true, _) => "inbound",
        (false, None) => "outbound-api",
        (false, Some(_)) => "outbound-dial",
    };
    let mut fields = vec![
        ("CallSid", call.id.clone()),
        ("AccountSid", account),
        ("From", call.from.clone()),
        ("To", call.to.clone()),
        ("Caller", call.from.clone()),
        ("Called", call.to.clone()),
        ("CallStatus", call.status().to_owned()),
        ("Direction", direction.to_owned()),
        ("ApiVersion", "2010-04-01".to_owned()),
    ];
    fields.extend(call.parent.clone().map(|parent| ("ParentCallSid", parent)));
    fields.extend(call.facts().answered_by.map(|by| ("AnsweredBy", by.to_owned())));
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Where a call's status is reported, and how far.
pub struct StatusReports {
    pub url: String,
    /// `initiated`, `ringing`, `answered`, `completed`.
    pub events: Vec<String>,
    pub next: u64,
}

impl StatusReports {
    /// Reports the status that the call has; `event` is what it counts as.
    pub fn report(&mut self, app: &App, call: &Call, event: &str, more: &[(&str, &str)]) {
        if !self.events.iter().any(|known| known == event) {
            return;
        }
        let facts = call.facts();
        let mut fields = fields_of(app, call);
        let mut put = |name: &str, value: String| fields.push((name.to_owned(), value));
        put("SequenceNumber", self.next.to_string());
        put("CallbackSource", "call-progress-events".into());
        put("Timestamp", time_text(Timestamp::now()));
        if let (Some(from), Some(to)) = (facts.answered, facts.ended) {
            let seconds = to.duration_since(from).as_secs().max(0);
            put("CallDuration", seconds.to_string());
            put("Duration", (seconds / 60 + 1).to_string());
        }
        for (name, value) in more {
            put(name, (*value).to_owned());
        }
        self.next += 1;
        call.note(app, format!("callback {}", facts.status));
        webhooks::call_back(app, webhook(app, &self.url, &fields), |_| {});
    }
}

/// As Twilio writes times (RFC 2822).
pub fn time_text(time: Timestamp) -> String {
    rfc2822::to_string(&time.to_zoned(TimeZone::UTC)).unwrap_or_default()
}

/// Seconds of an attribute or field.
pub fn seconds(value: Option<&str>) -> Option<Duration> {
    value?.parse().ok().map(Duration::from_secs)
}
