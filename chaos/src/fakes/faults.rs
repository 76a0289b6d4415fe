//! Providers that break: `POST /fakes/fault`, for example
//! `{"provider": "deepgram", "fault": "refuse", "seconds": 3}`.
//!
//! | fault | what happens | parameters |
//! |---|---|---|
//! | `drop` | every websocket ends, without a word | |
//! | `refuse` | requests and connections are answered with 503, or `status` | `seconds`, `status`, `retry_after` |
//! | `error` | the same, with 500, for the next `requests` | `requests`, `status`, `retry_after` |
//! | `hang` | requests and connections are not answered | `seconds` |
//! | `stall` | whatever is open, or opened meanwhile, says nothing for as long as it stays open | `seconds` |
//! | `half_open` | websockets read nothing and say nothing meanwhile | `seconds` |
//! | `drop_after` | websockets and answers end after so much | `seconds`; `messages`, `bytes` or `ms` |
//! | `late` | what is sent leaves later | `seconds`, `delay` |
//! | `drip` | answers come a byte at a time, `ms` apart; messages take as long | `seconds`, `ms` |
//! | `garbage` | messages are not what they should be | `seconds` |
//! | `truncate` | messages are cut in the middle | `seconds` |
//! | `content_type` | answers say that they are HTML | `seconds` |
//! | `duplicate` | messages come twice | `seconds` |
//! | `reorder` | every other message comes after its successor | `seconds` |
//! | `rate_cap` | websockets close with `code` on more than 1.25 times `bytes_per_second` | `seconds`, `bytes_per_second`, `code` |
//!
//! `seconds` is how long it lasts. A port on which nobody listens is what refuses connections, and an
//! `https` address of the fakes is what fails at TLS.

use std::{
    collections::HashMap,
    future::pending,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::{App, BASES, options::Delay};

/// Longest fault, in seconds: longer than any call waits.
const SECONDS_MAX: f64 = 3_600.0;

/// How much faster than real time audio may come to a capped provider (Deepgram, AssemblyAI).
const RATE_MAX: f64 = 1.25;

/// Audio that may come ahead of that, in seconds.
const RATE_HEAD_START_S: f64 = 0.5;

/// Closed for audio that came too fast, as AssemblyAI closes.
const TOO_FAST: u16 = 3007;

/// One thing that breaks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    provider: String,
    fault: Kind,
    seconds: Option<f64>,
    requests: Option<u32>,
    status: Option<u16>,
    /// In seconds, as the header of this name has it.
    retry_after: Option<u32>,
    delay: Option<Delay>,
    messages: Option<u64>,
    bytes: Option<u64>,
    ms: Option<u64>,
    bytes_per_second: Option<u32>,
    code: Option<u16>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Drop,
    Refuse,
    Error,
    Hang,
    Stall,
    HalfOpen,
    DropAfter,
    Late,
    Drip,
    Garbage,
    Truncate,
    ContentType,
    Duplicate,
    Reorder,
    RateCap,
}

/// What is broken.
pub struct Faults {
    /// Who can be.
    names: Vec<String>,
    broken: Mutex<HashMap<String, Broken>>,
    /// Anything ever was: without, nobody takes the lock.
    any: AtomicBool,
    /// Wakes websockets that may have to end.
    dropped: watch::Sender<()>,
}

#[derive(Clone, Default)]
struct Broken {
    dropped_at: Option<Instant>,
    /// Requests that still meet an error, and which.
    errors: (u32, Refused),
    refusal: Refused,
    /// What lasts for a while: from when, until when.
    lasting: Vec<(Kind, Instant, Instant)>,
    manner: Manner,
}

/// What a request is answered that is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Refused {
    status: StatusCode,
    retry_after: Option<u32>,
}

/// How what leaves is changed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    pub late: Option<Delay>,
    /// Between two bytes of an answer.
    pub drip: Option<Duration>,
    pub garbage: bool,
    pub truncate: bool,
    pub duplicate: bool,
    pub reorder: bool,
    pub half_open: bool,
    pub ends_after: Option<Limits>,
    pub rate_cap: Option<RateCap>,
}

/// After how much a connection ends.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    messages: Option<u64>,
    bytes: Option<u64>,
    time: Option<Duration>,
}

/// How much audio may come.
#[derive(Clone, Copy, Debug)]
pub struct RateCap {
    bytes_per_second: f64,
    pub code: u16,
}

impl Limits {
    /// Whether a connection that has sent so much for so long has reached its end.
    pub fn are_reached(self, messages: u64, bytes: u64, open: Duration) -> bool {
        self.messages.is_some_and(|most| messages >= most)
            || self.bytes.is_some_and(|most| bytes >= most)
            || self.time.is_some_and(|most| open >= most)
    }
}

