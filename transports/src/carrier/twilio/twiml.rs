//! Instructions for Twilio: what a call does next.
//!
//! Source: Twilio's documentation, pages "TwiML for Programmable Voice".

use std::time::Duration;

use quick_xml::{
    Reader, Writer,
    events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event},
};

/// Longest name and value of a stream's parameter together, in bytes.
const PARAMETER_BYTES_MAX: usize = 500;

/// Longest instructions that are taken of a user, in bytes: what Twilio takes in a webhook's answer.
const TWIML_BYTES_MAX: usize = 64 << 10;

/// Longest text that one `<Say>` may have, in characters.
const SAY_CHARS_MAX: usize = 4_096;

/// One instruction; they are carried out in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Verb {
    Say(Say),
    /// Plays a sound file once, or `times` times; 0 is for ever.
    Play {
        url: String,
        times: u32,
    },
    /// Sends keys to the other party; `w` is a pause of half a second.
    SendDigits(String),
    Pause(Duration),
    /// Connects the call's audio with us until we close the socket, or it breaks.
    Connect(Stream),
    Dial(Dial),
    /// Goes on with the instructions at another address.
    Redirect(String),
    Hangup,
    /// Instructions of a user's own, as [`check`] takes them.
    Own(String),
    /// Does not take the call: as the first instruction it costs nothing.
    Reject(RejectReason),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Say {
    pub text: String,
    /// Twilio's name of a voice, as `Polly.Joanna-Neural`.
    pub voice: Option<String>,
    /// As `en-US`.
    pub language: Option<String>,
}

impl Say {
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

/// `<Connect><Stream>`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// `wss://...`, without a query.
    pub url: String,
    /// Asked when the stream is over; its answer is what happens next. Without it the next
    /// instruction is.
    pub action: Option<String>,
    /// Told of `stream-started`, `stream-stopped` and `stream-error`.
    pub status_callback: Option<String>,
    /// Handed back in the stream's start.
    pub parameters: Vec<(String, String)>,
}

/// `<Dial>`: connects the call with another party.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dial {
    pub to: Vec<Party>,
    /// Asked when the other party is gone, or never came.
    pub action: Option<String>,
    /// How long it rings.
    pub timeout: Option<Duration>,
    pub caller_id: Option<String>,
    pub time_limit: Option<Duration>,
    /// The call counts as answered when the other party answers.
    pub answer_on_bridge: bool,
    /// A caller that presses * leaves the other party.
    pub hangup_on_star: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Party {
    Number {
        number: String,
        /// Dialled once the party answers.
        send_digits: Option<String>,
        /// Asked for what the party hears before the two are connected.
        url: Option<String>,
        status_callback: Option<String>,
    },
    Sip {
        uri: String,
        status_callback: Option<String>,
    },
    Conference(Conference),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conference {
    pub name: String,
    pub start_on_enter: bool,
    pub end_on_exit: bool,
    pub muted: bool,
    /// Asked for what is heard until the conference starts; an empty one is silence.
    pub wait_url: Option<String>,
    pub status_callback: Option<String>,
}

impl Conference {
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            start_on_enter: true,
            end_on_exit: false,
            muted: false,
            wait_url: None,
            status_callback: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectReason {
    Busy,
    Rejected,
}

/// Instructions that Twilio would not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TwimlError(String);

/// Writes a document.
///
/// # Errors
///
/// Names what Twilio would refuse.
pub fn write(verbs: &[Verb]) -> Result<String, TwimlError> {
    let mut xml = Xml { writer: Writer::new(Vec::new()) };
    xml.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
    xml.element("Response", &[], |xml| verbs.iter().try_for_each(|verb| xml.verb(verb)))?;
    String::from_utf8(xml.writer.into_inner()).map_err(|_| TwimlError("not UTF-8".into()))
}

/// Takes a user's own instructions, with or without `<Response>` around them.
///
/// # Errors
///
/// When they are too long, or no XML.
pub fn check(twiml: &str) -> Result<String, TwimlError> {
    if twiml.len() > TWIML_BYTES_MAX {
        return Err(TwimlError(format!("TwiML is longer than {TWIML_BYTES_MAX} bytes")));
    }
    let whole = match twiml.contains("<Response") {
        true => twiml.to_owned(),
        false => format!("<Response>{twiml}</Response>"),
    };
    let mut reader = Reader::from_str(&whole);
    let (mut depth, mut roots) = (0_u32, Vec::new());
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                if depth == 0 {
                    roots.push(start.name().as_ref().to_vec());
                }
                depth += 1;
            }
            Ok(Event::Empty(empty)) if depth == 0 => roots.push(empty.name().as_ref().to_vec()),
            // Whatever entities it declares are not worth their risk.
            Ok(Event::DocType(_)) => return Err(TwimlError("TwiML has a DOCTYPE".into())),
            Ok(Event::End(_)) => depth = depth.saturating_sub(1),
            Ok(Event::Eof) => break,
            Ok(
                Event::Empty(_)
                | Event::Text(_)
                | Event::CData(_)
                | Event::Comment(_)
                | Event::Decl(_)
                | Event::PI(_)
                | Event::GeneralRef(_),
            ) => {}
            Err(_) => {
                let at = reader.error_position();
                return Err(TwimlError(format!("TwiML is no XML: wrong at byte {at}")));
            }
        }
    }
    if depth > 0 || roots != [b"Response".to_vec()] {
        return Err(TwimlError("TwiML is not one <Response> with instructions in it".into()));
    }
    Ok(whole)
}

