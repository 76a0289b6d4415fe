//! TwiML as Twilio reads it: a tree of elements.

use quick_xml::{
    Reader,
    escape::resolve_predefined_entity,
    events::{BytesStart, Event},
};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    pub name: String,
    attributes: Vec<(String, String)>,
    pub children: Vec<Element>,
    pub text: String,
}

impl Element {
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// An element with nothing but a text.
    pub fn of_text(name: &str, text: &str) -> Self {
        Self { name: name.into(), text: text.into(), ..Self::default() }
    }

    /// An attribute that is a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    pub fn is(&self, name: &str, otherwise: bool) -> bool {
        self.get(name).map_or(otherwise, |value| value == "true")
    }

    pub fn text(&self) -> &str {
        self.text.trim()
    }
}

/// The instructions of a document.
///
/// # Errors
///
/// With Twilio's error for a document that is none (12100).
pub fn parse(xml: &str) -> Result<Vec<Element>, String> {
    let wrong = |problem: String| format!("12100 document parse failure: {problem}");
    let mut reader = Reader::from_str(xml);
    let mut open: Vec<Element> = vec![Element::default()];
    loop {
        let event = reader.read_event().map_err(|error| wrong(error.to_string()))?;
        let top = open.last_mut().ok_or_else(|| wrong("too many ends".into()))?;
        match event {
            Event::Start(start) => open.push(element(&start).map_err(wrong)?),
            Event::Empty(empty) => top.children.push(element(&empty).map_err(wrong)?),
            Event::End(_) => {
                let done = open.pop().unwrap_or_default();
                match open.last_mut() {
                    Some(parent) => parent.children.push(done),
                    None => return Err(wrong("too many ends".into())),
                }
            }
            Event::Text(text) => {
                top.text.push_str(&text.decode().map_err(|error| wrong(error.to_string()))?);
            }
            Event::GeneralRef(reference) => {
                let name = reference.decode().map_err(|error| wrong(error.to_string()))?;
                let number = reference.resolve_char_ref();
                match (number, resolve_predefined_entity(&name)) {
                    (Ok(Some(char)), _) => top.text.push(char),
                    (_, Some(text)) => top.text.push_str(text),
                    (_, None) => return Err(wrong(format!("unknown entity {name}"))),
                }
            }
            Event::CData(text) => {
                top.text.push_str(&text.decode().map_err(|error| wrong(error.to_string()))?);
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            Event::Eof => break,
        }
    }
    let mut root = open.pop().unwrap_or_default();
    match root.children.pop() {
        Some(response) if open.is_empty() && response.name == "Response" => Ok(response.children),
        Some(_) | None => Err(wrong("the root is no <Response>".into())),
    }
}

fn element(start: &BytesStart<'_>) -> Result<Element, String> {
    let name = String::from_utf8_lossy(start.name().as_ref()).into_owned();
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let key = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
        let value = String::from_utf8_lossy(&attribute.value).into_owned();
        let value = quick_xml::escape::unescape(&value).map_err(|error| error.to_string())?;
        attributes.push((key, value.into_owned()));
    }
    Ok(Element { name, attributes, ..Element::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_a_list_of_instructions() {
        let verbs = parse(
            "<?xml version=\"1.0\"?><Response><!-- hi --><Connect action=\"/x?a=1&amp;b=2\">\
             <Stream url=\"wss://a\"><Parameter name=\"n\" value=\"&lt;&quot;&#65;\"/></Stream>\
             </Connect><Say>Tom &amp; &#74;erry <![CDATA[<b>]]></Say></Response>",
        )
        .unwrap();
        assert_eq!(verbs.len(), 2);
        assert_eq!(verbs[0].get("action"), Some("/x?a=1&b=2"));
        let parameter = &verbs[0].children[0].children[0];
        assert_eq!((parameter.get("name"), parameter.get("value")), (Some("n"), Some("<\"A")));
        assert_eq!(verbs[1].text(), "Tom & Jerry <b>");
    }

    #[test]
    fn what_is_no_document_is_a_parse_failure() {
        for bad in ["", "hello", "<Response>", "<Hangup/>", "<Response><Say></Response>", "{}"] {
            assert!(parse(bad).unwrap_err().starts_with("12100"), "{bad}");
        }
        assert_eq!(parse("<Response/>"), Ok(vec![]));
    }
}
