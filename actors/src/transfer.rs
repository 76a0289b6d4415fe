//! Sends a caller on to somebody else.
//!
//! Blindly, the carrier does: it has the caller until the other party answers, and asks us what
//! happens next when they do not. Warmly, the caller stays on hold with us while the other party is
//! called and spoken to, and the carrier connects the two afterwards. Either way whoever is not
//! taken is back with the assistant, in the same call.

mod ask;
mod hold;
mod summary;

use std::{sync::Arc, time::Duration};

use offhook_api::{Briefing, Destination, Party};
use offhook_core::{
    AddedRole, Approach, CallStatus, Consultation, Control, EndedReason, Event, OperatorEvent,
    PhoneRequest, Refusal, ServerEvent, SpeechId, TransferStep,
};
use offhook_transports::carrier::{self, Carrier, Words};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::{CallContext, PhoneLine, phone_line::Attempt, revival};

pub(crate) use ask::ask;
use hold::Hold;
pub use hold::HoldSlot;

/// How long all of a warm transfer may take: below the 310 s that the model waits for its tool.
const WHOLE_MAX: Duration = Duration::from_secs(290);

/// How late a carrier's report that it gave up ringing may be.
const REPORT_DUE: Duration = Duration::from_secs(5);

/// How long the leg of a caller who is elsewhere may stay away: as long as it may ring, and until a
/// carrier has asked us again.
pub(crate) const AWAY_MAX: Duration = Duration::from_secs(180);

/// How long a caller whom nobody took may need to come back to us: a question and a handshake.
const BACK_DUE: Duration = Duration::from_secs(10);

/// Until words are heard again on a leg that is back.
const BACK_SETTLES: Duration = Duration::from_millis(300);

/// How long the journal is waited for: a dead disk degrades a call.
const JOURNAL_TIMEOUT: Duration = Duration::from_millis(500);

/// How often it is looked at whether the leg is there, or somebody speaks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long what is said before a transfer may need to begin, and to end.
const WORDS_BEGIN_DUE: Duration = Duration::from_secs(10);
const WORDS_END_DUE: Duration = Duration::from_secs(30);

/// How long a server that does transfers itself may need for one.
const HANDED_OVER_DUE: Duration = Duration::from_secs(60);

/// What became of a transfer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Somebody else has the caller, and the call ends here.
    Gone,
    /// The caller hung up.
    Over,
    /// The caller is still with us: why, for the model.
    Stays { why: String, refusal: Refusal },
}

impl Sent {
    fn stays(refusal: Refusal) -> Self {
        Self::Stays { why: refusal.describe().into(), refusal }
    }
}

/// Sends the caller of a phone call on. When they are gone, the call is told to end.
pub(crate) async fn send_on(context: &Arc<CallContext>, to: &Destination) -> Sent {
    let Some(line) = context.spec.line.clone() else {
        let why = "this is no phone call: there is no carrier to ask".into();
        return Sent::Stays { why, refusal: Refusal::Failed };
    };
    let request = ServerEvent::PhoneCallControl {
        request: PhoneRequest::Forward,
        destination: Some(to.document().clone()),
    };
    let Some(mut attempt) = Attempt::begin(&line, to.plan.is_warm) else {
        let why = "another transfer of this caller is under way".into();
        return Sent::Stays { why, refusal: Refusal::Failed };
    };
    context.record().note_destination(&to.to_json());
    tell_status(context, CallStatus::Forwarding);
    let sent = match to.plan.is_warm {
        _ if context.hands_over_control() => hand_over(context, &line, request).await,
        true => warmly(context, &line, &mut attempt, to).await,
        false => blindly(context, &line, &mut attempt, to).await,
    };
    match &sent {
        Sent::Gone => {
            attempt.settle();
            let noted = context.journal.append_durable(revival::forwarded());
            if !matches!(timeout(JOURNAL_TIMEOUT, noted).await, Ok(Ok(()))) {
                tracing::error!(call = %context.spec.id, "a transfer is not journalled");
            }
            let destination = to.document().clone();
            context.publish(ServerEvent::TransferUpdate { destination }, &[]);
            context.tell(Event::EndRequested { reason: EndedReason::AssistantForwardedCall });
        }
        Sent::Over => {}
        Sent::Stays { why, .. } => {
            tracing::warn!(call = %context.spec.id, why, "the caller was not transferred");
            drop(attempt);
            come_back(context).await;
            tell_status(context, CallStatus::InProgress);
        }
    }
    sent
}

