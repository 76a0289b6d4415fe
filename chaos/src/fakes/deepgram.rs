//! Deepgram: `/v1/listen` here, `/v2/listen` in [`super::flux`].

use std::time::Duration;

use axum::{
    Router,
    extract::{
        OriginalUri, Query, State,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, HeaderValue, Method, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use offhook_media::AudioFormat;
use offhook_testkit::tones::{SOUND, Word, text_of};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    App, flux,
    hearing::{Hearing, raw_format, seconds_of, sentence},
    report::Counts,
    scripts,
    wire::{self, Asked, Dialogue, Link, Out},
};

mod scripted;

const PROVIDER: &str = "deepgram";

/// Nothing for so long ends a session (NET-0001).
pub const IDLE_LIMIT: Duration = Duration::from_secs(10);

/// Silence that sets `speech_final` where the client does not say.
const ENDPOINTING_MS: f64 = 10.0;

/// Least `utterance_end_ms`.
const UTTERANCE_END_MS_MIN: u64 = 1_000;

pub fn router() -> Router<App> {
    Router::new().route("/v1/listen", get(listen)).route("/v2/listen", get(flux_listen))
}

pub type Pairs = Vec<(String, String)>;
type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

async fn listen(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    Query(query): Query<Pairs>,
    upgrade: Upgrade,
) -> Response {
    let asked = Asked { method: &Method::GET, uri: &uri, headers: &headers, query: &query };
    let opened = admit(&app, &headers).and_then(|()| Settings::from_query(&query));
    match scripts::named(&query) {
        Some(script) => {
            let scripted = |settings| scripted::Listening::new(&app, settings, script);
            serve(&app, &asked, upgrade, opened.map(scripted))
        }
        None => serve(&app, &asked, upgrade, opened.map(|settings| Listening::new(&app, settings))),
    }
}

async fn flux_listen(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    Query(query): Query<Pairs>,
    upgrade: Upgrade,
) -> Response {
    let asked = Asked { method: &Method::GET, uri: &uri, headers: &headers, query: &query };
    let opened = admit(&app, &headers).and_then(|()| flux::Settings::from_query(&query));
    match scripts::named(&query) {
        Some(script) => {
            let scripted = |settings| flux::scripted(&app, settings, script);
            serve(&app, &asked, upgrade, opened.map(scripted))
        }
        None => {
            let opened = opened.map(|settings| flux::Listening::new(&app, settings));
            serve(&app, &asked, upgrade, opened)
        }
    }
}

/// Why a session is refused: status, code, message.
pub type Refusal = (StatusCode, &'static str, String);

pub fn bad_query(message: impl Into<String>) -> Refusal {
    (StatusCode::BAD_REQUEST, "INVALID_QUERY_PARAMETER", message.into())
}

fn serve(
    app: &App,
    asked: &Asked<'_>,
    upgrade: Upgrade,
    opened: Result<impl Dialogue, Refusal>,
) -> Response {
    let request_id = app.chance.id();
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(refused) => return refused.into_response(),
    };
    let mut response = match opened {
        Ok(dialogue) => {
            let link = Link::new(app, PROVIDER, asked, |counts| counts.connections += 1);
            // Browsers bring their key as a protocol.
            wire::accept(upgrade.protocols(["token", "bearer"]), link, dialogue)
        }
        Err((status, code, message)) => {
            drop(Link::new(app, PROVIDER, asked, |counts: &mut Counts| counts.refused += 1));
            let body =
                json!({"err_code": code, "err_msg": message, "request_id": request_id}).to_string();
            let reason = HeaderValue::from_str(&format!("{code}: {message}"));
            let mut response = (status, body).into_response();
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert("content-type", json);
            response.headers_mut().extend(reason.ok().map(|reason| (DG_ERROR, reason)));
            response
        }
    };
    let id = HeaderValue::from_str(&request_id).expect("ids are hexadecimal");
    response.headers_mut().insert("dg-request-id", id);
    response
}

const DG_ERROR: axum::http::HeaderName = axum::http::HeaderName::from_static("dg-error");

fn admit(app: &App, headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let key = text("authorization")
        .and_then(|value| value.strip_prefix("Token ").or(value.strip_prefix("Bearer ")))
        .or_else(|| text("sec-websocket-protocol")?.split(',').nth(1).map(str::trim));
    match app.admits(key) {
        true => Ok(()),
        false => Err((StatusCode::UNAUTHORIZED, "INVALID_AUTH", "Invalid credentials.".to_owned())),
    }
}

/// The first value of a parameter.
pub fn get_one<'a>(query: &'a Pairs, name: &str) -> Option<&'a str> {
    query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// A parameter that has to be a number.
pub fn number<T: std::str::FromStr>(query: &Pairs, name: &str) -> Result<Option<T>, Refusal> {
    get_one(query, name)
        .map(|value| value.parse().map_err(|_| bad_query(format!("{name} is no number: {value}"))))
        .transpose()
}

/// A parameter that has to be `true` or `false`.
pub fn switch(query: &Pairs, name: &str) -> Result<Option<bool>, Refusal> {
    get_one(query, name)
        .map(|value| {
            value.parse().map_err(|_| bad_query(format!("{name} is neither true nor false")))
        })
        .transpose()
}

