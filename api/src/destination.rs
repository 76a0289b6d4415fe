//! Where a call is sent on to: the contract's `TransferDestinationNumber` and `...Sip`.

use serde_json::{Value, json};

use crate::{
    lenient::{self, text},
    transfer_plan::{TransferPlan, said},
};

/// Said to a caller before a transfer when the document says nothing else.
const MESSAGE_DEFAULT: &str = "Transferring the call now";

/// A party that is not an assistant.
#[derive(Clone, Debug, PartialEq)]
pub struct Destination {
    pub to: Party,
    /// Whom the other party sees; `None`: whoever the call comes from.
    pub caller_id: Option<String>,
    /// Said before the transfer; empty: nothing.
    pub message: String,
    pub plan: TransferPlan,
    /// As it was given.
    document: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Party {
    Number {
        number: String,
        /// Dialled once the number answers.
        extension: Option<String>,
    },
    Sip {
        uri: String,
        /// Sent along, by name.
        headers: Vec<(String, String)>,
    },
}

impl Destination {
    /// Reads a destination; `None` when it is an assistant, or names nobody.
    pub fn read(document: &Value) -> Option<Self> {
        let owned = |field| text(document, field).map(str::to_owned);
        let to = match text(document, "type")? {
            "number" => Party::Number { number: owned("number")?, extension: owned("extension") },
            "sip" => Party::Sip {
                uri: owned("sipUri")?,
                headers: headers(lenient::get(document, "sipHeaders")),
            },
            _ => return None,
        };
        let message = said(document.get("message")).unwrap_or_else(|| MESSAGE_DEFAULT.to_owned());
        let plan = TransferPlan::read(document.get("transferPlan").unwrap_or(&Value::Null));
        let document = document.clone();
        Some(Self { to, caller_id: owned("callerId"), message, plan, document })
    }

    /// A number without anything else said of it.
    pub fn number(number: &str) -> Self {
        let document = json!({"type": "number", "number": number});
        let to = Party::Number { number: number.to_owned(), extension: None };
        let (message, plan) = (MESSAGE_DEFAULT.to_owned(), TransferPlan::default());
        Self { to, caller_id: None, message, plan, document }
    }

    /// The destination as it was given, for those who are told of the transfer.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// The party, as a call's document names it.
    pub fn to_json(&self) -> Value {
        let mut document = match &self.to {
            Party::Number { number, extension } => {
                let mut document = json!({"type": "number", "number": number});
                if let Some(extension) = extension {
                    document["extension"] = json!(extension);
                }
                document
            }
            Party::Sip { uri, .. } => json!({"type": "sip", "sipUri": uri}),
        };
        if let Some(caller_id) = &self.caller_id {
            document["callerId"] = json!(caller_id);
        }
        document
    }
}

fn headers(given: Option<&Value>) -> Vec<(String, String)> {
    let fields = given.and_then(Value::as_object).into_iter().flatten();
    fields.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_with_its_extension_and_what_is_said_before() {
        let read =
            Destination::read(&json!({"type": "number", "number": "+4670", "extension": "12",
            "callerId": "+46701", "message": {"type": "custom-message",
            "contents": [{"type": "text", "text": "One moment", "language": "en"}]}}));
        let read = read.unwrap();
        let to = Party::Number { number: "+4670".into(), extension: Some("12".into()) };
        assert_eq!((read.to, read.caller_id.as_deref()), (to, Some("+46701")));
        assert_eq!((read.message.as_str(), read.plan), ("One moment", TransferPlan::default()));
    }

    #[test]
    fn an_empty_message_is_silence_and_none_is_the_default() {
        let read = |message: Value| {
            let document = json!({"type": "number", "number": "+4670", "message": message});
            Destination::read(&document).unwrap().message
        };
        assert_eq!(read(json!("")), "");
        assert_eq!(read(Value::Null), "Transferring the call now");
        assert_eq!(read(json!("Wait")), "Wait");
    }

    #[test]
    fn a_sip_address_is_a_destination_and_an_assistant_is_none() {
        let sip = json!({"type": "sip", "sipUri": "sip:a@b.example", "sipHeaders": {"X-A": "1"}});
        let to = Destination::read(&sip).unwrap().to;
        let headers = vec![("X-A".into(), "1".into())];
        assert_eq!(to, Party::Sip { uri: "sip:a@b.example".into(), headers });
        let assistant = json!({"type": "assistant", "assistantName": "a"});
        assert_eq!(Destination::read(&assistant), None);
    }
}
