//! Tools that ask something of the carrier: they exist on phone calls alone.

use serde_json::{Value, json};

use super::{Tool, list};
use crate::{
    destination::{Destination, Party},
    lenient::text,
};

pub(super) const DTMF_NAME: &str = "dtmf";
pub(super) const TRANSFER_NAME: &str = "transferCall";

const DTMF_DESCRIPTION: &str =
    "Presses keys of the telephone, as a menu of the other side asks for.";
const TRANSFER_DESCRIPTION: &str =
    "Transfers the caller to somebody else, and ends your part of the call.";

/// Something that a tool asks of the carrier.
#[derive(Clone, Debug, PartialEq)]
pub enum PhoneAction {
    /// Presses keys; `w` is a pause of half a second.
    Press(String),
    Transfer(Destination),
}

/// What a tool of this type is called when its document does not say.
pub(super) fn default_name(kind: &str) -> Option<&'static str> {
    match kind {
        "dtmf" => Some(DTMF_NAME),
        "transferCall" => Some(TRANSFER_NAME),
        _ => None,
    }
}

pub(super) fn default_description(kind: &str) -> &'static str {
    match kind {
        "dtmf" => DTMF_DESCRIPTION,
        "transferCall" => TRANSFER_DESCRIPTION,
        _ => "",
    }
}

/// Whether a tool's document asks for what can be done: a transfer needs somebody to go to.
pub(super) fn is_usable(document: &Value) -> bool {
    match text(document, "type") {
        Some("transferCall") => !destinations(document).is_empty(),
        _ => true,
    }
}

/// The arguments that a model gives, where the document does not say.
pub(super) fn parameters(document: &Value) -> Option<Value> {
    let (name, property) = match text(document, "type")? {
        "dtmf" => (
            "dtmf",
            json!({"type": "string", "description": "The keys: 0 to 9, *, #; w waits half a second."}),
        ),
        "transferCall" => {
            let destinations = destinations(document);
            let names: Vec<&str> = destinations.iter().map(|to| to.address()).collect();
            let described: Vec<String> = list(document, "destinations")
                .iter()
                .filter_map(|given| {
                    let to = Destination::read(given)?;
                    Some(format!("{}: {}", to.address(), text(given, "description")?))
                })
                .collect();
            let mut property = json!({"type": "string", "enum": names});
            if !described.is_empty() {
                property["description"] = described.join("; ").into();
            }
            ("destination", property)
        }
        _ => return None,
    };
    Some(json!({"type": "object", "properties": {name: property}, "required": [name]}))
}

/// What is said before a transfer: what all of its destinations have in common.
pub(super) fn announcement(document: &Value) -> Option<String> {
    if text(document, "type") != Some("transferCall") {
        return None;
    }
    let destinations = destinations(document);
    let (first, rest) = destinations.split_first()?;
    let is_shared = rest.iter().all(|other| other.message == first.message);
    (is_shared && !first.message.is_empty()).then(|| first.message.clone())
}

impl Tool {
    /// Whether the tool exists on phone calls alone.
    pub fn needs_phone(&self) -> bool {
        matches!(text(&self.document, "type"), Some("dtmf" | "transferCall"))
    }

    /// What a call of it asks of the carrier; `None`: it asks nothing.
    ///
    /// # Errors
    ///
    /// Tells the model what is wrong with its arguments.
    pub fn phone_action(&self, arguments: &Value) -> Option<Result<PhoneAction, String>> {
        match text(&self.document, "type")? {
            "dtmf" => Some(keys(arguments).map(PhoneAction::Press)),
            "transferCall" => Some(chosen(&self.document, arguments).map(PhoneAction::Transfer)),
            _ => None,
        }
    }
}

/// Longest sequence of keys: what Twilio takes.
const KEYS_MAX: usize = 32;

