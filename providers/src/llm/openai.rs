//! OpenAI's chat completions, and every endpoint that speaks them.
//!
//! A compatible vendor is one [`Vendor`] row in a file of its own, and one line in `llm.rs`:
//!
//! ```ignore
//! const VENDOR: Vendor = Vendor { name: "groq", address: "https://api.groq.com/openai/v1",
//!     key_variable: "GROQ_API_KEY", families: &[..], ..COMPATIBLE_VENDOR };
//! pub const PROVIDER: Provider = Provider { name: VENDOR.name, key_variable: VENDOR.key_variable,
//!     probe: openai::probe(&VENDOR), specimen: "",
//!     build: |options, access, net| openai::build_as(&VENDOR, options, access, net) };
//! ```

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::{Map, Value};
use url::Url;

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
pub(super) use families::{COMPATIBLE, Family, Prefill};
use options::Options;
pub(super) use options::Regions;
use reply::Reply;

mod families;
mod options;
mod reply;
mod request;
#[cfg(test)]
mod tests;
mod thoughts;
mod usage;
#[cfg(test)]
mod vendors;

/// An endpoint that speaks chat completions.
pub(super) struct Vendor {
    /// The value of `provider` in the document.
    pub name: &'static str,
    /// Its own address, with the path prefix before `/chat/completions`.
    pub address: &'static str,
    pub key_variable: &'static str,
    /// What its models refuse; the first row that fits a model counts.
    pub families: &'static [Family],
    /// What its errors mean, where they do not follow OpenAI's.
    pub reasons: Reasons,
    pub regions: Regions,
    /// Everyone runs their own: `address` is only where that usually is, a `base_url` has to say
    /// where this one is, and it may need no key.
    pub self_hosted: bool,
    /// The field of its `usage` that says what the reply cost in USD; empty where none does.
    pub cost_field: &'static str,
}

/// What a compatible vendor need not say.
pub(super) const COMPATIBLE_VENDOR: Vendor = Vendor {
    name: "",
    address: "",
    key_variable: "",
    families: &[COMPATIBLE],
    reasons: &[],
    regions: Regions::None,
    self_hosted: false,
    cost_field: "",
};

const VENDOR: Vendor = Vendor {
    name: "openai",
    address: "https://api.openai.com/v1",
    key_variable: "OPENAI_API_KEY",
    families: families::OPENAI,
    regions: Regions::AfterColon,
    ..COMPATIBLE_VENDOR
};

pub const PROVIDER: Provider = Provider {
    name: VENDOR.name,
    key_variable: VENDOR.key_variable,
    probe: probe(&VENDOR),
    specimen: r#"{"model": "gpt-5.4-mini"}"#,
    build,
};

/// Vendors have copied the list of models too. What runs on a server of one's own needs no key.
pub(super) const fn probe(vendor: &Vendor) -> Probe {
    let checks_key = !vendor.self_hosted;
    Probe::Resource(FreeResource { address: vendor.address, checks_key, ..BEARER })
}

/// Where a vendor is reached, and what comes with each request.
pub(super) struct Endpoint {
    pub url: Url,
    pub headers: HeaderMap,
    /// Fields of the body beside those of chat completions.
    pub fields: Map<String, Value>,
    /// Longest wait for an answer to begin; without one, that of whoever asks.
    pub answer_limit: Option<Duration>,
}

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
    if vendor.self_hosted && access.base_url.is_none() {
        let (name, address) = (vendor.name, vendor.address);
        return Err(bad(format!(
            "it has no address of its own: set providers.{name}.base_url to that of your server, \
             for example {address}"
        )));
    }
    access.require_key("Llm", vendor.name, vendor.key_variable)?;
    let url = address::endpoint(vendor.address, access, &["chat", "completions"]).map_err(bad)?;
    let headers = key_header(AUTHORIZATION, "Bearer ", access.api_key.as_ref()).map_err(bad)?;
    let endpoint = Endpoint { url, headers, fields: Map::new(), answer_limit: None };
    build_at(vendor, options, endpoint, net)
}

/// Sets up a vendor that is reached in a way of its own.
pub(super) fn build_at(
    vendor: &'static Vendor,
    options: &Value,
    endpoint: Endpoint,
    net: &Net,
) -> Result<Box<dyn Llm>, BuildError> {
    let bad = |reason| BuildError::Options { kind: "Llm", name: vendor.name.into(), reason };
    let options = Options::from_document(options, vendor.regions).map_err(bad)?;
    let Endpoint { url, headers, fields, answer_limit } = endpoint;
    let errors = Errors { provider: vendor.name, reasons: vendor.reasons };
    let (net, url) = (net.clone(), address::http(url));
    Ok(Box::new(ChatCompletions {
        asking: Asking { net, errors, url, headers, answer_limit },
        fields,
        cost_field: vendor.cost_field,
        family: families::find(vendor.families, options.model()),
        options,
        learned: Learned::default(),
    }))
}

struct ChatCompletions {
    asking: Asking,
    fields: Map<String, Value>,
    cost_field: &'static str,
    options: Options,
    family: &'static Family,
    learned: Learned,
}

impl Llm for ChatCompletions {
    fn capabilities(&self) -> LlmCapabilities {
        LlmCapabilities { tools: true, assistant_prefill: self.family.prefill != Prefill::No }
    }

    fn model(&self) -> &str {
        self.options.model()
    }

    fn generate(&self, request: LlmRequest) -> Opening<LlmStream> {
        self.ask(request::body(&self.options, self.family, &request, &self.fields))
    }

    fn resume(&self, request: LlmRequest, said: &str) -> Opening<LlmStream> {
        if self.family.prefill == Prefill::No {
            return self.generate(request.told_to_go_on(said));
        }
        let body = request::body(&self.options, self.family, &request, &self.fields);
        self.ask(body.begun_with(said, self.family.prefill))
    }

    fn warm(&self) {
        self.asking.net.warm(&self.asking.url);
    }
}

impl ChatCompletions {
    fn ask(&self, body: Body) -> Opening<LlmStream> {
        let (asking, learned) = (self.asking.clone(), self.learned.clone());
        let reply = Reply::new(self.asking.errors, self.cost_field);
        Box::pin(async move {
            Ok(match asking.open(body, &learned).await? {
                Opened::Answer(answer) => stream::start(answer, asking.errors, reply),
                Opened::Filtered => stream::filtered(),
            })
        })
    }
}
