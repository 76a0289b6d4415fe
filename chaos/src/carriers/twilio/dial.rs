//! `<Dial>`: other people, and conferences.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{pin, select, sync::mpsc};

use super::{
    run::{Next, Runner, Way, order},
    twiml::Element,
    webhook::{StatusReports, fields_of, webhook},
};
use crate::carriers::{
    App,
    call::{Call, Instructions, Order, Parties, Rung, ring},
    line::{Sink, Source},
    webhooks,
};

/// How long it rings when nothing is said.
const TIMEOUT: Duration = Duration::from_secs(30);

pub async fn dial(runner: &mut Runner, verb: &Element) -> Way {
    let mut ended = Dialled { status: "failed", child: None, seconds: 0 };
    for party in &verb.children {
        ended = match party.name.as_str() {
            "Conference" => conference(runner, party).await?,
            _ => person(runner, verb, party).await?,
        };
        if ended.status == "completed" {
            break;
        }
    }
    let text = verb.text();
    if verb.children.is_empty() && !text.is_empty() {
        ended = person(runner, verb, &Element::of_text("Number", text)).await?;
    }
    runner.call.note(&runner.app, format!("dial {}", ended.status));
    let Some(action) = verb.get("action") else { return Ok(()) };
    let mut fields = vec![("DialCallStatus".to_owned(), ended.status.to_owned())];
    fields.push(("DialBridged".to_owned(), (ended.status == "completed").to_string()));
    if let Some(child) = ended.child {
        fields.push(("DialCallSid".to_owned(), child));
        fields.push(("DialCallDuration".to_owned(), ended.seconds.to_string()));
    }
    Err(Next::Ask(action.to_owned(), fields))
}

struct Dialled {
    status: &'static str,
    child: Option<String>,
    seconds: i64,
}

async fn person(runner: &mut Runner, verb: &Element, party: &Element) -> Way<Dialled> {
    let app = runner.app.clone();
    let to = party.text().to_owned();
    let parties = Parties {
        id: format!("CA{}", app.chance.id().replace('-', "")),
        carrier: "twilio",
        is_inbound: false,
        from: verb.get("callerId").unwrap_or(&runner.call.from).to_owned(),
        to: to.clone(),
        parent: Some(runner.call.id.clone()),
    };
    let failed = |child: Option<String>| Dialled { status: "failed", child, seconds: 0 };
    let Ok((child, orders)) = Call::new(&app, parties, app.persona(&to), "queued") else {
        return Ok(failed(None));
    };
    let mut reports = StatusReports {
        url: party.get("statusCallback").map(|url| runner.absolute(url)).unwrap_or_default(),
        events: match (party.get("statusCallback"), party.get("statusCallbackEvent")) {
            (None, _) => Vec::new(),
            (Some(_), None) => vec!["completed".into()],
            (Some(_), Some(events)) => events.split(' ').map(str::to_owned).collect(),
        },
        next: 0,
    };
    reports.report(&app, &child, "initiated", &[]);
    let limit = verb.number("timeout").map_or(TIMEOUT, Duration::from_secs);
    let ringing = ring(&child, limit, || {
        child.set_status("ringing");
        reports.report(&app, &child, "ringing", &[]);
    });
    let rung = match runner.wait(ringing).await {
        Ok(rung) => rung,
        Err(next) => {
            child.end("canceled", "the caller is gone");
            reports.report(&app, &child, "completed", &[]);
            return Err(next);
        }
    };
    let status = match rung {
        Rung::Answered => {
            child.set_status("in-progress");
            child.answer();
            reports.report(&app, &child, "answered", &[]);
            bridge(runner, &child, orders, party).await?;
            reports.report(&app, &child, "completed", &[]);
            "completed"
        }
        Rung::Busy | Rung::Rejected => "busy",
        Rung::NoAnswer => "no-answer",
        Rung::NotFound | Rung::Failed => "failed",
    };
    if rung != Rung::Answered {
        child.end(status, "not answered");
        reports.report(&app, &child, "completed", &[]);
    }
    let facts = child.facts();
    let seconds = facts.answered.map_or(0, |from| {
        facts.ended.unwrap_or_else(Timestamp::now).duration_since(from).as_secs()
    });
    Ok(Dialled { status, child: Some(child.id.clone()), seconds })
}