/// How long a server that ends calls itself may need for that: the other side hears nothing.
pub const HANG_UP_HANDED_OVER: Duration = Duration::from_secs(10);

impl CallContext {
    /// Whether a server of the client's wants to end and send on calls by itself.
    pub fn hands_over_control(&self) -> bool {
        let (request, destination) = (PhoneRequest::HangUp, None);
        let asked = ServerEvent::PhoneCallControl { request, destination };
        self.spec.server.is_some() && self.server_messages.allows(&asked)
    }

    /// Leaves the end of the call to a server that wants to see to it, and waits for it.
    pub async fn hand_over_hang_up(&self) {
        let Some(line) = &self.spec.line else { return };
        if !self.hands_over_control() || line.is_over() || line.is_forwarded() {
            return;
        }
        let (request, destination) = (PhoneRequest::HangUp, None);
        self.publish(ServerEvent::PhoneCallControl { request, destination }, &[]);
        let over = async {
            while !line.is_over() {
                sleep(LOOK_EVERY).await;
            }
        };
        // Nobody is left on a line that nobody ends.
        let _ = timeout(HANG_UP_HANDED_OVER, over).await;
    }

    /// Sends the caller on as a client asks for, after `words`; false while somebody else is being
    /// called for them, and when the call ends.
    pub fn transfer(self: &Arc<Self>, to: Destination, words: Option<String>) -> bool {
        let is_free = self.spec.line.as_ref().is_some_and(|line| line.transferring().is_none());
        let context = self.clone();
        is_free
            && self.slots.tools.run_once(BY_CLIENT, async move {
                announce(&context, words.as_deref().unwrap_or(&to.message)).await;
                let sent = send_on(&context, &to).await;
                tell_of(&context, &to, sent);
            })
    }
}

/// What is run for a client, among the runs of tools.
const BY_CLIENT: &str = "transfer by the client";

/// Tells the model what became of a transfer that it did not ask for, and a caller whom nobody took.
fn tell_of(context: &CallContext, to: &Destination, sent: Sent) {
    let Sent::Stays { why, refusal } = sent else { return };
    let note = Control::AddMessage {
        role: AddedRole::System,
        content: format!(
            "The caller was to be put through to somebody else. They were not, and are still \
             here: {why}. Tell them so, and go on helping them."
        ),
        trigger_response: to.plan.fallback.is_none(),
    };
    context.tell(Event::Control(note));
    let Some(fallback) = &to.plan.fallback else { return };
    let words = fallback.message.clone();
    context.tell(match fallback.ends_call {
        true => Event::Farewell { words, reason: refusal.reason() },
        false => Event::Control(say(words)),
    });
}

fn say(content: String) -> Control {
    Control::Say {
        content,
        end_call_after_spoken: false,
        interruptions_enabled: Some(false),
        interrupt_assistant: false,
    }
}

/// Says something, and waits until the caller has heard it.
pub(crate) async fn announce(context: &Arc<CallContext>, words: &str) {
    if words.trim().is_empty() {
        return;
    }
    // Others may wait to be spoken, and are heard before.
    let before = context.latest_speech();
    context.tell(Event::Control(say(words.to_owned())));
    let begun = async {
        loop {
            match context.latest_speech() {
                own if own > before && sounding(context) == own => return own,
                Some(_) | None => sleep(LOOK_EVERY).await,
            }
        }
    };
    let Ok(own) = timeout(WORDS_BEGIN_DUE, begun).await else { return };
    let over = async {
        while sounding(context) == own {
            sleep(LOOK_EVERY).await;
        }
    };
    // Whoever talks for longer is cut off: the caller waits for somebody else.
    let _ = timeout(WORDS_END_DUE, over).await;
}

