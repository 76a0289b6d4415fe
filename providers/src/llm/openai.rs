//! OpenAI's chat completions, and every endpoint that speaks them.
//!
//! A compatible vendor is one [`Vendor`] row in a file of its own, and one line in `llm.rs`:
//!
//! ```ignore
//! const VENDOR: Vendor = Vendor { name: "groq", address: "https://api.groq.com/openai/v1",
//!     key_variable: "GROQ_API_KEY", families: &[..] };
//! pub const PROVIDER: Provider = Provider { name: VENDOR.name, key_variable: VENDOR.key_variable,
//!     build: |options, access, net| openai::build_as(&VENDOR, options, access, net) };
//! ```

use offhook_core::FailureClass;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::Value;
use url::Url;

use super::{Llm, LlmCapabilities, LlmRequest, LlmStream, Opening, Provider};
use crate::{
    Access, BuildError, Net, ProviderError,
    net::{address, socket::key_header},
};
use errors::Errors;
use families::Family;
use options::Options;
use request::{Body, Learned};

mod errors;
mod families;
mod options;
mod reply;
mod request;
mod stream;
#[cfg(test)]
mod tests;

/// An endpoint that speaks chat completions.
pub(super) struct Vendor {
    /// The value of `provider` in the document.
    pub name: &'static str,
    /// Its own address, with the path prefix before `/chat/completions`.
    pub address: &'static str,
    pub key_variable: &'static str,
    /// What its models refuse; the first row that fits a model counts.
    pub families: &'static [Family],
}

const VENDOR: Vendor = Vendor {
    name: "openai",
    address: "https://api.openai.com/v1",
    key_variable: "OPENAI_API_KEY",
    families: families::OPENAI,
};

pub const PROVIDER: Provider =
    Provider { name: VENDOR.name, key_variable: VENDOR.key_variable, build };

fn build(options: &Value, access: &Access, net: &Net) -> Result<Box<dyn Llm>, BuildError> {
    build_as(&VENDOR, options, access, net)
}

/// Sets up a vendor for one assistant. A self-hosted one, at a `base_url`, may need no key.
pub(super) fn build_as(
    vendor: &'static Vendor,
    options: &Value,
    access: &Access,
    net: &Net,
) -> Result<Box<dyn Llm>, BuildError> {
    let bad = |reason| BuildError::Options { kind: "Llm", name: vendor.name.into(), reason };
    access.require_key("Llm", vendor.name, vendor.key_variable)?;
    let options = Options::from_document(options).map_err(bad)?;
    let url = address::endpoint(vendor.address, access, &["chat", "completions"]).map_err(bad)?;
    let headers = key_header(AUTHORIZATION, "Bearer ", access.api_key.as_ref()).map_err(bad)?;
    Ok(Box::new(ChatCompletions {
        net: net.clone(),
        errors: Errors { provider: vendor.name },
        url: address::http(url),
        headers,
        family: families::find(vendor.families, options.model()),
        options,
        learned: Learned::default(),
    }))
}

struct ChatCompletions {
    net: Net,
    errors: Errors,
    url: Url,
    headers: HeaderMap,
    options: Options,
    family: &'static Family,
    learned: Learned,
}

impl Llm for ChatCompletions {
    fn capabilities(&self) -> LlmCapabilities {
        LlmCapabilities { tools: true, assistant_prefill: false }
    }

    fn generate(&self, request: LlmRequest) -> Opening<LlmStream> {
        let mut body = Body::new(&self.options, self.family, &request);
        self.learned.apply(&mut body);
        let (learned, errors) = (self.learned.clone(), self.errors);
        let asking = Asking {
            net: self.net.clone(),
            errors,
            url: self.url.clone(),
            headers: self.headers.clone(),
        };
        Box::pin(async move {
            let answer = match asking.ask(&body).await? {
                Answer::Accepted(answer) => answer,
                Answer::Refused { error, param } => {
                    // Once without the parameter that the model does not know, if it named one.
                    let Some(change) = param.and_then(|param| body.give_up(&param)) else {
                        return Err(error);
                    };
                    learned.remember(change);
                    match asking.ask(&body).await? {
                        Answer::Accepted(answer) => answer,
                        Answer::Refused { error, .. } => return Err(error),
                    }
                }
            };
            let request_id = answer.headers().get("x-request-id");
            tracing::debug!(provider = errors.provider, ?request_id, "reply accepted");
            Ok(stream::start(answer, errors))
        })
    }
}

/// A request that can be made twice.
struct Asking {
    net: Net,
    errors: Errors,
    url: Url,
    headers: HeaderMap,
}

enum Answer {
    Accepted(reqwest::Response),
    Refused { error: ProviderError, param: Option<String> },
}

impl Asking {
    async fn ask(&self, body: &Body) -> Result<Answer, ProviderError> {
        let place = address::label(&self.url);
        let request =
            self.net.http.post(self.url.clone()).headers(self.headers.clone()).json(body.json());
        let answer = request.send().await.map_err(|error| {
            let class = match error.is_timeout() {
                true => FailureClass::Timeout,
                false => FailureClass::Unavailable,
            };
            self.errors.error(class, format!("asking {place} failed: {}", errors::causes(&error)))
        })?;
        if answer.status().is_success() {
            return Ok(Answer::Accepted(answer));
        }
        let (error, param) = self.errors.refused(&place, answer).await;
        Ok(Answer::Refused { error, param })
    }
}