impl RateCap {
    /// Whether so many bytes are too many after so long.
    pub fn is_broken(self, bytes: u64, open: Duration) -> bool {
        let allowed = open.as_secs_f64() * RATE_MAX + RATE_HEAD_START_S;
        bytes as f64 > allowed * self.bytes_per_second
    }
}

impl Default for Faults {
    /// Of the fake providers.
    fn default() -> Self {
        Self::of(BASES.iter().map(|(name, _)| (*name).to_owned()).collect())
    }
}

impl Faults {
    /// Nothing is broken of these providers.
    pub fn of(names: Vec<String>) -> Self {
        Self {
            names,
            broken: Mutex::default(),
            any: AtomicBool::new(false),
            dropped: watch::Sender::default(),
        }
    }

    /// Breaks something from now on.
    pub fn add(&self, now: Instant, fault: &Fault) -> Result<(), String> {
        if !self.names.contains(&fault.provider) {
            let known = self.names.join(", ");
            return Err(format!("unknown provider `{}`, expected one of: {known}", fault.provider));
        }
        let refused = |usual| -> Result<Refused, String> {
            let status = match fault.status {
                Some(status) => StatusCode::from_u16(status)
                    .map_err(|_| format!("expected `status` to be one of HTTP, not {status}"))?,
                None => usual,
            };
            Ok(Refused { status, retry_after: fault.retry_after })
        };
        let mut all = self.lock();
        let broken = all.entry(fault.provider.clone()).or_default();
        match fault.fault {
            Kind::Drop => broken.dropped_at = Some(now),
            Kind::Error => {
                let requests = fault.requests.ok_or("expected `requests`")?;
                broken.errors = (requests, refused(StatusCode::INTERNAL_SERVER_ERROR)?);
            }
            kind @ (Kind::Refuse
            | Kind::Hang
            | Kind::Stall
            | Kind::HalfOpen
            | Kind::DropAfter
            | Kind::Late
            | Kind::Drip
            | Kind::Garbage
            | Kind::Truncate
            | Kind::ContentType
            | Kind::Duplicate
            | Kind::Reorder
            | Kind::RateCap) => {
                let until = now + fault.lasts()?;
                if kind == Kind::Refuse {
                    broken.refusal = refused(StatusCode::SERVICE_UNAVAILABLE)?;
                }
                fault.shape(&mut broken.manner)?;
                broken.lasting.retain(|(other, ..)| *other != kind);
                broken.lasting.push((kind, now, until));
            }
        }
        drop(all);
        self.any.store(true, Ordering::Release);
        // Websockets that wait look again.
        self.dropped.send_replace(());
        Ok(())
    }

    /// Changes when websockets may have to end, or to fall silent.
    pub fn drops(&self) -> watch::Receiver<()> {
        self.dropped.subscribe()
    }

    /// Whether a websocket that is open since then ends.
    pub fn drops_one(&self, provider: &str, since: Instant) -> bool {
        self.broken(provider).and_then(|broken| broken.dropped_at).is_some_and(|at| since <= at)
    }

    /// Whether a connection or request that is open since then has fallen silent.
    pub fn silences(&self, now: Instant, provider: &str, since: Instant) -> bool {
        let stalls = |(kind, from, until): &(Kind, Instant, Instant)| {
            *kind == Kind::Stall && *from <= now && since < *until
        };
        self.broken(provider).is_some_and(|broken| broken.lasting.iter().any(stalls))
    }

    /// How what leaves a provider now is changed; `None`: not at all.
    pub fn manner(&self, now: Instant, provider: &str) -> Option<Manner> {
        let broken = self.broken(provider)?;
        let lasts = |kind| broken.lasts(now, kind);
        let Manner { late, drip, ends_after, rate_cap, .. } = broken.manner;
        Some(Manner {
            late: late.filter(|_| lasts(Kind::Late)),
            drip: drip.filter(|_| lasts(Kind::Drip)),
            garbage: lasts(Kind::Garbage),
            truncate: lasts(Kind::Truncate),
            duplicate: lasts(Kind::Duplicate),
            reorder: lasts(Kind::Reorder),
            half_open: lasts(Kind::HalfOpen),
            ends_after: ends_after.filter(|_| lasts(Kind::DropAfter)),
            rate_cap: rate_cap.filter(|_| lasts(Kind::RateCap)),
        })
    }

    /// What a new request is answered instead, if it is.
    fn refusal(&self, now: Instant, provider: &str) -> Option<Refused> {
        let mut all = self.lock();
        let broken = all.get_mut(provider)?;
        if broken.lasts(now, Kind::Refuse) {
            return Some(broken.refusal);
        }
        broken.errors.0 = broken.errors.0.checked_sub(1)?;
        Some(broken.errors.1)
    }

