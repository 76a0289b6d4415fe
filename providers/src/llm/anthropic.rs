//! Anthropic's messages (platform.claude.com/docs: Messages, Streaming, Errors, Prompt caching).

use offhook_core::FailureClass;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::Value;

use super::{
    Llm, LlmCapabilities, LlmRequest, LlmStream, Opening, Provider,
    asking::{Asking, Opened},
    body::{Body, Learned},
    errors::{Errors, Reasons},
    stream,
};
use crate::{
    Access, BuildError, Net,
    net::{address, socket::key_header},
    probe::{BEARER, FreeResource, Probe},
};
use options::Options;
use reply::Reply;

mod models;
mod options;
mod reply;
mod request;
#[cfg(test)]
mod tests;

pub const PROVIDER: Provider = Provider {
    name: "anthropic",
    key_variable: "ANTHROPIC_API_KEY",
    probe: Probe::Resource(FreeResource {
        address: ADDRESS,
        path: &["v1", "models"],
        header: "x-api-key",
        scheme: "",
        headers: &[("anthropic-version", VERSION)],
        ..BEARER
    }),
    specimen: "",
    build,
};

/// As in Anthropic's own clients, a `base_url` stands for what comes before `/v1`.
const ADDRESS: &str = "https://api.anthropic.com";

const KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");
const VERSION_HEADER: HeaderName = HeaderName::from_static("anthropic-version");

/// The version of the protocol: the last that takes a `temperature`, which the contract has a
/// default for. `2026-10-21` refuses it for every model.
const VERSION: &str = "2023-06-01";

/// What its errors mean (page Errors).
const REASONS: Reasons = &[
    ("spend_limit", FailureClass::Quota),
    ("credit balance is too low", FailureClass::Quota),
    ("billing_error", FailureClass::Quota),
    ("authentication_error", FailureClass::Unauthorized),
    ("permission_error", FailureClass::Unauthorized),
    ("rate_limit_error", FailureClass::RateLimited { retry_after: None }),
    ("overloaded_error", FailureClass::Unavailable),
    ("timeout_error", FailureClass::Timeout),
    ("api_error", FailureClass::Unavailable),
    ("not_found_error", FailureClass::BadRequest),
    ("request_too_large", FailureClass::BadRequest),
];

const ERRORS: Errors = Errors { provider: PROVIDER.name, reasons: REASONS };

fn build(document: &Value, access: &Access, net: &Net) -> Result<Box<dyn Llm>, BuildError> {
    let bad = |reason| BuildError::Options { kind: "Llm", name: PROVIDER.name.into(), reason };
    access.require_key("Llm", PROVIDER.name, PROVIDER.key_variable)?;
    let options = Options::from_document(document).map_err(bad)?;
    let url = address::endpoint(ADDRESS, access, &["v1", "messages"]).map_err(bad)?;
    let mut headers = key_header(KEY_HEADER, "", access.api_key.as_ref()).map_err(bad)?;
    headers.insert(VERSION_HEADER, HeaderValue::from_static(VERSION));
    let (net, url) = (net.clone(), address::http(url));
    Ok(Box::new(Messages {
        asking: Asking { net, errors: ERRORS, url, headers, answer_limit: None },
        options,
        learned: Learned::default(),
    }))
}

struct Messages {
    asking: Asking,
    options: Options,
    learned: Learned,
}

impl Llm for Messages {
    fn capabilities(&self) -> LlmCapabilities {
        LlmCapabilities { tools: true, assistant_prefill: self.options.prefills() }
    }

    fn model(&self) -> &str {
        self.options.model()
    }

    fn generate(&self, request: LlmRequest) -> Opening<LlmStream> {
        self.ask(request::body(&self.options, &request))
    }

    fn resume(&self, request: LlmRequest, said: &str) -> Opening<LlmStream> {
        if !self.options.prefills() {
            return self.generate(request.told_to_go_on(said));
        }
        self.ask(request::body(&self.options, &request).opened_with(said))
    }

    fn warm(&self) {
        self.asking.net.warm(&self.asking.url);
    }
}

impl Messages {
    fn ask(&self, body: Body) -> Opening<LlmStream> {
        let (asking, learned) = (self.asking.clone(), self.learned.clone());
        Box::pin(async move {
            Ok(match asking.open(body, &learned).await? {
                Opened::Answer(answer) => stream::start(answer, ERRORS, Reply::default()),
                Opened::Filtered => stream::filtered(),
            })
        })
    }
}
