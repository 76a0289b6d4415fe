//! What Twilio tells us, in forms.
//!
//! Source: Twilio's documentation, pages "TwiML Voice" and "Call Resource", status callbacks.

use crate::carrier::{AnsweredBy, Ending, Step};

/// A form of Twilio's, whose signature was checked.
#[derive(Clone, Copy)]
pub struct Form<'a>(pub &'a [(String, String)]);

impl<'a> Form<'a> {
    /// The first value of a field; nothing when it is empty.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let field = self.0.iter().find(|(known, _)| known == name);
        field.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// # Errors
    ///
    /// Names the field that is missing.
    pub fn require(&self, name: &'static str) -> Result<&'a str, String> {
        self.get(name).ok_or_else(|| format!("the form has no `{name}`"))
    }

    /// Where a status callback stands among those of its call: they may come in any order.
    pub fn sequence(&self) -> Option<u64> {
        self.get("SequenceNumber")?.parse().ok()
    }

    /// Headers that came with a call over SIP.
    pub fn sip_headers(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix("SipHeader_")?, value.as_str())))
    }
}

/// How far a call has come, as `CallStatus` and what stands beside it say. A status that is not
/// known says nothing.
pub fn step_of(form: &Form<'_>) -> Option<Step> {
    Some(match form.get("CallStatus")? {
        "queued" | "initiated" => Step::Dialling,
        "ringing" => Step::Ringing,
        "in-progress" | "answered" => Step::Answered,
        "completed" => Step::Ended(Ending::Completed),
        "busy" => Step::Ended(Ending::Busy),
        "no-answer" => Step::Ended(Ending::NoAnswer),
        "canceled" => Step::Ended(Ending::Canceled),
        "failed" => Step::Ended(failure(form)),
        _ => return None,
    })
}

/// A number that does not exist is told by the code of its SIP answer (RFC 3261, section 21), or
/// by Twilio's error.
fn failure(form: &Form<'_>) -> Ending {
    const NO_SUCH_NUMBER: &[&str] = &["404", "410", "484", "485", "604"];
    const INVALID_NUMBER: &[&str] = &["13224", "21211", "21214", "21217", "32203"];
    let is_in = |field: &str, codes: &[&str]| form.get(field).is_some_and(|c| codes.contains(&c));
    match is_in("SipResponseCode", NO_SUCH_NUMBER) || is_in("ErrorCode", INVALID_NUMBER) {
        true => Ending::Misdialed,
        false => Ending::Failed,
    }
}

/// `AnsweredBy` of a status callback, a voice webhook, or the callback of asynchronous detection.
pub fn answered_by(form: &Form<'_>) -> Option<AnsweredBy> {
    Some(match form.get("AnsweredBy")? {
        "human" => AnsweredBy::Human,
        "fax" => AnsweredBy::Fax,
        "machine_start" => AnsweredBy::Machine { greeting_is_over: false },
        "machine_end_beep" | "machine_end_silence" | "machine_end_other" => {
            AnsweredBy::Machine { greeting_is_over: true }
        }
        _ => AnsweredBy::Unknown,
    })
}

/// What the status callback of a stream says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEvent {
    Started,
    Stopped,
    /// With Twilio's reason.
    Failed(String),
}

impl StreamEvent {
    pub fn of(form: &Form<'_>) -> Option<Self> {
        Some(match form.get("StreamEvent")? {
            "stream-started" => Self::Started,
            "stream-stopped" => Self::Stopped,
            "stream-error" => Self::Failed(form.get("StreamError").unwrap_or_default().into()),
            _ => return None,
        })
    }
}

/// How a `<Dial>` ended, as its action is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialEnd {
    /// The two were connected, and one of them hung up.
    Completed,
    Busy,
    NoAnswer,
    Failed,
    Canceled,
}

impl DialEnd {
    pub fn of(form: &Form<'_>) -> Option<Self> {
        Some(match form.get("DialCallStatus")? {
            "completed" | "answered" => Self::Completed,
            "busy" => Self::Busy,
            "no-answer" => Self::NoAnswer,
            "canceled" => Self::Canceled,
            "failed" => Self::Failed,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn each_status_is_a_step() {
        let ended = |ending| Some(Step::Ended(ending));
        for (fields, expected) in [
            (&[("CallStatus", "queued")][..], Some(Step::Dialling)),
            (&[("CallStatus", "initiated")], Some(Step::Dialling)),
            (&[("CallStatus", "ringing")], Some(Step::Ringing)),
            (&[("CallStatus", "in-progress")], Some(Step::Answered)),
            (&[("CallStatus", "completed")], ended(Ending::Completed)),
            (&[("CallStatus", "busy")], ended(Ending::Busy)),
            (&[("CallStatus", "no-answer")], ended(Ending::NoAnswer)),
            (&[("CallStatus", "canceled")], ended(Ending::Canceled)),
            (&[("CallStatus", "failed")], ended(Ending::Failed)),
            (&[("CallStatus", "failed"), ("SipResponseCode", "503")], ended(Ending::Failed)),
            (&[("CallStatus", "failed"), ("SipResponseCode", "404")], ended(Ending::Misdialed)),
            (&[("CallStatus", "failed"), ("ErrorCode", "13224")], ended(Ending::Misdialed)),
            (&[("CallStatus", "dreaming")], None),
            (&[("CallStatus", "")], None),
            (&[], None),
        ] {
            assert_eq!(step_of(&Form(&form(fields))), expected, "{fields:?}");
        }
    }

    #[test]
    fn who_answered_is_read() {
        let by = |who| answered_by(&Form(&form(&[("AnsweredBy", who)])));
        assert_eq!(by("human"), Some(AnsweredBy::Human));
        assert_eq!(by("machine_start"), Some(AnsweredBy::Machine { greeting_is_over: false }));
        assert_eq!(by("machine_end_beep"), Some(AnsweredBy::Machine { greeting_is_over: true }));
        assert_eq!(by("fax"), Some(AnsweredBy::Fax));
        assert_eq!(by("martian"), Some(AnsweredBy::Unknown));
        assert_eq!(by(""), None);
    }

    #[test]
    fn streams_dials_and_sequences_are_read() {
        let fields = form(&[
            ("StreamEvent", "stream-error"),
            ("StreamError", "31921"),
            ("DialCallStatus", "no-answer"),
            ("SequenceNumber", "3"),
            ("SipHeader_X-Id", "7"),
        ]);
        let form = Form(&fields);
        assert_eq!(StreamEvent::of(&form), Some(StreamEvent::Failed("31921".into())));
        assert_eq!(DialEnd::of(&form), Some(DialEnd::NoAnswer));
        assert_eq!(form.sequence(), Some(3));
        assert_eq!(form.sip_headers().collect::<Vec<_>>(), [("X-Id", "7")]);
        assert_eq!(form.require("CallSid"), Err("the form has no `CallSid`".into()));
    }
}