/// The speech that the caller hears.
fn sounding(context: &CallContext) -> Option<SpeechId> {
    context.audio.with_playout(|playout| playout.sounding().map(|(speech, _)| SpeechId(speech)))
}

/// The carrier sends the caller elsewhere.
async fn blindly(
    context: &Arc<CallContext>,
    line: &Arc<PhoneLine>,
    attempt: &mut Attempt,
    to: &Destination,
) -> Sent {
    let mut party = destination_of(to);
    if to.plan.summary_in_header
        && let carrier::Destination::Sip { headers, .. } = &mut party
    {
        let summary = words_of(context, &to.plan.briefing).await.unwrap_or_default();
        headers.push((SUMMARY_HEADER.to_owned(), header_of(&summary)));
    }
    let is_with_us = line.carrier() == Carrier::Telnyx;
    let _hold = is_with_us.then(|| Hold::begin(context, to.plan.hold_audio_url.as_deref()));
    match attempt.send(&party, to.caller_id.as_deref(), to.plan.timeout).await {
        Ok(true) => {}
        Ok(false) => return Sent::Over,
        // What becomes of it is told, if it happened.
        Err(error) if error.may_have_happened && !is_with_us => {}
        Err(error) => {
            return Sent::Stays { why: error.to_string(), refusal: Refusal::Failed };
        }
    }
    let until = Instant::now() + to.plan.timeout + REPORT_DUE;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match timeout(left, attempt.events.recv()).await {
            Ok(Some(OperatorEvent::Joined)) => return Sent::Gone,
            // Telnyx tells when the two are connected.
            Ok(Some(OperatorEvent::Answered)) if !is_with_us => return Sent::Gone,
            Ok(Some(OperatorEvent::Gone(refusal))) => return Sent::stays(refusal),
            Ok(Some(
                OperatorEvent::Answered
                | OperatorEvent::Heard(_)
                | OperatorEvent::Briefed
                | OperatorEvent::Late,
            )) => {}
            // It has rung out, and the carrier does not ask what to do with the caller: they talk.
            Ok(None) | Err(_) if !is_with_us && !context.leg.is_connected() => return Sent::Gone,
            Ok(None) | Err(_) => return Sent::stays(Refusal::NoAnswer),
        }
    }
}

/// The other party is called and spoken to while the caller is on hold.
async fn warmly(
    context: &Arc<CallContext>,
    line: &Arc<PhoneLine>,
    attempt: &mut Attempt,
    to: &Destination,
) -> Sent {
    let plan = &to.plan;
    let _hold = Hold::begin(context, plan.hold_audio_url.as_deref());
    let until = Instant::now() + WHOLE_MAX;
    let party = destination_of(to);
    let from = to.caller_id.clone().unwrap_or_else(|| line.number.clone());
    let mut summing = Summing::begin(context, &plan.briefing);
    attempt.call(party.clone(), from, plan.timeout, plan.waits_for_speech);
    let mut consultation = Consultation::new(Approach {
        waits_for_speech: plan.waits_for_speech,
        refuses_machines: plan.waits_for_speech,
        has_words: plan.briefing != Briefing::Nothing,
        patience: plan.timeout,
    });
    let has_words = plan.briefing != Briefing::Nothing;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let event = timeout(consultation.patience().min(left), attempt.events.recv()).await;
        let event = event.ok().flatten().unwrap_or(OperatorEvent::Late);
        match consultation.handle(event) {
            TransferStep::Wait => {}
            TransferStep::Brief => {
                let text = summing.words().await;
                let words = match &plan.briefing {
                    Briefing::Twiml(twiml) => Words::Twiml(twiml),
                    Briefing::Nothing | Briefing::Message(_) | Briefing::Summary { .. } => {
                        Words::Text(&text)
                    }
                };
                match attempt.brief(&party, words).await {
                    Ok(true) => {}
                    Ok(false) => return Sent::stays(Refusal::HungUp),
                    Err(error) => {
                        return Sent::Stays { why: error.to_string(), refusal: Refusal::Failed };
                    }
                }
            }
            TransferStep::Join => {
                let joined = attempt.join(has_words).await;
                if !matches!(joined, Ok(true)) && line.is_over() {
                    // Their end was taken for one after the two had talked.
                    let reason = EndedReason::CustomerEndedCallBeforeWarmTransfer;
                    context.tell(Event::LegClosed { reason });
                    return Sent::Over;
                }
                return match joined {
                    Ok(true) => Sent::Gone,
                    Ok(false) => Sent::stays(Refusal::HungUp),
                    Err(error) => Sent::Stays { why: error.to_string(), refusal: Refusal::Failed },
                };
            }
            TransferStep::GiveUp(refusal) => return Sent::stays(refusal),
        }
    }
}

