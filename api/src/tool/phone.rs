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
    Transfer(Box<Destination>),
    /// Sends the caller where the tool's server says.
    AskDestination,
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

/// Whether a tool's document asks for what can be done: of destinations that are named, one must be
/// such that a call can be sent there.
pub(super) fn is_usable(document: &Value) -> bool {
    match text(document, "type") {
        Some("transferCall") => {
            asks_for_destination(document) || !destinations(document).is_empty()
        }
        _ => true,
    }
}

/// Whether a transfer's document names nobody: its server is asked.
pub(super) fn asks_for_destination(document: &Value) -> bool {
    text(document, "type") == Some("transferCall") && list(document, "destinations").is_empty()
}

/// The arguments that a model gives, where the document does not say.
pub(super) fn parameters(document: &Value) -> Option<Value> {
    let (name, property) = match text(document, "type")? {
        "dtmf" if place_in(document, KEYS).is_some() => return None,
        "dtmf" => (
            "dtmf",
            json!({"type": "string", "description": "The keys: 0 to 9, *, #; w waits half a second."}),
        ),
        "transferCall" if asks_for_destination(document) => return None,
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
            "transferCall" if asks_for_destination(&self.document) => {
                Some(Ok(match given_number(&self.document, arguments) {
                    Some(number) => PhoneAction::Transfer(Box::new(Destination::number(&number))),
                    None => PhoneAction::AskDestination,
                }))
            }
            "transferCall" => {
                let chosen = chosen(&self.document, arguments);
                Some(chosen.map(|to| PhoneAction::Transfer(Box::new(to))))
            }
            _ => None,
        }
    }

    /// Whether what a transfer's destination has to say is still to be said once it is known which
    /// of them it is.
    pub fn leaves_message_to_destination(&self) -> bool {
        let is_transfer = text(&self.document, "type") == Some("transferCall");
        let has_own = self.document.get("messages").is_some_and(|own| !own.is_null());
        is_transfer && !has_own && announcement(&self.document).is_none()
    }
}

/// The number that the model gives by itself, where the tool's own schema has a place for one.
fn given_number(document: &Value, arguments: &Value) -> Option<String> {
    let place = place_in(document, &["destination", "phoneNumber", "number"])?;
    let number = arguments.get(place)?.as_str()?;
    is_e164(number).then(|| number.to_owned())
}

/// The first of these arguments that the tool's own schema has.
fn place_in<'p>(document: &Value, places: &[&'p str]) -> Option<&'p str> {
    let properties = document.get("function")?.get("parameters")?.get("properties")?;
    places.iter().copied().find(|place| properties.get(*place).is_some())
}

/// Arguments that keys are given in.
const KEYS: &[&str] = &["dtmf", "digits"];

/// E.164: a plus and 7 to 15 digits (ITU-T E.164, section 6).
fn is_e164(number: &str) -> bool {
    let digits = number.strip_prefix('+').unwrap_or_default();
    (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Longest sequence of keys: what Twilio takes.
const KEYS_MAX: usize = 32;

fn keys(arguments: &Value) -> Result<String, String> {
    let given = KEYS.iter().find_map(|place| arguments.get(*place)?.as_str());
    let given = given.unwrap_or_default();
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

/// Those that a caller can be sent to.
fn destinations(document: &Value) -> Vec<Destination> {
    list(document, "destinations").iter().filter_map(Destination::read).collect()
}

impl Destination {
    /// The number or the SIP address.
    pub fn address(&self) -> &str {
        match &self.to {
            Party::Number { number, .. } => number,
            Party::Sip { uri, .. } => uri,
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
    fn a_tool_s_own_schema_says_which_keys_there_are() {
        let schema = json!({"type": "object", "required": ["digits"],
            "properties": {"digits": {"type": "string", "enum": ["1ww2"]}}});
        let function = json!({"name": "press", "parameters": schema});
        let own = tool(json!({"type": "dtmf", "function": function})).unwrap();
        assert_eq!(own.spec.parameters, schema);
        let pressed = own.phone_action(&json!({"digits": "1ww2"})).unwrap();
        assert_eq!(pressed, Ok(PhoneAction::Press("1ww2".into())));
        let bare = json!({"name": "press", "parameters": {"type": "object", "properties": {}}});
        let ours = tool(json!({"type": "dtmf", "function": bare})).unwrap();
        assert!(ours.spec.parameters["properties"]["dtmf"].is_object());
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
        assert_eq!(*known, json!(["+1", "+2", "+3"]));
        let to = |arguments: Value| match tool.phone_action(&arguments).unwrap() {
            Ok(PhoneAction::Transfer(to)) => Some(to.address().to_owned()),
            Ok(PhoneAction::Press(_) | PhoneAction::AskDestination) | Err(_) => None,
        };
        assert_eq!(to(json!({"destination": "+2"})), Some("+2".into()));
        assert_eq!(to(json!({"destination": "+4"})), None);
        assert_eq!(to(json!({})), None);
    }

    #[test]
    fn a_transfer_that_goes_nowhere_is_not_offered() {
        let assistant = json!({"type": "assistant", "assistantName": "Ann"});
        assert!(tool(json!({"type": "transferCall", "destinations": [assistant]})).is_none());
    }

    #[test]
    fn a_transfer_that_names_nobody_asks_its_server_unless_the_model_may_name_a_number() {
        let asking = tool(json!({"type": "transferCall", "destinations": []})).unwrap();
        let action = |tool: &Tool, arguments: Value| tool.phone_action(&arguments).unwrap();
        let number = json!({"phoneNumber": "+14155550100"});
        assert_eq!(action(&asking, number.clone()), Ok(PhoneAction::AskDestination));
        let parameters =
            json!({"type": "object", "properties": {"phoneNumber": {"type": "string"}}});
        let naming =
            json!({"type": "transferCall", "function": {"name": "to", "parameters": parameters}});
        let naming = tool(naming).unwrap();
        assert_eq!(naming.spec.parameters, parameters);
        let to = Destination::number("+14155550100");
        assert_eq!(action(&naming, number), Ok(PhoneAction::Transfer(Box::new(to))));
        let other = json!({"phoneNumber": "the boss"});
        assert_eq!(action(&naming, other), Ok(PhoneAction::AskDestination));
    }

    #[test]
    fn what_only_one_destination_says_is_said_once_it_is_chosen() {
        let number = |number: &str, message: &str| json!({"type": "number", "number": number, "message": message});
        let with = |destinations: Value| {
            tool(json!({"type": "transferCall", "destinations": destinations})).unwrap()
        };
        let shared = with(json!([number("+1", "Bye"), number("+2", "Bye")]));
        assert!(!shared.leaves_message_to_destination());
        let different = with(json!([number("+1", "To sales"), number("+2", "To support")]));
        assert!(different.leaves_message_to_destination());
    }
}
