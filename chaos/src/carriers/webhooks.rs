//! Requests of carriers to their customers.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::time::{Instant, sleep, timeout};

use super::App;

/// How long a customer may take to answer: Twilio's limit.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// Between two attempts at a customer who cannot be reached, while there is patience.
const RETRY_EVERY: Duration = Duration::from_millis(100);

/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A request to a customer.
#[derive(Clone)]
pub struct Webhook {
    pub url: String,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

/// What the customer answered.
pub struct Answer {
    pub status: u16,
    pub body: Bytes,
}

/// Delivers a request.
///
/// # Errors
///
/// Says why there is no answer.
pub async fn deliver(app: &App, webhook: &Webhook) -> Result<Answer, String> {
    let began = Instant::now();
    let patience = Duration::from_millis(app.options().webhook_patience_ms);
    loop {
        match timeout(ANSWER_LIMIT, attempt(app, webhook)).await {
            Ok(Err(problem)) if began.elapsed() < patience => {
                drop(problem);
                sleep(RETRY_EVERY).await;
            }
            Ok(answer) => return answer,
            Err(_) => return Err(format!("no answer within {ANSWER_LIMIT:?}")),
        }
    }
}

/// Delivers a request that nobody waits for, as late and as often as the options say.
pub fn call_back(
    app: &App,
    webhook: Webhook,
    then: impl FnOnce(Result<Answer, String>) + Send + 'static,
) {
    let app = app.clone();
    tokio::spawn(async move {
        let callbacks = app.options().callbacks;
        sleep(callbacks.delay.draw(&app.chance)).await;
        let answer = deliver(&app, &webhook).await;
        let comes_twice = (app.chance.next() as f64 / u64::MAX as f64) < callbacks.duplicates;
        if comes_twice {
            sleep(callbacks.delay.draw(&app.chance)).await;
            // The answer to the first is the one that counts.
            let _ = deliver(&app, &webhook).await;
        }
        then(answer);
    });
}

async fn attempt(app: &App, webhook: &Webhook) -> Result<Answer, String> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(webhook.content_type));
    for (name, value) in &webhook.headers {
        let value = HeaderValue::from_str(value).map_err(|error| error.to_string())?;
        headers.insert(HeaderName::from_static(name), value);
    }
    let request = app.http.post(&webhook.url).headers(headers).body(webhook.body.clone());
    let mut answer = request.send().await.map_err(|error| error.to_string())?;
    let status = answer.status().as_u16();
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(|error| error.to_string())? {
        if body.len() + part.len() > ANSWER_BYTES_MAX {
            return Err(format!("an answer longer than {ANSWER_BYTES_MAX} bytes"));
        }
        body.extend_from_slice(&part);
    }
    Ok(Answer { status, body: body.into() })
}
