//! What a call needs beside its own document: its assistant, the tools that this one names by id,
//! and the keys of its providers.
//!
//! Secrets go one way from here, in [`Credentials`]; the documents that go on have none.

mod credentials;

use std::collections::HashSet;

use axum::response::Response;
use offhook_api::{
    Credentials,
    secrets::{self, Scope},
    tool,
};
use offhook_store::Kind;
use serde_json::{Value, json};

use super::{App, reply, resources};

/// Why an assistant that a request brings has no limit.
const NO_LIMIT: &str = "assistant.concurrencyLimit should not exist: the calls of an assistant are counted \
                        by its id, so store the assistant and give assistantId";

/// What a call is started from; no document has secrets.
pub struct CallSetup {
    pub request: Value,
    /// The assistant before it is overridden.
    pub assistant: Value,
    /// The request's overrides, and the stored tools among those to append.
    pub overrides: Value,
    pub credentials: Credentials,
}

/// Tools that one assistant may name by id: models take no more (OpenAI: 128 a request).
const TOOL_IDS_MAX: usize = 128;

/// Gathers what a request for a call names.
///
/// # Errors
///
/// The answer to the request: every path that names what does not exist.
pub async fn gather(app: &App, org: &str, mut request: Value) -> Result<CallSetup, Response> {
    let mut origins = Origins::of(app, org, &request).await?;
    let mut problems = Vec::new();
    let tools = stored_tools(app, org, &origins, &mut problems).await?;
    origins.append(tools);
    let credentials = credentials::gather(app, org, &origins, &mut problems).await?;
    if !problems.is_empty() {
        return Err(reply::bad_request(problems));
    }
    let Origins { mut assistant, mut overrides, .. } = origins;
    for document in [&mut request, &mut assistant, &mut overrides] {
        secrets::redact(document, Scope::Lists);
    }
    Ok(CallSetup { request, assistant, overrides, credentials })
}

/// Where the fields of a call's assistant come from.
struct Origins {
    assistant: Value,
    /// The id of the assistant, where it is a stored one.
    stored: Option<String>,
    overrides: Value,
}

impl Origins {
    /// The assistant that a call names or brings, and its overrides.
    async fn of(app: &App, org: &str, request: &Value) -> Result<Self, Response> {
        let given = |field| request.get(field).filter(|value| !value.is_null());
        let overrides = given("assistantOverrides").cloned().unwrap_or_else(|| json!({}));
        match (given("assistantId").and_then(Value::as_str), given("assistant")) {
            (Some(id), _) => {
                let found = resources::find(app, org, Kind::Assistant, id).await?;
                let assistant = found.ok_or_else(|| {
                    reply::bad_request(vec![format!("assistantId {id} does not name an assistant")])
                })?;
                Ok(Self { assistant, stored: Some(id.to_owned()), overrides })
            }
            (None, Some(assistant)) => {
                if assistant.get("concurrencyLimit").is_some_and(|limit| !limit.is_null()) {
                    return Err(reply::bad_request(vec![NO_LIMIT.into()]));
                }
                Ok(Self { assistant: assistant.clone(), stored: None, overrides })
            }
            (None, None) => Err(reply::bad_request(vec![
                "assistantId or assistant must be given: a call needs an assistant".into(),
            ])),
        }
    }

    fn is_overridden(&self, field: &str) -> bool {
        self.overrides.get(field).is_some()
    }

    /// A field of the assistant as the call has it.
    fn field(&self, field: &str) -> Option<&Value> {
        let overriding = self.overrides.get(field);
        overriding.or_else(|| self.assistant.get(field)).filter(|value| !value.is_null())
    }

    /// Tells where something is, below a field of the assistant: `assistant.model.toolIds.0`.
    fn path(&self, field: &str, below: &str) -> String {
        let dot = if below.is_empty() { "" } else { "." };
        match &self.stored {
            _ if self.is_overridden(field) => format!("assistantOverrides.{field}{dot}{below}"),
            Some(id) => format!("{field}{dot}{below} of assistant {id}"),
            None => format!("assistant.{field}{dot}{below}"),
        }
    }

    /// Adds stored tools to those that the overrides append.
    fn append(&mut self, tools: Vec<Value>) {
        let Value::Object(overrides) = &mut self.overrides else { return };
        if tools.is_empty() {
            return;
        }
        if let Some(Value::Array(appended)) = overrides.get_mut("tools:append") {
            appended.extend(tools);
        } else {
            overrides.insert("tools:append".into(), Value::Array(tools));
        }
    }
}

/// The tools of `model.toolIds` and `model.toolRefs` that no tool of the document stands in for.
async fn stored_tools(
    app: &App,
    org: &str,
    origins: &Origins,
    problems: &mut Vec<String>,
) -> Result<Vec<Value>, Response> {
    let Some(model) = origins.field("model") else { return Ok(Vec::new()) };
    let list = |field: &str| {
        model.get(field).and_then(Value::as_array).map_or(&[][..], Vec::as_slice).iter().enumerate()
    };
    // A reference pins a version; of the two that name one tool it counts.
    let refs =
        list("toolRefs").map(|(index, pin)| (format!("toolRefs.{index}.toolId"), &pin["toolId"]));
    let ids = list("toolIds").map(|(index, id)| (format!("toolIds.{index}"), id));
    let mut seen = HashSet::new();
    let named: Vec<(String, &str)> = ids
        .chain(refs)
        .filter_map(|(path, id)| Some((path, id.as_str()?)))
        .filter(|(_, id)| seen.insert(*id))
        .collect();
    if named.len() > TOOL_IDS_MAX {
        let path = origins.path("model", "toolIds");
        problems.push(format!("{path} must contain no more than {TOOL_IDS_MAX} elements"));
        return Ok(Vec::new());
    }
    let mut tools = Vec::new();
    for (path, id) in named {
        match resources::find(app, org, Kind::Tool, id).await? {
            Some(found) => tools.push(found),
            None => {
                let path = origins.path("model", &path);
                problems.push(format!("{path}: {id} does not name a tool"));
            }
        }
    }
    let appended = origins.overrides.get("tools:append").unwrap_or(&Value::Null);
    Ok(tool::not_replaced(tools, model, appended))
}