/// The only event of a dialled party that is told: the rest is asked with `action`.
const ANSWERED: &str = "answered";

struct Xml {
    writer: Writer<Vec<u8>>,
}

type Written = Result<(), TwimlError>;
type Attributes<'a> = [(&'a str, Option<String>)];

impl Xml {
    fn verb(&mut self, verb: &Verb) -> Written {
        match verb {
            Verb::Say(say) => {
                if say.text.chars().count() > SAY_CHARS_MAX {
                    let problem = format!("<Say> has more than {SAY_CHARS_MAX} characters");
                    return Err(TwimlError(problem));
                }
                let attributes = [("voice", say.voice.clone()), ("language", say.language.clone())];
                self.text("Say", &attributes, &say.text)
            }
            Verb::Play { url, times } => {
                let times = (*times != 1).then(|| times.to_string());
                self.text("Play", &[("loop", times)], url)
            }
            Verb::SendDigits(digits) => {
                let is_key = |key: char| matches!(key, '0'..='9' | '*' | '#' | 'w' | 'W');
                if digits.is_empty() || !digits.chars().all(is_key) {
                    return Err(TwimlError("digits must be 0-9, *, #, and w for a pause".into()));
                }
                self.element("Play", &[("digits", Some(digits.clone()))], |_| Ok(()))
            }
            Verb::Pause(length) => {
                self.element("Pause", &[("length", Some(seconds(*length)))], |_| Ok(()))
            }
            Verb::Connect(stream) => self.connect(stream),
            Verb::Dial(dial) => self.dial(dial),
            Verb::Redirect(url) => self.text("Redirect", &[("method", post())], url),
            Verb::Hangup => self.element("Hangup", &[], |_| Ok(())),
            Verb::Own(twiml) => self.own(twiml),
            Verb::Reject(reason) => {
                let reason = match reason {
                    RejectReason::Busy => "busy",
                    RejectReason::Rejected => "rejected",
                };
                self.element("Reject", &[("reason", Some(reason.into()))], |_| Ok(()))
            }
        }
    }

    fn connect(&mut self, stream: &Stream) -> Written {
        if !stream.url.starts_with("wss://") && !stream.url.starts_with("ws://") {
            return Err(TwimlError("a stream's url must begin with wss://".into()));
        }
        if stream.url.contains('?') {
            let problem = "a stream's url must have no query: use parameters";
            return Err(TwimlError(problem.into()));
        }
        if let Some((name, _)) = stream
            .parameters
            .iter()
            .find(|(name, value)| name.len() + value.len() > PARAMETER_BYTES_MAX)
        {
            return Err(TwimlError(format!(
                "the stream's parameter `{name}` is longer than {PARAMETER_BYTES_MAX} bytes"
            )));
        }
        let callback = stream.status_callback.clone();
        let callback_method = callback.as_ref().and_then(|_| post());
        let method = stream.action.as_ref().and_then(|_| post());
        let connect = [("action", stream.action.clone()), ("method", method)];
        let attributes = [
            ("url", Some(stream.url.clone())),
            ("statusCallback", callback),
            ("statusCallbackMethod", callback_method),
        ];
        self.element("Connect", &connect, |xml| {
            xml.element("Stream", &attributes, |xml| {
                stream.parameters.iter().try_for_each(|(name, value)| {
                    let parameter = [("name", Some(name.clone())), ("value", Some(value.clone()))];
                    xml.element("Parameter", &parameter, |_| Ok(()))
                })
            })
        })
    }

    fn dial(&mut self, dial: &Dial) -> Written {
        if dial.to.is_empty() {
            return Err(TwimlError("<Dial> has nobody to dial".into()));
        }
        let method = dial.action.as_ref().and_then(|_| post());
        let yes = |is: bool| is.then(|| "true".to_owned());
        let attributes = [
            ("action", dial.action.clone()),
            ("method", method),
            ("timeout", dial.timeout.map(seconds)),
            ("callerId", dial.caller_id.clone()),
            ("timeLimit", dial.time_limit.map(seconds)),
            ("answerOnBridge", yes(dial.answer_on_bridge)),
            ("hangupOnStar", yes(dial.hangup_on_star)),
        ];
        self.element("Dial", &attributes, |xml| {
            dial.to.iter().try_for_each(|party| xml.party(party))
        })
    }