/// The format that `encoding` and `sample_rate` name.
pub fn format(query: &Pairs) -> Result<AudioFormat, Refusal> {
    let encoding = get_one(query, "encoding");
    let rate = number(query, "sample_rate")?;
    let found = encoding.zip(rate).and_then(|(encoding, rate)| raw_format(encoding, rate));
    found.ok_or_else(|| {
        let expected = "this server hears linear16 with its sample_rate, or mulaw at 8000";
        bad_query(format!("encoding {encoding:?}, sample_rate {rate:?}: {expected}"))
    })
}

struct Settings {
    format: AudioFormat,
    model: String,
    interim_results: bool,
    vad_events: bool,
    punctuates: bool,
    /// Silence that ends an utterance; none: only `Finalize` does.
    endpointing: Option<Duration>,
    utterance_end: Option<Duration>,
}

impl Settings {
    fn from_query(query: &Pairs) -> Result<Self, Refusal> {
        let model = get_one(query, "model").unwrap_or("base-general").to_owned();
        let is_nova_3 = model.starts_with("nova-3");
        if get_one(query, "keyterm").is_some() && !is_nova_3 {
            return Err(bad_query("keyterm is only supported for Nova-3 models"));
        }
        if get_one(query, "keywords").is_some() && is_nova_3 {
            return Err(bad_query("keywords are not supported for Nova-3 models, use keyterm"));
        }
        if !matches!(number(query, "channels")?, None | Some(1)) {
            return Err(bad_query("this server hears one channel"));
        }
        for name in ["smart_format", "numerals", "profanity_filter", "mip_opt_out", "diarize"] {
            switch(query, name)?;
        }
        let interim_results = switch(query, "interim_results")?.unwrap_or(false);
        let utterance_end = number(query, "utterance_end_ms")?;
        if utterance_end.is_some_and(|ms: u64| ms < UTTERANCE_END_MS_MIN || !interim_results) {
            let expected = "utterance_end_ms needs interim_results and is at least 1000";
            return Err(bad_query(expected));
        }
        let endpointing = match get_one(query, "endpointing") {
            Some("false") => None,
            Some("true") => Some(ENDPOINTING_MS),
            Some(_) => number(query, "endpointing")?,
            None => Some(ENDPOINTING_MS),
        };
        let in_range = |ms: &f64| (0.0..=60_000.0).contains(ms);
        if endpointing.is_some_and(|ms| !in_range(&ms)) {
            return Err(bad_query("endpointing is false or milliseconds"));
        }
        let punctuate = switch(query, "punctuate")?.unwrap_or(false);
        Ok(Self {
            format: format(query)?,
            model,
            interim_results,
            vad_events: switch(query, "vad_events")?.unwrap_or(false),
            punctuates: punctuate || switch(query, "smart_format")?.unwrap_or(false),
            endpointing: endpointing.map(|ms| Duration::from_secs_f64(ms / 1_000.0)),
            utterance_end: utterance_end.map(Duration::from_millis),
        })
    }
}

struct Listening {
    app: App,
    settings: Settings,
    request_id: String,
    hearing: Hearing,
    last_input: Instant,
    had_audio: bool,
    /// End of the last final text's audio.
    told_until: Duration,
    /// End of the last word of a finished utterance, until `UtteranceEnd` tells of it.
    last_word_end: Option<Duration>,
    /// When the last message leaves: texts come in order.
    last_due: Instant,
    ended: bool,
}

enum Why {
    Endpoint,
    Finalize,
    End,
}

impl Listening {
    fn new(app: &App, settings: Settings) -> Self {
        let now = Instant::now();
        Self {
            app: app.clone(),
            request_id: app.chance.id(),
            hearing: Hearing::new(settings.format, now),
            settings,
            last_input: now,
            had_audio: false,
            told_until: Duration::ZERO,
            last_word_end: None,
            last_due: now,
            ended: false,
        }
    }

    /// Silence after which an utterance is over. Between two words of the tones there is more of it
    /// than the least that clients ask for.
    fn silence_needed(&self) -> Duration {
        let own = self.app.timing().stt_silence();
        self.settings.endpointing.map_or(own, |asked| asked.max(own))
    }

    fn interim(&mut self, now: Instant, out: &mut Out) {
        let text = text_of(self.hearing.words());
        let message =
            self.results(&text, self.hearing.words(), self.hearing.position(), [false; 3]);
        out.text_at(self.last_due.max(now), None, message, None);
    }

    fn end_utterance(&mut self, now: Instant, why: Why, out: &mut Out) {
        let utterance = self.hearing.take();
        if utterance.words.is_empty() && !matches!(why, Why::Finalize) {
            return;
        }
        let delay = match utterance.words.is_empty() {
            true => Duration::ZERO,
            false => self.app.delay(|timing| timing.stt_delay),
        };
        self.last_due = self.last_due.max(now).max(utterance.sound_came + delay);
        let text = match self.settings.punctuates {
            true => sentence(&utterance.words),
            false => text_of(&utterance.words),
        };
        let speech_final = match why {
            Why::Endpoint => self.settings.endpointing.is_some(),
            Why::Finalize => true,
            Why::End => false,
        };
        let flags = [true, speech_final, matches!(why, Why::Finalize)];
        let position = self.hearing.position();
        let message = self.results(&text, &utterance.words, position, flags);
        out.text_at(self.last_due, None, message, utterance.mark());
        self.told_until = position;
        self.last_word_end = utterance.words.last().map(|word| word.at + SOUND);
    }