/// A server of the client's does transfers itself, as it asked to: it is told, and waited for.
async fn hand_over(
    context: &Arc<CallContext>,
    line: &Arc<PhoneLine>,
    request: ServerEvent,
) -> Sent {
    line.hand_over();
    context.publish(request, &[]);
    let taken = async {
        while context.leg.is_connected() {
            sleep(LOOK_EVERY).await;
        }
    };
    if timeout(HANDED_OVER_DUE, taken).await.is_ok() {
        return Sent::Gone;
    }
    line.take_back();
    let why = format!("the server that does transfers did not do it within {HANDED_OVER_DUE:?}");
    Sent::Stays { why, refusal: Refusal::Failed }
}

/// Waits until a caller whom nobody took hears us again.
async fn come_back(context: &CallContext) {
    if context.leg.is_connected() {
        return;
    }
    let back = async {
        while !context.leg.is_connected() {
            sleep(LOOK_EVERY).await;
        }
        sleep(BACK_SETTLES).await;
    };
    // One who does not come back ends the call with their leg.
    let _ = timeout(BACK_DUE, back).await;
}

/// The header that a summary goes along in, and its longest value, in characters: carriers take
/// some 1,000 bytes of headers, and three of them write one that is escaped.
const SUMMARY_HEADER: &str = "X-Transfer-Summary";
const HEADER_CHARS_MAX: usize = 250;

/// A text as the value of a header: one line (RFC 3261, section 7.3.1).
fn header_of(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(char::is_ascii).take(HEADER_CHARS_MAX).collect()
}

/// What is said to the other party; it is made while it rings.
struct Summing(Option<JoinHandle<Option<String>>>);

impl Summing {
    fn begin(context: &Arc<CallContext>, briefing: &Briefing) -> Self {
        let (context, briefing) = (context.clone(), briefing.clone());
        Self(Some(tokio::spawn(async move { words_of(&context, &briefing).await })))
    }

    async fn words(&mut self) -> String {
        let Some(making) = self.0.take() else { return String::new() };
        making.await.ok().flatten().unwrap_or_default()
    }
}

impl Drop for Summing {
    fn drop(&mut self) {
        if let Some(making) = &self.0 {
            making.abort();
        }
    }
}

async fn words_of(context: &Arc<CallContext>, briefing: &Briefing) -> Option<String> {
    match briefing {
        Briefing::Nothing | Briefing::Twiml(_) => None,
        Briefing::Message(text) => Some(text.clone()),
        Briefing::Summary { plan, otherwise } => {
            Some(summary::sum_up(context.clone(), plan.clone(), otherwise.clone()).await)
        }
    }
}

fn tell_status(context: &CallContext, status: CallStatus) {
    context.publish(ServerEvent::StatusUpdate { status, ended_reason: None }, &[]);
}

/// A destination as carriers take it.
fn destination_of(to: &Destination) -> carrier::Destination {
    match &to.to {
        Party::Number { number, extension } => {
            carrier::Destination::Number { number: number.clone(), extension: extension.clone() }
        }
        Party::Sip { uri, headers } => {
            carrier::Destination::Sip { uri: uri.clone(), headers: headers.clone() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_in_a_header_is_one_short_line() {
        assert_eq!(header_of("Ann\r\nX-Evil: 1\n wants  help"), "Ann X-Evil: 1 wants help");
        assert_eq!(header_of(&"é ü x".repeat(200)).len(), HEADER_CHARS_MAX);
    }
}
