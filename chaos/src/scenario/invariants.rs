//! What must hold after every run, whatever was broken.

use std::collections::{HashMap, HashSet};

use offhook_core::Stage;

use super::{
    fault::Fault,
    phrases::{GREETING, TOOL_FAILED, TOOL_WORKED},
    plan::{Doing, Ending, Plan},
    words::{Compared, Stretch, compare},
    world::{CallRan, Ran, TOOL_START},
};

/// What a call came to, beside what it should have been.
pub struct Judged {
    /// What the caller heard of the agent.
    pub agent: Compared,
    /// What the conversation has of the caller.
    pub caller: Compared,
    /// Events of it that came after a later one.
    pub out_of_order: usize,
}

/// Words of fillers, which may be said wherever something takes its time.
const FILLER_WORDS: &[&str] =
    &["One", "moment,", "please.", "I", "am", "still", "here,", "just", "a", "moment."];

/// What the assistant says when a stage has failed for good, if it can still speak.
const APOLOGY: &str = "I am sorry, something went wrong on our side. Please call again later.";

/// Compares every call with its script.
pub fn judge(ran: &Ran) -> Vec<Judged> {
    ran.calls.iter().map(|call| judged(ran, call)).collect()
}

/// What was not as it must be; empty where all is well.
pub fn broken(ran: &Ran, judged: &[Judged]) -> Vec<String> {
    let mut broken = ran.broken.clone();
    for (call, judged) in ran.calls.iter().zip(judged) {
        let nth = call.nth;
        let mut must = |holds: bool, what: String| {
            if !holds {
                broken.push(format!("call {nth}: {what}"));
            }
        };
        let reason = call.record["endedReason"].as_str().unwrap_or_default();
        must(call.record["status"] == "ended", format!("its status is {}", call.record["status"]));
        must(fits(reason, ran.plan.ending), format!("it ended with `{reason}`"));
        for (kind, words, list) in [
            ("agent", "lost", &judged.agent.lost),
            ("agent", "heard that nobody should have said", &judged.agent.foreign),
            ("caller", "lost", &judged.caller.lost),
            ("caller", "understood twice", &judged.caller.repeated),
            ("caller", "understood that nobody said", &judged.caller.foreign),
        ] {
            let count = list.len();
            must(
                list.is_empty(),
                format!("{count} words of the {kind} {words}: {}", list.join(" ")),
            );
        }
        let twice = &judged.agent.repeated;
        must(
            twice.len() <= ran.plan.seam_words,
            format!("{} words of the agent heard twice: {}", twice.len(), twice.join(" ")),
        );
        for complaint in &call.heard.complaints {
            must(false, format!("on the wire: {complaint}"));
        }
        let ends = ends(ran, call);
        let same = ends.iter().all(|(_, end)| end == reason);
        let kinds: Vec<_> = ends.iter().map(|(kind, _)| kind.as_str()).collect();
        must(
            same && kinds == ["status-update", "end-of-call-report"],
            format!("its end was reported as {ends:?}"),
        );
        must(judged.out_of_order == 0, format!("{} events out of order", judged.out_of_order));
    }
    for (id, runs) in &ran.tool_runs {
        if *runs > 1 && !retries_tools(&ran.plan) {
            broken.push(format!("the tool run {id} was asked for {runs} times"));
        }
    }
    broken
}

/// A tool whose executor died in mid-request is asked again, with the same id.
fn retries_tools(plan: &Plan) -> bool {
    plan.faults.iter().any(|timed| matches!(timed.fault, Fault::Tool(_)))
}

fn judged(ran: &Ran, call: &CallRan) -> Judged {
    let heard: Vec<_> = call.words.iter().map(|word| word.text.as_str()).collect();
    let agent = compare(&expected(&ran.plan), &heard, FILLER_WORDS);
    let transcript = call.record["artifact"]["transcript"].as_str().unwrap_or_default();
    let understood: Vec<_> = transcript
        .lines()
        .filter_map(|line| line.strip_prefix("User: "))
        .flat_map(str::split_whitespace)
        .collect();
    let caller = compare(&said(&ran.plan), &understood, &[]);
    Judged { agent, caller, out_of_order: out_of_order(ran, call) }
}