fn keys(arguments: &Value) -> Result<String, String> {
    let given = arguments.get("dtmf").or_else(|| arguments.get("digits"));
    let given = given.and_then(Value::as_str).unwrap_or_default();
    let keys: String = given.chars().filter(|key| !matches!(key, ' ' | '-')).collect();
    let keys = keys.replace(',', "w");
    let is_key = |key: char| matches!(key, '0'..='9' | '*' | '#' | 'w' | 'W');
    if keys.is_empty() || keys.len() > KEYS_MAX || !keys.chars().all(is_key) {
        return Err(format!("dtmf must be 1 to {KEYS_MAX} of 0-9, *, # and w for a pause"));
    }
    Ok(keys)
}

fn chosen(document: &Value, arguments: &Value) -> Result<Destination, String> {
    let destinations = destinations(document);
    let wanted = arguments.get("destination").and_then(Value::as_str);
    let found = match (wanted, destinations.as_slice()) {
        (None, [only]) => Some(only),
        (wanted, several) => several.iter().find(|to| wanted == Some(to.address())),
    };
    found.cloned().ok_or_else(|| {
        let names: Vec<&str> = destinations.iter().map(Destination::address).collect();
        format!("destination must be one of: {}", names.join(", "))
    })
}

/// Those that a caller can be sent to without anybody being asked first.
fn destinations(document: &Value) -> Vec<Destination> {
    let read = list(document, "destinations").iter().filter_map(Destination::read);
    read.filter(|to| to.is_blind()).collect()
}

impl Destination {
    /// The number or the SIP address.
    pub fn address(&self) -> &str {
        match &self.to {
            Party::Number { number, .. } => number,
            Party::Sip { uri, .. } => uri,
        }
    }

    /// Whether the caller is sent there without the other party being asked first.
    pub fn is_blind(&self) -> bool {
        match self.plan.get("mode").and_then(Value::as_str) {
            None => true,
            Some(mode) => mode == "blind-transfer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::read_all;

    fn tool(document: Value) -> Option<Tool> {
        read_all(&json!({"tools": [document]}), false, None).0.pop()
    }

    #[test]
    fn keys_are_pressed_as_the_model_says() {
        let tool = tool(json!({"type": "dtmf"})).unwrap();
        assert_eq!(tool.spec.name, "dtmf");
        assert!(tool.needs_phone());
        let press = |keys: &str| tool.phone_action(&json!({"dtmf": keys})).unwrap();
        assert_eq!(press("1, 2#"), Ok(PhoneAction::Press("1w2#".into())));
        assert!(press("x").is_err() && press("").is_err() && press(&"1".repeat(33)).is_err());
    }

    #[test]
    fn a_transfer_goes_to_one_of_the_destinations() {
        let number = |number: &str| json!({"type": "number", "number": number, "message": "Bye"});
        let warm = json!({"type": "number", "number": "+3",
            "transferPlan": {"mode": "warm-transfer-say-message"}});
        let document =
            json!({"type": "transferCall", "destinations": [number("+1"), number("+2"), warm]});
        let tool = tool(document).unwrap();
        let known = &tool.spec.parameters["properties"]["destination"]["enum"];
        assert_eq!(*known, json!(["+1", "+2"]));
        let to = |arguments: Value| match tool.phone_action(&arguments).unwrap() {
            Ok(PhoneAction::Transfer(to)) => Some(to.address().to_owned()),
            Ok(PhoneAction::Press(_)) | Err(_) => None,
        };
        assert_eq!(to(json!({"destination": "+2"})), Some("+2".into()));
        assert_eq!(to(json!({"destination": "+3"})), None);
        assert_eq!(to(json!({})), None);
    }

    #[test]
    fn a_transfer_that_goes_nowhere_is_not_offered() {
        assert!(tool(json!({"type": "transferCall", "destinations": []})).is_none());
        let assistant = json!({"type": "assistant", "assistantName": "Ann"});
        assert!(tool(json!({"type": "transferCall", "destinations": [assistant]})).is_none());
    }
}