    /// Until when a new request is not answered.
    fn hangs(&self, now: Instant, provider: &str) -> Option<Instant> {
        let broken = self.broken(provider)?;
        let hang = broken.lasting.iter().find(|(kind, ..)| *kind == Kind::Hang);
        hang.map(|(_, _, until)| *until).filter(|until| now < *until)
    }

    fn says_html(&self, now: Instant, provider: &str) -> bool {
        self.broken(provider).is_some_and(|broken| broken.lasts(now, Kind::ContentType))
    }

    fn broken(&self, provider: &str) -> Option<Broken> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.lock().get(provider).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Broken>> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broken {
    fn lasts(&self, now: Instant, kind: Kind) -> bool {
        self.lasting
            .iter()
            .any(|(other, from, until)| *other == kind && *from <= now && now < *until)
    }
}

impl Fault {
    fn lasts(&self) -> Result<Duration, String> {
        match self.seconds {
            Some(seconds) if (0.0..=SECONDS_MAX).contains(&seconds) => {
                Ok(Duration::from_secs_f64(seconds))
            }
            Some(_) | None => Err(format!("expected `seconds` from 0 to {SECONDS_MAX}")),
        }
    }

    /// Takes the parameters of what changes what leaves.
    fn shape(&self, manner: &mut Manner) -> Result<(), String> {
        let time = self.ms.map(Duration::from_millis);
        match self.fault {
            Kind::Late => manner.late = Some(self.delay.ok_or("expected `delay`")?),
            Kind::Drip => manner.drip = Some(time.ok_or("expected `ms`")?),
            Kind::DropAfter => {
                let limits = Limits { messages: self.messages, bytes: self.bytes, time };
                if limits.messages.is_none() && limits.bytes.is_none() && limits.time.is_none() {
                    return Err("expected `messages`, `bytes` or `ms`".into());
                }
                manner.ends_after = Some(limits);
            }
            Kind::RateCap => {
                let bytes = self.bytes_per_second.ok_or("expected `bytes_per_second`")?;
                let code = self.code.unwrap_or(TOO_FAST);
                manner.rate_cap = Some(RateCap { bytes_per_second: f64::from(bytes), code });
            }
            Kind::Drop
            | Kind::Refuse
            | Kind::Error
            | Kind::Hang
            | Kind::Stall
            | Kind::HalfOpen
            | Kind::Garbage
            | Kind::Truncate
            | Kind::ContentType
            | Kind::Duplicate
            | Kind::Reorder => {}
        }
        Ok(())
    }
}

/// Lets a request through to its provider, unless that is broken.
pub async fn admit(State(app): State<App>, request: Request, next: Next) -> Response {
    let prefix = request.uri().path().split('/').nth(1).unwrap_or_default();
    let Some(provider) = BASES.iter().map(|(name, _)| *name).find(|name| *name == prefix) else {
        return next.run(request).await;
    };
    if let Some(refused) = app.faults.stand_in_the_way(provider).await {
        app.report.count(provider, |counts| counts.refused += 1);
        return refused;
    }
    let response = next.run(request).await;
    app.faults.relabelled(provider, response)
}

impl Faults {
    /// What a request is answered by a provider that is broken; waits where that does not answer.
    pub async fn stand_in_the_way(&self, provider: &str) -> Option<Response> {
        let now = Instant::now();
        if let Some(until) = self.hangs(now, provider) {
            // A client that waited for so long is answered at last.
            let _ = timeout_at(until, pending::<()>()).await;
        }
        let refused = self.refusal(now, provider)?;
        let error = json!({"message": "broken on purpose", "type": "server_error"});
        let mut response = (refused.status, Json(json!({"error": error}))).into_response();
        if let Some(seconds) = refused.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        Some(response)
    }