/// What the caller should hear.
fn expected(plan: &Plan) -> Vec<Stretch> {
    let is_broken_off = matches!(plan.ending, Ending::Apology(_) | Ending::LegLost | Ending::Any);
    let mut stretches = vec![Stretch { text: GREETING.into(), may_be_cut: is_broken_off }];
    for (nth, doing) in plan.caller.iter().enumerate() {
        let Some(exchange) = doing.exchange() else { continue };
        let next = plan.caller.get(nth + 1);
        let is_interrupted = matches!(next, Some(Doing::Interrupt { .. }));
        let may_be_cut = is_interrupted || is_broken_off;
        if *doing == Doing::AskForTool {
            stretches.push(Stretch { text: TOOL_START.into(), may_be_cut });
        }
        let text = match (doing, plan.ending) {
            (Doing::AskForTool, Ending::ToolFailed) => TOOL_FAILED,
            (Doing::AskForTool, _) => TOOL_WORKED,
            (Doing::Ask(_) | Doing::Interrupt { .. } | Doing::Wait(_), _) => exchange.answer,
        };
        stretches.push(Stretch { text: text.into(), may_be_cut });
    }
    match plan.ending {
        Ending::Apology(Stage::Transcriber | Stage::Model) => {
            stretches.push(Stretch::whole(APOLOGY));
        }
        // It was said beforehand, if there was time for that.
        Ending::Apology(Stage::Voice) => {
            stretches.push(Stretch { text: APOLOGY.into(), may_be_cut: true });
        }
        Ending::Answered | Ending::ToolFailed | Ending::LegLost | Ending::Any => {}
    }
    stretches
}

/// What the conversation should have of the caller.
fn said(plan: &Plan) -> Vec<Stretch> {
    let may_be_cut = plan.ending != Ending::Answered && plan.ending != Ending::ToolFailed;
    let lines = plan.caller.iter().filter_map(|doing| doing.exchange());
    lines.map(|exchange| Stretch { text: exchange.question.into(), may_be_cut }).collect()
}

fn fits(reason: &str, ending: Ending) -> bool {
    match ending {
        Ending::Answered | Ending::ToolFailed => reason == "customer-ended-call",
        Ending::Apology(Stage::Transcriber) => reason.ends_with("-transcriber-failed"),
        Ending::Apology(Stage::Voice) => reason.ends_with("-voice-failed"),
        Ending::Apology(Stage::Model) => {
            reason.starts_with("pipeline-error-") && !reason.contains("-transcriber-")
        }
        Ending::LegLost => {
            reason == "customer-ended-call"
                || reason == "call.in-progress.error-assistant-did-not-receive-customer-audio"
        }
        Ending::Any => !reason.is_empty(),
    }
}

/// Kind and reason of the events of a call's end, each once however often it was sent.
fn ends(ran: &Ran, call: &CallRan) -> Vec<(String, String)> {
    let id = call.id.to_string();
    let mut seen = HashSet::new();
    let of_call = ran.deliveries.iter().filter(|delivery| delivery.call == id);
    of_call
        .filter(|delivery| seen.insert(delivery.id.clone()))
        .filter_map(|delivery| Some((delivery.kind.clone(), delivery.ended_reason.clone()?)))
        .collect()
}

/// Events that were first taken after one that was published later.
fn out_of_order(ran: &Ran, call: &CallRan) -> usize {
    let id = call.id.to_string();
    let mut first: HashMap<&str, usize> = HashMap::new();
    let mut latest = i64::MIN;
    let mut late = 0;
    for (nth, delivery) in ran.deliveries.iter().enumerate().filter(|(_, one)| one.call == id) {
        if first.insert(&delivery.id, nth).is_some() {
            continue;
        }
        late += usize::from(delivery.published_ms < latest);
        latest = latest.max(delivery.published_ms);
    }
    late
}
