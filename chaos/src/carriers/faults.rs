//! Carriers that break: `POST /carriers/fault`.
//!
//! - `{"fault": "error", "carrier": "twilio", "status": 429, "requests": 2, "retry_after": 1}`: the
//!   next requests to the API are refused.
//! - `{"fault": "request", "carrier": "twilio", "of": "Calls.json", "requests": 1, "is_done": true,
//!   "status": 504}`: the next requests whose path holds `of` are carried out with `is_done`, and not
//!   otherwise, and answered with `status` after `late_ms`; without a status they are cut off.
//! - `{"fault": "drop" | "close" | "stall" | "half_open", "call": ".."}`: the media socket of a call
//!   (of every call without `call`) is cut without a word, closed with `code`, says and reads
//!   nothing for `ms`, or for ever.
//! - `{"fault": "lose", "call": "..", "frames": 10}`: what the person says is lost on the way.

use std::{
    collections::HashMap,
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use tokio::time::sleep;

use super::{App, known};

/// What happens to a media socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MediaFault {
    #[default]
    None,
    Drop,
    Close(u16),
    Stall(Duration),
    HalfOpen,
}

/// Longest stall, and latest answer, in milliseconds: an hour.
const MS_MAX: u64 = 3_600_000;

#[derive(Debug, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    Error {
        carrier: String,
        status: u16,
        requests: u32,
        #[serde(default)]
        retry_after: Option<u32>,
    },
    Request {
        carrier: String,
        of: String,
        requests: u32,
        #[serde(default)]
        is_done: bool,
        #[serde(default)]
        status: Option<u16>,
        #[serde(default)]
        late_ms: u64,
    },
    Drop {
        #[serde(default)]
        call: Option<String>,
    },
    Close {
        #[serde(default)]
        call: Option<String>,
        code: u16,
    },
    Stall {
        #[serde(default)]
        call: Option<String>,
        ms: u64,
    },
    HalfOpen {
        #[serde(default)]
        call: Option<String>,
    },
    Lose {
        #[serde(default)]
        call: Option<String>,
        frames: u32,
    },
}

/// How the next requests to an API are refused.
#[derive(Default)]
pub struct RestFaults {
    next: Mutex<HashMap<String, Refusal>>,
    broken: Mutex<Vec<BrokenRequests>>,
}

/// Requests of one kind that do not go as they should.
#[derive(Clone, Debug)]
struct BrokenRequests {
    carrier: String,
    of: String,
    requests: u32,
    is_done: bool,
    status: Option<u16>,
    late: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub retry_after: Option<u32>,
    requests: u32,
}

impl RestFaults {
    /// How this request is refused, if it is.
    pub fn refuse(&self, carrier: &str) -> Option<Refusal> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let refusal = next.get_mut(carrier)?;
        refusal.requests = refusal.requests.checked_sub(1)?;
        Some(*refusal)
    }

    fn add(&self, carrier: String, refusal: Refusal) {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).insert(carrier, refusal);
    }

    /// What is to become of a request to this path.
    fn take_broken(&self, carrier: &str, path: &str) -> Option<BrokenRequests> {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        let index = broken
            .iter()
            .position(|it| it.carrier == carrier && it.requests > 0 && path.contains(&it.of))?;
        broken[index].requests -= 1;
        Some(broken[index].clone())
    }
}

/// Answers a request to a carrier's API, unless it is to be broken.
pub async fn answer(
    State((app, carrier)): State<(App, &'static str)>,
    request: Request,
    next: Next,
) -> Response {
    let Some(broken) = app.faults.take_broken(carrier, request.uri().path()) else {
        return next.run(request).await;
    };
    if broken.is_done {
        drop(next.run(request).await);
    }
    sleep(broken.late).await;
    match broken.status.map(StatusCode::from_u16) {
        Some(Ok(status)) => (status, "{}").into_response(),
        // A body that fails ends the connection.
        Some(Err(_)) | None => {
            let cut = stream::once(async { Err::<Bytes, _>(io::Error::other("cut off")) });
            Body::from_stream(cut).into_response()
        }
    }
}

/// Breaks something.
pub fn add(app: &App, fault: Fault) -> Result<(), String> {
    let sockets = |call: Option<String>, fault: MediaFault| -> Result<(), String> {
        for call in calls_of(app, call)? {
            call.note(app, format!("fault {fault:?}"));
            call.media_fault.send_replace(fault);
        }
        Ok(())
    };
    match fault {
        Fault::Error { carrier, status, requests, retry_after } => {
            known(&carrier)?;
            if !(400..600).contains(&status) {
                return Err(format!("status is {status}, expected 400 to 599"));
            }
            app.faults.add(carrier, Refusal { status, retry_after, requests });
            Ok(())
        }
        Fault::Request { carrier, of, requests, is_done, status, late_ms } => {
            known(&carrier)?;
            let late = Duration::from_millis(late_ms.min(MS_MAX));
            let broken = BrokenRequests { carrier, of, requests, is_done, status, late };
            app.faults.broken.lock().unwrap_or_else(PoisonError::into_inner).push(broken);
            Ok(())
        }
        Fault::Drop { call } => sockets(call, MediaFault::Drop),
        Fault::Close { call, code } => sockets(call, MediaFault::Close(code)),
        Fault::Stall { call, ms } => {
            sockets(call, MediaFault::Stall(Duration::from_millis(ms.min(MS_MAX))))
        }
        Fault::HalfOpen { call } => sockets(call, MediaFault::HalfOpen),
        Fault::Lose { call, frames } => {
            calls_of(app, call)?.iter().for_each(|call| call.line.lose(frames));
            Ok(())
        }
    }
}

fn calls_of(app: &App, id: Option<String>) -> Result<Vec<std::sync::Arc<super::Call>>, String> {
    match id {
        Some(id) => match app.call(&id) {
            Some(call) => Ok(vec![call]),
            None => Err(format!("there is no call `{id}`")),
        },
        None => {
            let all = super::CARRIERS.iter().flat_map(|carrier| app.calls(carrier));
            Ok(all.filter(|call| !call.is_over()).collect())
        }
    }
}