    /// An answer with the content type that a fault has it say.
    pub fn relabelled(&self, provider: &str, mut response: Response) -> Response {
        if self.says_html(Instant::now(), provider) {
            let html = HeaderValue::from_static("text/html; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, html);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(faults: &Faults, now: Instant, fault: serde_json::Value) -> Result<(), String> {
        faults.add(now, &serde_json::from_value(fault).unwrap())
    }

    #[test]
    fn a_refusal_lasts_as_long_as_it_says_and_hits_one_provider() {
        let (faults, start) = (Faults::default(), Instant::now());
        let fault = json!({"provider": "deepgram", "fault": "refuse", "seconds": 3});
        add(&faults, start, fault).unwrap();
        let at =
            |seconds, provider| faults.refusal(start + Duration::from_secs_f64(seconds), provider);
        let at = |seconds, provider| at(seconds, provider).map(|refused| refused.status);
        assert_eq!(at(2.9, "deepgram"), Some(StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!(at(2.9, "openai"), None);
        assert_eq!(at(3.0, "deepgram"), None);
    }

    #[test]
    fn errors_are_counted_down() {
        let (faults, now) = (Faults::default(), Instant::now());
        let fault = json!({"provider": "openai", "fault": "error", "requests": 2});
        add(&faults, now, fault).unwrap();
        let status = |refused: Refused| refused.status;
        let answers: Vec<_> = (0..3).map(|_| faults.refusal(now, "openai").map(status)).collect();
        let error = Some(StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answers, [error, error, None]);
    }

    #[test]
    fn what_was_open_during_a_stall_stays_silent_and_what_comes_after_it_does_not() {
        let (faults, start) = (Faults::default(), Instant::now());
        let fault = json!({"provider": "elevenlabs", "fault": "stall", "seconds": 5});
        let at = |seconds| start + Duration::from_secs(seconds);
        add(&faults, at(10), fault).unwrap();
        assert!(faults.silences(at(10), "elevenlabs", at(0)));
        assert!(faults.silences(at(60), "elevenlabs", at(14)));
        assert!(!faults.silences(at(60), "elevenlabs", at(15)));
        assert!(!faults.silences(at(60), "deepgram", at(0)));
    }

    #[test]
    fn only_what_was_open_is_dropped() {
        let (faults, start) = (Faults::default(), Instant::now());
        let mut drops = faults.drops();
        let later = start + Duration::from_secs(1);
        add(&faults, start, json!({"provider": "deepgram", "fault": "drop"})).unwrap();
        assert!(drops.has_changed().unwrap());
        drops.mark_unchanged();
        assert!(faults.drops_one("deepgram", start));
        assert!(!faults.drops_one("deepgram", later));
    }

    #[test]
    fn a_refusal_says_what_it_was_told_to_say() {
        let (faults, now) = (Faults::default(), Instant::now());
        let fault = json!({"provider": "openai", "fault": "refuse", "seconds": 1, "status": 429,
            "retry_after": 7});
        add(&faults, now, fault).unwrap();
        let refused = faults.refusal(now, "openai").unwrap();
        assert_eq!((refused.status.as_u16(), refused.retry_after), (429, Some(7)));
    }

    #[test]
    fn what_leaves_is_changed_for_as_long_as_the_fault_lasts() {
        let (faults, start) = (Faults::default(), Instant::now());
        assert!(faults.manner(start, "deepgram").is_none());
        for fault in [
            json!({"provider": "deepgram", "fault": "duplicate", "seconds": 1}),
            json!({"provider": "deepgram", "fault": "late", "seconds": 5, "delay": {"fixed": 300}}),
            json!({"provider": "deepgram", "fault": "drop_after", "seconds": 5, "messages": 3}),
        ] {
            add(&faults, start, fault).unwrap();
        }
        let manner = faults.manner(start, "deepgram").unwrap();
        assert!(manner.duplicate && manner.late.is_some() && !manner.reorder);
        let limits = manner.ends_after.unwrap();
        assert!(!limits.are_reached(2, 900, Duration::from_secs(9)));
        assert!(limits.are_reached(3, 0, Duration::ZERO));
        let later = faults.manner(start + Duration::from_secs(2), "deepgram").unwrap();
        assert!(!later.duplicate && later.late.is_some());
    }

    #[test]
    fn a_capped_provider_takes_audio_a_quarter_faster_than_it_is_spoken() {
        let cap = RateCap { bytes_per_second: 8_000.0, code: TOO_FAST };
        assert!(!cap.is_broken(4_000, Duration::ZERO));
        assert!(!cap.is_broken(104_000, Duration::from_secs(10)));
        assert!(cap.is_broken(105_000, Duration::from_secs(10)));
    }

    #[test]
    fn a_fault_that_makes_no_sense_is_refused_by_what_is_wrong() {
        let (faults, now) = (Faults::default(), Instant::now());
        for (fault, named) in [
            (json!({"provider": "deepgramm", "fault": "drop"}), "unknown provider `deepgramm`"),
            (json!({"provider": "deepgram", "fault": "stall"}), "`seconds`"),
            (json!({"provider": "openai", "fault": "error"}), "`requests`"),
            (json!({"provider": "openai", "fault": "drop_after", "seconds": 1}), "`messages`"),
            (json!({"provider": "openai", "fault": "late", "seconds": 1}), "`delay`"),
            (
                json!({"provider": "openai", "fault": "refuse", "seconds": 1, "status": 9}),
                "`status`",
            ),
        ] {
            let refused = add(&faults, now, fault).unwrap_err();
            assert!(refused.contains(named), "got {refused}");
        }
    }
}
