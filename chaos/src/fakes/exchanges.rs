//! What reached the fakes, kept for whoever checks it.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use axum::http::{HeaderMap, Method, Uri};
use serde::Serialize;
use serde_json::{Value, json};

/// Messages that are kept of one connection: the settings come first.
const MESSAGES_MAX: usize = 200;

#[derive(Debug, Default)]
pub struct Exchanges {
    kept_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    kept: VecDeque<Exchange>,
    forgotten: u64,
}

#[derive(Debug, Serialize)]
struct Exchange {
    provider: &'static str,
    method: String,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    /// The body of a request, or the texts that came through a websocket.
    messages: Vec<Value>,
}

impl Exchanges {
    pub fn keeping(kept_max: usize) -> Self {
        Self { kept_max, ..Self::default() }
    }

    /// Keeps a request; returns what its messages are added with.
    pub fn begin(
        &self,
        provider: &'static str,
        (method, uri, headers): (&Method, &Uri, &HeaderMap),
        query: &[(String, String)],
    ) -> Option<u64> {
        if self.kept_max == 0 {
            return None;
        }
        let headers = headers
            .iter()
            .map(|(name, value)| {
                (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.kept.len() == self.kept_max {
            state.kept.pop_front();
            state.forgotten += 1;
        }
        let number = state.forgotten + state.kept.len() as u64;
        state.kept.push_back(Exchange {
            provider,
            method: method.to_string(),
            path: uri.path().to_owned(),
            query: query.to_vec(),
            headers,
            messages: Vec::new(),
        });
        Some(number)
    }

    /// Adds a message; what is no JSON is kept as text.
    pub fn add(&self, number: u64, message: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let index = number.checked_sub(state.forgotten);
        let exchange = index.and_then(|index| state.kept.get_mut(index as usize));
        if let Some(exchange) = exchange.filter(|kept| kept.messages.len() < MESSAGES_MAX) {
            exchange
                .messages
                .push(serde_json::from_str(message).unwrap_or_else(|_| message.into()));
        }
    }

    /// The document of `GET /fakes/requests`, oldest first.
    pub fn document(&self) -> Value {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        json!(state.kept)
    }
}
