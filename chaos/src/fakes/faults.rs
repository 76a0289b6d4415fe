//! Providers that break: `POST /fakes/fault`, for example
//! `{"provider": "deepgram", "fault": "refuse", "seconds": 3}`.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;
use tokio::{sync::watch, time::Instant};

use super::{App, BASES};

/// Longest fault, in seconds: longer than any call waits.
const SECONDS_MAX: f64 = 3_600.0;

/// One thing that breaks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    provider: String,
    fault: Kind,
    /// How long it lasts, for `refuse` and `stall`.
    seconds: Option<f64>,
    /// How many requests it hits, for `error`.
    requests: Option<u32>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// Every websocket ends, without a word.
    Drop,
    /// Requests and connections are answered with 503.
    Refuse,
    /// Whatever is open, or is opened meanwhile, says nothing for as long as it stays open.
    Stall,
    /// The next requests are answered with 500.
    Error,
}

/// What is broken.
#[derive(Default)]
pub struct Faults {
    broken: Mutex<HashMap<String, Broken>>,
    /// Wakes websockets that may have to end.
    dropped: watch::Sender<()>,
}

#[derive(Clone, Copy, Default)]
struct Broken {
    dropped_at: Option<Instant>,
    refused_until: Option<Instant>,
    stalled: Option<(Instant, Instant)>,
    errors: u32,
}

impl Faults {
    /// Breaks something from now on.
    pub fn add(&self, now: Instant, fault: &Fault) -> Result<(), String> {
        if !BASES.iter().any(|(name, _)| *name == fault.provider) {
            let known: Vec<_> = BASES.iter().map(|(name, _)| *name).collect();
            let known = known.join(", ");
            return Err(format!("unknown provider `{}`, expected one of: {known}", fault.provider));
        }
        let until = || match fault.seconds {
            Some(seconds) if (0.0..=SECONDS_MAX).contains(&seconds) => {
                Ok(now + Duration::from_secs_f64(seconds))
            }
            Some(_) | None => Err(format!("expected `seconds` from 0 to {SECONDS_MAX}")),
        };
        let mut all = self.lock();
        let broken = all.entry(fault.provider.clone()).or_default();
        match fault.fault {
            Kind::Drop => broken.dropped_at = Some(now),
            Kind::Refuse => broken.refused_until = Some(until()?),
            Kind::Stall => broken.stalled = Some((now, until()?)),
            Kind::Error => broken.errors = fault.requests.ok_or("expected `requests`")?,
        }
        drop(all);
        if fault.fault == Kind::Drop {
            self.dropped.send_replace(());
        }
        Ok(())
    }

    /// Changes when websockets may have to end.
    pub fn drops(&self) -> watch::Receiver<()> {
        self.dropped.subscribe()
    }

    /// Whether a websocket that is open since then ends.
    pub fn drops_one(&self, provider: &str, since: Instant) -> bool {
        self.of(provider).dropped_at.is_some_and(|at| since <= at)
    }

    /// Whether a connection or request that is open since then has fallen silent.
    pub fn silences(&self, now: Instant, provider: &str, since: Instant) -> bool {
        self.of(provider).stalled.is_some_and(|(from, until)| from <= now && since < until)
    }

    /// What a new request is answered instead, if it is.
    fn refusal(&self, now: Instant, provider: &str) -> Option<StatusCode> {
        let mut all = self.lock();
        let broken = all.get_mut(provider)?;
        if broken.refused_until.is_some_and(|until| now < until) {
            return Some(StatusCode::SERVICE_UNAVAILABLE);
        }
        broken.errors = broken.errors.checked_sub(1)?;
        Some(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn of(&self, provider: &str) -> Broken {
        self.lock().get(provider).copied().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Broken>> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets a request through to its provider, unless that is broken.
pub async fn admit(State(app): State<App>, request: Request, next: Next) -> Response {
    let prefix = request.uri().path().split('/').nth(1).unwrap_or_default();
    let provider = BASES.iter().map(|(name, _)| *name).find(|name| *name == prefix);
    let refused = provider.and_then(|name| Some((name, app.faults.refusal(Instant::now(), name)?)));
    let Some((provider, status)) = refused else { return next.run(request).await };
    app.report.count(provider, |counts| counts.refused += 1);
    let error = json!({"message": "broken on purpose", "type": "server_error"});
    (status, Json(json!({"error": error}))).into_response()
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
        assert_eq!(at(2.9, "deepgram"), Some(StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!(at(2.9, "openai"), None);
        assert_eq!(at(3.0, "deepgram"), None);
    }

    #[test]
    fn errors_are_counted_down() {
        let (faults, now) = (Faults::default(), Instant::now());
        let fault = json!({"provider": "openai", "fault": "error", "requests": 2});
        add(&faults, now, fault).unwrap();
        let answers: Vec<_> = (0..3).map(|_| faults.refusal(now, "openai")).collect();
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
    fn a_fault_that_makes_no_sense_is_refused_by_what_is_wrong() {
        let (faults, now) = (Faults::default(), Instant::now());
        for (fault, named) in [
            (json!({"provider": "deepgramm", "fault": "drop"}), "unknown provider `deepgramm`"),
            (json!({"provider": "deepgram", "fault": "stall"}), "`seconds`"),
            (json!({"provider": "openai", "fault": "error"}), "`requests`"),
        ] {
            let refused = add(&faults, now, fault).unwrap_err();
            assert!(refused.contains(named), "got {refused}");
        }
    }
}
