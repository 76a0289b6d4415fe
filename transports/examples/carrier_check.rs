//! Answers, for `tests/sdk/carriers/signatures.py`, what our checks say of requests that carriers'
//! own clients signed: a JSON object a line in, a line out.

use std::io::{BufRead, stdin};

use std::time::Duration;

use carrier::{Conference, Dial, Party, RejectReason, Say, Stream, Verb};
use offhook_transports::{carrier::twilio as carrier, signature};
use serde_json::Value;

fn main() {
    for line in stdin().lock().lines() {
        let line = line.expect("standard input is text");
        let asked: Value = serde_json::from_str(&line).expect("each line is JSON");
        let answer = match asked["check"].as_str() {
            Some("twilio") => twilio(&asked),
            Some("telnyx") => telnyx(&asked),
            Some("vonage") => vonage(&asked),
            Some("twiml") => twiml(),
            Some("twiml_of") => twiml_of(&asked["verbs"]),
            Some(_) | None => "nothing to check".into(),
        };
        say(&answer);
    }
}

#[expect(clippy::print_stdout, reason = "it is what is asked for")]
fn say(answer: &str) {
    println!("{answer}");
}

fn verdict<T>(result: Result<T, impl ToString>) -> String {
    result.map_or_else(|error| format!("refused: {}", error.to_string()), |_| "valid".into())
}

fn twilio(asked: &Value) -> String {
    let pairs = |list: &Value| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        list.as_array().into_iter().flatten().map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
    };
    let shared = pairs(&asked["shared_keys"]);
    let form = asked["form"].as_str().map(|form| signature::twilio::parse_form(form.as_bytes()));
    let form = match form.transpose() {
        Ok(form) => form,
        Err(problem) => return format!("refused: {problem}"),
    };
    let body = match (asked["body"].as_str(), &form) {
        (Some(body), _) => signature::twilio::Body::Raw(body.as_bytes()),
        (None, Some(form)) => signature::twilio::Body::Form(form),
        (None, None) => signature::twilio::Body::None,
    };
    let request = signature::twilio::Request {
        public_url: asked["public_url"].as_str().unwrap_or_default(),
        path_and_query: asked["path"].as_str().unwrap_or_default(),
        signature: asked["signature"].as_str(),
        settings: asked["settings"].as_str(),
        body,
    };
    let auth_token = asked["auth_token"].as_str().unwrap_or_default();
    let keys = signature::twilio::Keys { auth_token, shared: &shared };
    verdict(signature::twilio::verify(keys, &request))
}

fn telnyx(asked: &Value) -> String {
    let key = signature::telnyx::PublicKey::parse(asked["key"].as_str().unwrap_or_default());
    let key = match key {
        Ok(key) => key,
        Err(error) => return format!("refused: {error}"),
    };
    let body = asked["body"].as_str().unwrap_or_default();
    verdict(signature::telnyx::verify(
        &key,
        asked["signature"].as_str(),
        asked["timestamp"].as_str(),
        body.as_bytes(),
        asked["now"].as_i64().unwrap_or_default(),
    ))
}

fn vonage(asked: &Value) -> String {
    let body = asked["body"].as_str().unwrap_or_default();
    verdict(signature::vonage::verify(
        asked["secret"].as_str().unwrap_or_default(),
        asked["authorization"].as_str(),
        body.as_bytes(),
        asked["now"].as_i64().unwrap_or_default(),
    ))
}

