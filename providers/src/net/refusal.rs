use offhook_core::FailureClass;
use serde_json::Value;

/// Longest text of a provider that is carried in an error, in characters: enough for its reason,
/// too short for a page of HTML.
const MESSAGE_CHARS_MAX: usize = 300;

/// Why a provider refused, as far as its answer says: the bodies of no two are alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The machine-readable reason: `code`, `err_code`, `status` or `type`.
    pub code: Option<String>,
    /// The parameter that is at fault.
    pub param: Option<String>,
    pub message: Option<String>,
}

impl Refusal {
    /// Reads a body: JSON in any of the known shapes, or text.
    pub fn from_body(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => Self::from_json(&value),
            Err(_) => {
                let text = String::from_utf8_lossy(body);
                Self { message: shortened(&text), ..Self::default() }
            }
        }
    }

    /// Reads an error out of JSON: `{error: {..}}`, `{error: ".."}`, `{detail: ..}`, a list of
    /// those, or the fields on their own.
    pub fn from_json(value: &Value) -> Self {
        let outer = value.get(0).unwrap_or(value);
        let inner = ["error", "detail", "message"]
            .iter()
            .filter_map(|name| outer.get(name))
            .find(|value| value.is_object() || value.is_array());
        let inner = inner.map(|value| value.get(0).unwrap_or(value)).unwrap_or(outer);
        let first = |names: &[&str]| {
            [inner, outer].iter().find_map(|object| names.iter().find_map(|n| text(object.get(n)?)))
        };
        Self {
            code: first(&["code", "err_code", "status", "type", "category"]),
            param: first(&["param"]),
            message: first(&["message", "err_msg", "msg", "error", "detail"]),
        }
    }

    /// What an error may say of it. A refused key may be quoted in the message: left out there.
    pub fn describe(&self, class: FailureClass) -> String {
        let message = match class {
            FailureClass::Unauthorized => None,
            FailureClass::Quota
            | FailureClass::RateLimited { .. }
            | FailureClass::BadRequest
            | FailureClass::Unavailable
            | FailureClass::Timeout
            | FailureClass::Closed
            | FailureClass::Stalled
            | FailureClass::Protocol
            | FailureClass::Unsupported => self.message.as_deref(),
        };
        let parts: Vec<&str> = self.code.as_deref().into_iter().chain(message).collect();
        parts.join(": ")
    }
}

/// Where a provider's JSON cannot be read; never what it says, for it may be a caller's words.
pub(crate) fn unreadable(error: &serde_json::Error) -> String {
    let (kind, line, column) = (error.classify(), error.line(), error.column());
    format!("sent what cannot be read ({kind:?} error at line {line} column {column})")
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => shortened(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// One line of bounded length; nothing when there is no text.
pub(crate) fn shortened(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line: String = words.join(" ").chars().take(MESSAGE_CHARS_MAX).collect();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> (String, String) {
        let refusal = Refusal::from_body(body.as_bytes());
        (refusal.code.unwrap_or_default(), refusal.message.unwrap_or_default())
    }

    #[test]
    fn the_reason_is_found_in_every_known_shape() {
        let quota = ("insufficient_quota".to_owned(), "pay".to_owned());
        for body in [
            r#"{"error":{"message":"pay","type":"x","param":null,"code":"insufficient_quota"}}"#,
            r#"{"error":"pay","code":"insufficient_quota"}"#,
            r#"[{"error":{"message":"pay","status":"insufficient_quota"}}]"#,
            r#"{"err_code":"insufficient_quota","err_msg":"pay","request_id":"r"}"#,
            r#"{"category":"insufficient_quota","message":"pay","details":"d"}"#,
            r#"{"detail":{"status":"insufficient_quota","message":"pay"}}"#,
            r#"{"detail":[{"loc":["body"],"msg":"pay","type":"insufficient_quota"}]}"#,
            r#"{"object":"error","message":"pay","type":"insufficient_quota"}"#,
        ] {
            assert_eq!(read(body), quota, "{body}");
        }
        assert_eq!(read(r#"{"detail":"Not Found"}"#).1, "Not Found");
        assert_eq!(read("upstream\n  gone").1, "upstream gone");
        assert_eq!(read(""), Default::default());
    }

    #[test]
    fn a_page_of_html_is_cut_short() {
        assert_eq!(read(&"<p> ".repeat(10_000)).1.chars().count(), MESSAGE_CHARS_MAX);
    }

    #[test]
    fn the_message_about_a_bad_key_is_not_repeated() {
        let body = br#"{"error":{"message":"Incorrect API key: sk-1","code":"invalid_api_key"}}"#;
        let refusal = Refusal::from_body(body);
        assert_eq!(refusal.describe(FailureClass::Unauthorized), "invalid_api_key");
        assert!(refusal.describe(FailureClass::BadRequest).contains("sk-1"));
    }
}