    fn party(&mut self, party: &Party) -> Written {
        match party {
            Party::Number { number, send_digits, url, status_callback } => {
                let attributes = [
                    ("sendDigits", send_digits.clone()),
                    ("url", url.clone()),
                    ("statusCallback", status_callback.clone()),
                    ("statusCallbackEvent", status_callback.as_ref().map(|_| ANSWERED.into())),
                ];
                self.text("Number", &attributes, number)
            }
            Party::Sip { uri, status_callback } => {
                let attributes = [
                    ("statusCallback", status_callback.clone()),
                    ("statusCallbackEvent", status_callback.as_ref().map(|_| ANSWERED.into())),
                ];
                self.text("Sip", &attributes, uri)
            }
            Party::Conference(room) => {
                let callback = room.status_callback.clone();
                let events = callback.as_ref().map(|_| "start end join leave".to_owned());
                let attributes = [
                    ("startConferenceOnEnter", Some(room.start_on_enter.to_string())),
                    ("endConferenceOnExit", Some(room.end_on_exit.to_string())),
                    ("muted", room.muted.then(|| "true".to_owned())),
                    ("beep", Some("false".into())),
                    ("waitUrl", room.wait_url.clone()),
                    ("statusCallback", callback),
                    ("statusCallbackEvent", events),
                ];
                self.text("Conference", &attributes, &room.name)
            }
        }
    }

    /// Writes what is in the `<Response>` of a user's own.
    fn own(&mut self, twiml: &str) -> Written {
        let whole = check(twiml)?;
        let mut reader = Reader::from_str(&whole);
        let mut depth = 0_u32;
        loop {
            let event = reader.read_event().map_err(|_| TwimlError("TwiML is no XML".into()))?;
            match &event {
                Event::Eof => return Ok(()),
                Event::Start(_) => depth += 1,
                Event::End(_) => depth = depth.saturating_sub(1),
                Event::Empty(_)
                | Event::Text(_)
                | Event::CData(_)
                | Event::Comment(_)
                | Event::Decl(_)
                | Event::PI(_)
                | Event::DocType(_)
                | Event::GeneralRef(_) => {}
            }
            let is_start_of_root = matches!(event, Event::Start(_)) && depth == 1;
            if depth > 0 && !is_start_of_root {
                self.event(event);
            }
        }
    }

    fn element(
        &mut self,
        name: &str,
        attributes: &Attributes<'_>,
        inner: impl FnOnce(&mut Self) -> Written,
    ) -> Written {
        let mut start = BytesStart::new(name);
        for (name, value) in attributes {
            if let Some(value) = value {
                let value = printable(value);
                start.push_attribute((*name, value.as_str()));
            }
        }
        self.event(Event::Start(start));
        inner(self)?;
        self.event(Event::End(BytesEnd::new(name)));
        Ok(())
    }

    fn text(&mut self, name: &str, attributes: &Attributes<'_>, text: &str) -> Written {
        self.element(name, attributes, |xml| {
            xml.event(Event::Text(BytesText::new(&printable(text))));
            Ok(())
        })
    }

    fn event(&mut self, event: Event<'_>) {
        self.writer.write_event(event).expect("memory takes what is written");
    }
}

/// Without characters that XML 1.0 cannot hold, however they are escaped (section 2.2).
fn printable(text: &str) -> String {
    let is_char =
        |c: &char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}');
    text.chars().filter(is_char).collect()
}

/// Whole seconds, at least one.
fn seconds(time: Duration) -> String {
    time.as_millis().div_ceil(1_000).max(1).to_string()
}

