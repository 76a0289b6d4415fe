//! One request to a model's endpoint, made at most twice.

use std::time::Duration;

use offhook_core::FailureClass;
use reqwest::{Response, header::HeaderMap};
use serde_json::{Map, Value};
use url::Url;

use super::{
    body::{Body, Learned},
    errors::{Errors, Refused},
};
use crate::{
    Net, ProviderError,
    net::{address, http},
};

/// Where and how requests are made.
#[derive(Clone)]
pub(super) struct Asking {
    pub net: Net,
    pub errors: Errors,
    pub url: Url,
    pub headers: HeaderMap,
    /// Longest wait for an answer to begin, where the document limits it.
    pub answer_limit: Option<Duration>,
}

/// What became of a request.
pub(super) enum Opened {
    Answer(Response),
    /// The provider's filter does not let the conversation through: a reply without words.
    Filtered,
}

enum Answer {
    Accepted(Response),
    Refused(Refused),
}

impl Asking {
    /// Asks; when the model does not know a parameter that a reply can do without, once more
    /// without it.
    pub async fn open(&self, mut body: Body, learned: &Learned) -> Result<Opened, ProviderError> {
        learned.apply(&mut body);
        let answer = match self.ask(body.json()).await? {
            Answer::Accepted(answer) => answer,
            Answer::Refused(refused) if refused.is_filtered => return Ok(Opened::Filtered),
            Answer::Refused(refused) => {
                let change = match (&refused.param, &refused.complaint) {
                    (Some(param), _) => body.give_up(param),
                    (None, Some(complaint)) => body.give_up_named_in(complaint),
                    (None, None) => None,
                };
                let Some(change) = change else { return Err(refused.error) };
                learned.remember(change);
                match self.ask(body.json()).await? {
                    Answer::Accepted(answer) => answer,
                    Answer::Refused(refused) if refused.is_filtered => return Ok(Opened::Filtered),
                    Answer::Refused(refused) => return Err(refused.error),
                }
            }
        };
        let request_id = ["x-request-id", "request-id"].map(|name| answer.headers().get(name));
        let request_id = request_id.into_iter().flatten().next();
        tracing::debug!(provider = self.errors.provider, ?request_id, "reply accepted");
        Ok(Opened::Answer(answer))
    }

    async fn ask(&self, body: &Map<String, Value>) -> Result<Answer, ProviderError> {
        let place = address::label(&self.url);
        let request = self.net.http.post(self.url.clone()).headers(self.headers.clone()).json(body);
        let answer = match self.answer_limit {
            None => request.send().await,
            Some(limit) => match tokio::time::timeout(limit, request.send()).await {
                Ok(answer) => answer,
                Err(_) => {
                    let detail = format!("asking {place} was not answered within {limit:?}");
                    return Err(self.errors.error(FailureClass::Timeout, detail));
                }
            },
        };
        let answer = answer.map_err(|error| {
            let class = match error.is_timeout() {
                true => FailureClass::Timeout,
                false => FailureClass::Unavailable,
            };
            self.errors.error(class, format!("asking {place} failed: {}", http::causes(&error)))
        })?;
        match answer.status().is_success() {
            true => Ok(Answer::Accepted(answer)),
            false => Ok(Answer::Refused(self.errors.refused(&place, answer).await)),
        }
    }
}
