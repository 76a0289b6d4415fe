//! An operator's own model, at an address that the assistant's document gives: any server that
//! speaks chat completions. It may need no key.

use std::{collections::BTreeMap, time::Duration};

use reqwest::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue,
    TRANSFER_ENCODING,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use super::{
    Llm, Provider,
    openai::{self, COMPATIBLE_VENDOR, Endpoint, Vendor},
};
use crate::{
    Access, BuildError, Net,
    net::{address, socket::key_header},
    probe::Probe,
};

pub(super) const VENDOR: Vendor = Vendor { name: "custom-llm", ..COMPATIBLE_VENDOR };

pub const PROVIDER: Provider = Provider {
    name: VENDOR.name,
    key_variable: VENDOR.key_variable,
    probe: Probe::Document,
    specimen: "",
    build,
};

/// The contract's default of `timeoutSeconds`.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// The contract's highest `timeoutSeconds`.
const ANSWER_LIMIT_MAX: Duration = Duration::from_secs(300);

/// The path below the address; an address that has it already is taken as it stands.
const PATH: [&str; 2] = ["chat", "completions"];

/// Headers that are not the document's to set: they frame the request.
const RESERVED: [HeaderName; 4] = [CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING];

/// What of the document's `model` is this provider's own.
///
/// Not acted on here: `wordLevelConfidenceEnabled`, for the conversation keeps no confidences.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Options {
    url: String,
    headers: BTreeMap<String, String>,
    metadata_send_mode: SendMode,
    timeout_seconds: Option<f64>,
    /// `call`, `phoneNumber`, `customer` and `metadata` (the assistant's) of the running call. No
    /// field of the contract: whoever starts the call puts it there.
    call_context: Map<String, Value>,
}

/// How the server is told of the call.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum SendMode {
    Off,
    /// The metadata in a field of its own.
    #[default]
    Variable,
    /// The fields of the metadata among those of the body.
    Destructured,
}

fn build(document: &Value, access: &Access, net: &Net) -> Result<Box<dyn Llm>, BuildError> {
    let bad = |reason| BuildError::Options { kind: "Llm", name: VENDOR.name.into(), reason };
    let endpoint = endpoint(document, access).map_err(bad)?;
    if access.base_url.is_some() {
        return openai::build_at(&VENDOR, document, endpoint, net);
    }
    let net = net.for_document(&endpoint.url).map_err(bad)?;
    openai::build_at(&VENDOR, document, endpoint, &net)
}

fn endpoint(document: &Value, access: &Access) -> Result<Endpoint, String> {
    let options = Options::deserialize(document).map_err(|error| error.to_string())?;
    let mut headers = headers(&options.headers)?;
    if access.base_url.is_some() {
        // The operator's key is for the operator's address alone: a document may name any.
        headers.extend(key_header(AUTHORIZATION, "Bearer ", access.api_key.as_ref())?);
    }
    Ok(Endpoint {
        url: url(&options.url, access)?,
        headers,
        answer_limit: Some(answer_limit(options.timeout_seconds)),
        fields: fields(options),
    })
}

fn url(url: &str, access: &Access) -> Result<Url, String> {
    let expected = "expected an address such as https://models.example/v1";
    let parsed =
        Url::parse(url).map_err(|error| format!("url is no address ({error}), {expected}"))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(format!("url has scheme `{}`, {expected}", parsed.scheme()));
    }
    let is_whole = parsed.path().trim_end_matches('/').ends_with(&PATH.join("/"));
    match &access.base_url {
        None if is_whole => Ok(parsed),
        None => {
            // An address without a path has no prefix to take over.
            let access = Access { api_key: None, base_url: Some(url.to_owned()) };
            address::endpoint("https://localhost", &access, &PATH)
        }
        // The operator's gateway stands for all of them.
        Some(_) => address::endpoint("https://localhost", access, &PATH),
    }
}

fn headers(given: &BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let parsed = HeaderName::try_from(name)
            .map_err(|_| format!("headers has `{name}`, which is no name of a header"))?;
        if RESERVED.contains(&parsed) {
            tracing::debug!(header = name, "header of a custom-llm left out");
            continue;
        }
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| format!("headers.{name} has characters that no header can hold"))?;
        value.set_sensitive(true);
        headers.insert(parsed, value);
    }
    Ok(headers)
}

fn answer_limit(seconds: Option<f64>) -> Duration {
    seconds
        .filter(|seconds| *seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .map_or(ANSWER_LIMIT, |limit| limit.min(ANSWER_LIMIT_MAX))
}

/// What the server is told of the call, beside what every model is told.
fn fields(options: Options) -> Map<String, Value> {
    let mut context = options.call_context;
    match options.metadata_send_mode {
        SendMode::Off => Map::new(),
        SendMode::Variable => context,
        SendMode::Destructured => {
            if let Some(Value::Object(metadata)) = context.shift_remove("metadata") {
                for (name, value) in metadata {
                    context.entry(name).or_insert(value);
                }
            }
            context
        }
    }
}

#[cfg(test)]
mod tests;