fn post() -> Option<String> {
    Some("POST".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(verbs: &[Verb]) -> String {
        let written = write(verbs).unwrap();
        let inner = written
            .strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response>")
            .and_then(|rest| rest.strip_suffix("</Response>"));
        inner.unwrap_or_else(|| panic!("{written}")).to_owned()
    }

    fn stream() -> Stream {
        Stream {
            url: "wss://a.example/twilio/media".into(),
            action: Some("https://a.example/twilio/resume?call=1&n=2".into()),
            status_callback: None,
            parameters: vec![("token".into(), "a\"<b>&'c".into())],
        }
    }

    #[test]
    fn a_stream_has_its_action_its_parameters_and_a_way_on() {
        let verbs = [
            Verb::Connect(stream()),
            Verb::Redirect("https://a.example/twilio/resume?call=1&n=2".into()),
        ];
        assert_eq!(
            body(&verbs),
            "<Connect action=\"https://a.example/twilio/resume?call=1&amp;n=2\" method=\"POST\">\
             <Stream url=\"wss://a.example/twilio/media\">\
             <Parameter name=\"token\" value=\"a&quot;&lt;b&gt;&amp;&apos;c\"></Parameter>\
             </Stream></Connect><Redirect method=\"POST\">\
             https://a.example/twilio/resume?call=1&amp;n=2</Redirect>"
        );
    }

    #[test]
    fn what_is_said_is_escaped_and_loses_what_xml_cannot_hold() {
        let say = Say::new("Tom & \"Jerry\" </Say><Hangup/>\u{0}\u{B}");
        assert_eq!(
            body(&[Verb::Say(say)]),
            "<Say>Tom &amp; &quot;Jerry&quot; &lt;/Say&gt;&lt;Hangup/&gt;</Say>"
        );
    }

    #[test]
    fn parties_are_dialled_with_what_was_asked_for() {
        let number = Party::Number {
            number: "+14155550100".into(),
            send_digits: Some("ww12".into()),
            url: None,
            status_callback: None,
        };
        let sip = Party::Sip { uri: "sip:a@b.example".into(), status_callback: None };
        let dial = Dial {
            to: vec![number, sip],
            timeout: Some(Duration::from_millis(20_500)),
            caller_id: Some("+1".into()),
            ..Dial::default()
        };
        assert_eq!(
            body(&[Verb::Dial(dial)]),
            "<Dial timeout=\"21\" callerId=\"+1\"><Number sendDigits=\"ww12\">+14155550100\
             </Number><Sip>sip:a@b.example</Sip></Dial>"
        );
        let room = Conference { end_on_exit: true, ..Conference::new("c-1") };
        let dial = Dial { to: vec![Party::Conference(room)], ..Dial::default() };
        assert_eq!(
            body(&[Verb::Dial(dial)]),
            "<Dial><Conference startConferenceOnEnter=\"true\" endConferenceOnExit=\"true\" \
             beep=\"false\">c-1</Conference></Dial>"
        );
    }

    #[test]
    fn simple_instructions_are_short() {
        let verbs = [
            Verb::Reject(RejectReason::Busy),
            Verb::Pause(Duration::from_secs(2)),
            Verb::SendDigits("ww12#".into()),
            Verb::Play { url: "https://a.example/hold.mp3".into(), times: 0 },
            Verb::Hangup,
        ];
        assert_eq!(
            body(&verbs),
            "<Reject reason=\"busy\"></Reject><Pause length=\"2\"></Pause>\
             <Play digits=\"ww12#\"></Play>\
             <Play loop=\"0\">https://a.example/hold.mp3</Play><Hangup></Hangup>"
        );
    }

    #[test]
    fn what_twilio_would_refuse_is_refused_by_name() {
        let with = |change: fn(&mut Stream)| {
            let mut stream = stream();
            change(&mut stream);
            write(&[Verb::Connect(stream)]).unwrap_err().to_string()
        };
        assert!(with(|stream| stream.url = "https://a.example".into()).contains("wss://"));
        assert!(with(|stream| stream.url += "?token=1").contains("no query"));
        assert!(with(|stream| stream.parameters[0].1 = "x".repeat(500)).contains("`token`"));
        assert!(write(&[Verb::Dial(Dial::default())]).is_err());
        assert!(write(&[Verb::SendDigits("12a".into())]).is_err());
        assert!(write(&[Verb::Say(Say::new("x".repeat(4_097)))]).is_err());
    }

    #[test]
    fn a_users_own_instructions_stand_among_others() {
        for own in
            ["<Say>a &amp; b</Say><Pause/>", "<Response><Say>a &amp; b</Say><Pause/></Response>"]
        {
            let verbs = [Verb::Own(own.into()), Verb::Redirect("https://a.example".into())];
            assert_eq!(
                body(&verbs),
                "<Say>a &amp; b</Say><Pause/><Redirect method=\"POST\">https://a.example</Redirect>"
            );
        }
        assert!(write(&[Verb::Own("<Say>".into())]).is_err());
    }

    #[test]
    fn a_users_own_instructions_are_checked() {
        let whole = "<Response><Say>hi</Say></Response>";
        assert_eq!(check("<Say>hi</Say>").as_deref(), Ok(whole));
        assert_eq!(check(whole).as_deref(), Ok(whole));
        assert!(check(&format!("<?xml version=\"1.0\"?>\n{whole}")).is_ok());
        for bad in [
            "<Say>hi",
            "<Say>hi</Play>",
            "<Response/><Response/>",
            "</Response><Hangup/><Response>",
            "<!DOCTYPE x [<!ENTITY a \"b\">]><Response/>",
            &"x".repeat(70_000),
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
