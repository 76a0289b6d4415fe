//! Carriers that break: `POST /carriers/fault`.
//!
//! - `{"fault": "error", "carrier": "twilio", "status": 429, "requests": 2, "retry_after": 1}`: the
//!   next requests to the API are refused.
//! - `{"fault": "drop" | "close" | "stall" | "half_open", "call": ".."}`: the media socket of a call
//!   (of every call without `call`) is cut without a word, closed with `code`, says and reads
//!   nothing for `ms`, or for ever.
//! - `{"fault": "lose", "call": "..", "frames": 10}`: what the person says is lost on the way.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::Deserialize;

use super::App;

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

/// Longest stall, in milliseconds: an hour.
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
            if !super::CARRIERS.contains(&carrier.as_str()) {
                let known = super::CARRIERS.join(", ");
                return Err(format!("unknown carrier `{carrier}`, expected one of: {known}"));
            }
            if !(400..600).contains(&status) {
                return Err(format!("status is {status}, expected 400 to 599"));
            }
            app.faults.add(carrier, Refusal { status, retry_after, requests });
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