    fn results(&self, text: &str, words: &[Word], until: Duration, flags: [bool; 3]) -> Value {
        let [is_final, speech_final, from_finalize] = flags;
        let last = words.len().saturating_sub(1);
        let words: Vec<Value> = words
            .iter()
            .enumerate()
            .map(|(index, word)| {
                let (start, end) = seconds_of(word);
                let mut told =
                    json!({"word": word.text, "start": start, "end": end, "confidence": 0.99});
                if self.settings.punctuates {
                    let stop =
                        if is_final && index == last && text.ends_with('.') { "." } else { "" };
                    let bare = word.text.trim_end_matches('.');
                    told["punctuated_word"] = format!("{bare}{stop}").into();
                }
                told
            })
            .collect();
        let confidence = if text.is_empty() { 0.0 } else { 0.99 };
        json!({
            "type": "Results",
            "channel_index": [0, 1],
            "start": self.told_until.as_secs_f64(),
            "duration": until.saturating_sub(self.told_until).as_secs_f64(),
            "is_final": is_final,
            "speech_final": speech_final,
            "from_finalize": from_finalize,
            "channel": {
                "alternatives": [{"transcript": text, "confidence": confidence, "words": words}]
            },
            "metadata": {
                "request_id": self.request_id,
                "model_uuid": MODEL_UUID,
                "model_info": self.model_info(),
            },
        })
    }

    fn model_info(&self) -> Value {
        json!({"name": self.settings.model, "version": "2026-01-01.0", "arch": "fake"})
    }

    /// What was heard is told, then the summary, then the end.
    fn end(&mut self, now: Instant, out: &mut Out) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.end_utterance(now, Why::End, out);
        let due = self.last_due.max(now);
        let summary = json!({
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": self.request_id,
            "sha256": "0".repeat(64),
            "created": "2026-01-01T00:00:00.000Z",
            "duration": self.hearing.position().as_secs_f64(),
            "channels": 1,
            "models": [MODEL_UUID],
            "model_info": {MODEL_UUID: self.model_info()},
        });
        out.text_at(due, None, summary, None);
        out.close_at(due, 1000, "");
    }
}

const MODEL_UUID: &str = "00000000-0000-4000-8000-000000000001";

impl Dialogue for Listening {
    fn open(&mut self, _out: &mut Out) {}

    fn handle_text(&mut self, now: Instant, text: &str, out: &mut Out) {
        let message: Value = serde_json::from_str(text).unwrap_or_default();
        match message["type"].as_str() {
            Some("KeepAlive") => {}
            Some("Finalize") => self.end_utterance(now, Why::Finalize, out),
            Some("CloseStream") => self.end(now, out),
            Some("Configure") => {
                let keyterms = &message["keyterms"];
                out.text(json!({
                    "type": "ConfigureSuccess", "request_id": self.request_id, "keyterms": keyterms
                }));
            }
            Some(_) | None => out.text(json!({
                "type": "Error",
                "variant": "SchemaError",
                "description": "Could not deserialize last text message: expected a type of \
                    KeepAlive, Finalize, CloseStream or Configure",
                "message": text.chars().take(100).collect::<String>(),
            })),
        }
        self.last_input = now;
    }

    fn handle_audio(&mut self, now: Instant, audio: &[u8], out: &mut Out) {
        self.last_input = now;
        self.had_audio = true;
        if audio.is_empty() {
            return self.end(now, out);
        }
        let news = self.hearing.hear(now, audio);
        if news.began {
            self.last_word_end = None;
            if self.settings.vad_events {
                let timestamp = self.hearing.began().unwrap_or_default().as_secs_f64();
                out.text(
                    json!({"type": "SpeechStarted", "channel": [0, 1], "timestamp": timestamp}),
                );
            }
        }
        if news.words && self.settings.interim_results {
            self.interim(now, out);
        }
        if let Some(silence) = self.hearing.silence() {
            if silence >= self.silence_needed() {
                self.end_utterance(now, Why::Endpoint, out);
            }
        } else if let (Some(end), Some(limit)) = (self.last_word_end, self.settings.utterance_end)
            && self.hearing.began().is_none()
            && self.hearing.position() >= end + limit
        {
            self.last_word_end = None;
            let end = end.as_secs_f64();
            let message = json!({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": end});
            out.text_at(self.last_due.max(now), None, message, None);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        (!self.ended).then_some(self.last_input + IDLE_LIMIT)
    }

    fn handle_deadline(&mut self, _now: Instant, out: &mut Out) {
        self.ended = true;
        out.close(1011, "NET-0001");
    }
}

#[cfg(test)]
mod tests;