/// Connects the two until one of them is gone, or somebody has other plans for one of them.
async fn bridge(
    runner: &mut Runner,
    child: &Arc<Call>,
    orders: mpsc::Receiver<Order>,
    party: &Element,
) -> Way {
    let (app, call) = (runner.app.clone(), runner.call.clone());
    if let Some(digits) = party.get("sendDigits") {
        child.line.with_handset(|handset| handset.heard.keys.push_str(digits));
    }
    let mut other = Runner::new(&app, child, orders, None, None);
    if let Some(url) = party.get("url") {
        let url = runner.absolute(url);
        let whispered = {
            let whisper = other.whisper(url);
            runner.wait(whisper).await
        };
        match whispered {
            Ok(Ok(())) => {}
            Ok(Err(next)) => {
                let cause = format!("after the whisper: {next:?}");
                child.end("completed", &cause);
                return Ok(());
            }
            Err(next) => {
                child.end("completed", "the caller is gone");
                return Err(next);
            }
        }
    }
    let room = app.room(&child.id);
    for call in [&call, child] {
        room.enter(&call.id);
        let (source, sink) = (
            Source::Room(room.clone(), call.id.clone()),
            Sink::Room(room.clone(), call.id.clone()),
        );
        call.line.connect(source, sink);
    }
    call.note(&app, format!("connected with {}", child.id));
    let part = || {
        for call in [&call, child] {
            room.leave(&call.id);
            call.line.connect(Source::Silence, Sink::Nobody);
        }
        app.close_room(&child.id);
    };
    let until = runner.until;
    let theirs = {
        let theirs = order(&mut other.orders, other.until);
        pin!(theirs);
        select! {
            order = &mut theirs => Ok(order),
            order = order(&mut runner.orders, until) => Err(order),
        }
    };
    part();
    match theirs {
        Ok(Some(Order::Instructions(instructions))) => {
            // It goes on by itself.
            let next = match instructions {
                Instructions::Document(xml) => Next::Document(xml),
                Instructions::Url(url) => Next::Ask(url, Vec::new()),
            };
            tokio::spawn(other.run(next));
            Ok(())
        }
        Ok(Some(Order::HangUp | Order::PersonGone | Order::LeaveConference) | None) => {
            child.end("completed", "the person hung up");
            Ok(())
        }
        Err(order) => {
            child.end("completed", "the caller is gone");
            Err(runner.obey(order))
        }
    }
}

async fn conference(runner: &mut Runner, party: &Element) -> Way<Dialled> {
    let (app, call) = (runner.app.clone(), runner.call.clone());
    let name = party.text().to_owned();
    let room = app.room(&name);
    let id = call.id.clone();
    room.join(
        &id,
        party.is("startConferenceOnEnter", true),
        party.is("endConferenceOnExit", false),
        party.is("muted", false),
    );
    call.line.connect(Source::Room(room.clone(), id.clone()), Sink::Room(room.clone(), id.clone()));
    call.note(&app, format!("joins conference {name}"));
    let callback = party.get("statusCallback").map(|url| runner.absolute(url));
    report(&app, &call, callback.as_deref(), &name, "participant-join");
    let since = Timestamp::now();
    let ordered = order(&mut runner.orders, runner.until).await;
    let ends = room.leave(&id);
    call.line.connect(Source::Silence, Sink::Nobody);
    report(&app, &call, callback.as_deref(), &name, "participant-leave");
    if ends {
        for member in room.members() {
            // Somebody who is gone has left already.
            let _ = app.call(&member).map(|call| call.order(Order::LeaveConference));
        }
    }
    if room.members().is_empty() {
        app.close_room(&name);
        report(&app, &call, callback.as_deref(), &name, "conference-end");
    }
    match ordered {
        Some(Order::LeaveConference) => Ok(Dialled {
            status: "completed",
            child: None,
            seconds: Timestamp::now().duration_since(since).as_secs(),
        }),
        order => Err(runner.obey(order)),
    }
}

/// The id of a conference.
pub fn conference_sid(name: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
    let hex: String = digest.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("CF{hex}")
}

fn report(app: &App, call: &Call, url: Option<&str>, name: &str, event: &str) {
    let Some(url) = url else { return };
    let mut fields = fields_of(app, call);
    for (field, value) in [
        ("ConferenceSid", conference_sid(name)),
        ("FriendlyName", name.to_owned()),
        ("StatusCallbackEvent", event.to_owned()),
    ] {
        fields.push((field.to_owned(), value));
    }
    webhooks::call_back(app, webhook(app, url, &fields), |_| {});
}