/// One of everything that we write.
fn twiml() -> String {
    let say = Say {
        text: "Tom & \"Jerry\" <b> é".into(),
        voice: Some("Polly.Joanna-Neural".into()),
        language: Some("en-US".into()),
    };
    let stream = Stream {
        url: "wss://a.example/twilio/media".into(),
        action: Some("https://a.example/twilio/resume?call=1&n=2".into()),
        status_callback: Some("https://a.example/twilio/stream".into()),
        parameters: vec![("callId".into(), "c-1".into()), ("token".into(), "a\"<&>'".into())],
    };
    let number = Party::Number {
        number: "+14155550100".into(),
        send_digits: Some("ww12".into()),
        url: Some("https://a.example/whisper".into()),
        status_callback: None,
    };
    let dial = |to, action: Option<&str>| Dial {
        to,
        action: action.map(str::to_owned),
        timeout: Some(Duration::from_secs(20)),
        caller_id: Some("+14155550101".into()),
        ..Dial::default()
    };
    let room = Conference { end_on_exit: true, ..Conference::new("c-1") };
    let verbs = [
        Verb::Reject(RejectReason::Busy),
        Verb::Say(say),
        Verb::Connect(stream),
        Verb::Dial(dial(vec![number], Some("https://a.example/dialled"))),
        Verb::Dial(dial(
            vec![Party::Sip { uri: "sip:a@b.example".into(), status_callback: None }],
            None,
        )),
        Verb::Dial(dial(vec![Party::Conference(room)], None)),
        Verb::Play { url: "https://a.example/hold.mp3".into(), times: 0 },
        Verb::SendDigits("ww12#".into()),
        Verb::Pause(Duration::from_secs(2)),
        Verb::Redirect("https://a.example/twilio/resume?call=1&n=2".into()),
        Verb::Hangup,
    ];
    carrier::twiml(&verbs).unwrap_or_else(|error| format!("refused: {error}"))
}

/// The instructions that are asked for.
fn twiml_of(verbs: &Value) -> String {
    let verbs: Vec<Verb> = verbs.as_array().into_iter().flatten().map(verb).collect();
    carrier::twiml(&verbs).unwrap_or_else(|error| format!("refused: {error}"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn maybe(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn verb(asked: &Value) -> Verb {
    let kind = asked["verb"].as_str().unwrap_or_default();
    match kind {
        "say" => Verb::Say(Say {
            text: text(&asked["text"]),
            voice: maybe(&asked["voice"]),
            language: maybe(&asked["language"]),
        }),
        "play" => Verb::Play {
            url: text(&asked["url"]),
            times: u32::try_from(asked["times"].as_u64().unwrap_or_default()).unwrap_or_default(),
        },
        "digits" => Verb::SendDigits(text(&asked["digits"])),
        "pause" => Verb::Pause(Duration::from_secs(asked["seconds"].as_u64().unwrap_or_default())),
        "redirect" => Verb::Redirect(text(&asked["url"])),
        "reject" if asked["reason"] == "busy" => Verb::Reject(RejectReason::Busy),
        "reject" => Verb::Reject(RejectReason::Rejected),
        "connect" => Verb::Connect(Stream {
            url: text(&asked["url"]),
            action: maybe(&asked["action"]),
            status_callback: maybe(&asked["callback"]),
            parameters: asked["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|pair| (text(&pair[0]), text(&pair[1])))
                .collect(),
        }),
        "number" | "sip" | "conference" => Verb::Dial(dial(kind, asked)),
        _ => Verb::Hangup,
    }
}

fn dial(kind: &str, asked: &Value) -> Dial {
    let party = match kind {
        "number" => Party::Number {
            number: text(&asked["to"]),
            send_digits: maybe(&asked["send_digits"]),
            url: maybe(&asked["url"]),
            status_callback: maybe(&asked["callback"]),
        },
        "sip" => Party::Sip { uri: text(&asked["to"]), status_callback: maybe(&asked["callback"]) },
        _ => Party::Conference(Conference {
            name: text(&asked["to"]),
            start_on_enter: asked["starts"] == true,
            end_on_exit: asked["ends"] == true,
            muted: asked["muted"] == true,
            wait_url: maybe(&asked["wait"]),
            status_callback: maybe(&asked["callback"]),
        }),
    };
    Dial {
        to: vec![party],
        action: maybe(&asked["action"]),
        timeout: asked["timeout"].as_u64().map(Duration::from_secs),
        caller_id: maybe(&asked["caller_id"]),
        time_limit: asked["time_limit"].as_u64().map(Duration::from_secs),
        answer_on_bridge: asked["answer_on_bridge"] == true,
        hangup_on_star: asked["hangup_on_star"] == true,
    }
}
