//! One attempt to have somebody else take the caller, at the carrier.

use std::{sync::Arc, time::Duration};

use offhook_core::{OperatorEvent, Refusal};
use offhook_transports::carrier::{
    CallOperator, Carrier, CarrierError, Destination, Ending, Sending, Words,
};
use tokio::{sync::mpsc, time::sleep};
use uuid::Uuid;

use super::{HANG_UP_RETRY, PhoneLine, command_id, end_at_carrier};

/// Reports of one attempt that wait: a carrier makes some five.
const EVENTS_MAX: usize = 32;

/// What the line knows of an attempt.
pub(super) struct Known {
    name: String,
    /// The carrier's id of the other party's call, where we made it.
    operator: Option<String>,
    /// The caller is on hold with us, and is told from one whom the carrier sent elsewhere.
    is_warm: bool,
    /// The carrier has the caller.
    is_away: bool,
    events: mpsc::Sender<OperatorEvent>,
}

/// One attempt, until it is dropped: whoever was called and did not get the caller is hung up on.
pub(crate) struct Attempt {
    line: Arc<PhoneLine>,
    name: String,
    pub events: mpsc::Receiver<OperatorEvent>,
}

impl PhoneLine {
    /// Takes what the carrier tells of an attempt; false when nobody waits for it any more.
    pub fn note_operator(&self, attempt: &str, event: OperatorEvent) -> bool {
        let state = self.state();
        let Some(known) = state.attempt.as_ref().filter(|known| known.name == attempt) else {
            return false;
        };
        // What does not fit is more than any carrier has to tell; the waits have ends of their own.
        let _ = known.events.try_send(event);
        true
    }

    /// The carrier connected the caller with somebody else.
    pub fn note_bridge(&self) {
        if let Some(known) = &self.state().attempt {
            // As above.
            let _ = known.events.try_send(OperatorEvent::Joined);
        }
    }

    /// The carrier has the caller and calls somebody for them: what becomes of our audio until then
    /// says nothing of the call.
    pub fn is_away(&self) -> bool {
        self.state().attempt.as_ref().is_some_and(|known| known.is_away)
    }

    /// Whether somebody is being called who is to take the caller, and whether they are on hold with
    /// us meanwhile.
    pub(crate) fn transferring(&self) -> Option<bool> {
        self.state().attempt.as_ref().map(|known| known.is_warm)
    }

    /// Keeps the other party's id; false when nobody waits for them any more.
    fn learn_operator(&self, attempt: &str, id: &str) -> bool {
        let mut state = self.state();
        let known = state.attempt.as_mut().filter(|known| known.name == attempt);
        known.map(|known| known.operator = Some(id.to_owned())).is_some()
    }
}

impl Attempt {
    /// Begins; `None` while there is another.
    pub(crate) fn begin(line: &Arc<PhoneLine>, is_warm: bool) -> Option<Self> {
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let name = Uuid::new_v4().simple().to_string();
        let known =
            Known { name: name.clone(), operator: None, is_warm, is_away: false, events: sender };
        let mut state = line.state();
        if state.attempt.is_some() || state.is_forwarded {
            return None;
        }
        state.attempt = Some(known);
        drop(state);
        Some(Self { line: line.clone(), name, events })
    }

    /// Has the carrier send the caller elsewhere; `false` when the call is over. The caller is back
    /// with us when the attempt is over and they are not forwarded.
    pub(crate) async fn send(
        &self,
        to: &Destination,
        caller_id: Option<&str>,
        ring: Duration,
    ) -> Result<bool, CarrierError> {
        let line = &self.line;
        let id = line.require_id()?;
        // Telnyx leaves the caller with us until the other party answers.
        self.set_away(line.carrier() != Carrier::Telnyx);
        let attempt = Some((&line.addresses, self.name.as_str()));
        let sending = Sending { to, caller_id, ring, attempt };
        let command = command_id();
        let mut sent = line.client.transfer(&id, &command, &sending).await;
        if line.carrier() == Carrier::Telnyx && sent.as_ref().is_err_and(CarrierError::may_pass) {
            // It carries out what has the same id once.
            sleep(HANG_UP_RETRY).await;
            sent = line.client.transfer(&id, &command, &sending).await;
        }
        if !matches!(&sent, Ok(true)) && !sent.as_ref().is_err_and(|it| it.may_have_happened) {
            self.set_away(false);
        }
        sent
    }

    /// Begins to call somebody; what becomes of it comes as events.
    pub(crate) fn call(&self, to: Destination, from: String, ring: Duration, detects: bool) {
        let line = self.line.clone();
        let attempt = self.name.clone();
        // Not ended with the attempt: whoever is rung at must be known, to be hung up on.
        tokio::spawn(async move {
            let call = CallOperator { to, from, ring, detects, attempt: attempt.clone() };
            (line.count_call)();
            let mut asked = line.client.call_operator(&call, &line.addresses).await;
            if let Some(wait) = asked.as_ref().err().and_then(CarrierError::pause) {
                sleep(wait).await;
                asked = line.client.call_operator(&call, &line.addresses).await;
            }
            match asked {
                Ok(id) => {
                    if !line.learn_operator(&attempt, &id) {
                        hang_up_on(line, id).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "nobody is called to take a caller");
                    line.note_operator(&attempt, OperatorEvent::Gone(Refusal::Failed));
                }
            }
        });
    }

    /// Says something to whoever answered; `false` when they are gone.
    pub(crate) async fn brief(
        &self,
        to: &Destination,
        words: Words<'_>,
    ) -> Result<bool, CarrierError> {
        let line = &self.line;
        let Some(id) = self.operator() else { return Ok(false) };
        line.client.press_extension(&id, &command_id(), to).await?;
        let command = command_id();
        line.client.brief_operator(&id, &command, words, &line.addresses, &self.name).await
    }

    /// Connects the caller with whoever answered; `false` when one of them is gone.
    pub(crate) async fn join(&self, is_waiting: bool) -> Result<bool, CarrierError> {
        let line = &self.line;
        let caller = line.require_id()?;
        let Some(operator) = self.operator() else { return Ok(false) };
        // What the carrier reports of the stream from here on is no end of the call.
        line.state().is_forwarded = true;
        let command = command_id();
        let attempt = (self.name.as_str(), is_waiting);
        let joined = line.client.join(&caller, &operator, &command, &line.addresses, attempt).await;
        if !matches!(&joined, Ok(true)) {
            // Should the two have been connected all the same, that is over with the other party,
            // who is hung up on: the call must not be left to them.
            line.state().is_forwarded = false;
        }
        joined
    }

    /// Somebody else has the caller: the call is not ours to end.
    pub(crate) fn settle(&self) {
        let mut state = self.line.state();
        state.is_forwarded = true;
        if let Some(known) = &mut state.attempt {
            known.operator = None;
        }
    }

    fn operator(&self) -> Option<String> {
        self.line.state().attempt.as_ref()?.operator.clone()
    }

    fn set_away(&self, is_away: bool) {
        if let Some(known) = &mut self.line.state().attempt {
            known.is_away = is_away;
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let known = self.line.state().attempt.take();
        let Some(id) = known.and_then(|known| known.operator) else { return };
        let line = self.line.clone();
        // Outside of a runtime nothing is under way.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(hang_up_on(line, id));
        }
    }
}

async fn hang_up_on(line: Arc<PhoneLine>, id: String) {
    if let Err(error) = end_at_carrier(&line.client, &id).await {
        tracing::error!(%error, "somebody who was to take a caller was not hung up on");
    }
}

/// Why somebody did not take the caller, as their call ended.
pub fn refusal_of(ending: Ending) -> Refusal {
    match ending {
        Ending::Busy | Ending::Rejected => Refusal::Busy,
        Ending::NoAnswer | Ending::Canceled => Refusal::NoAnswer,
        Ending::Completed | Ending::TimeLimit => Refusal::HungUp,
        Ending::Misdialed | Ending::Failed => Refusal::Failed,
    }
}
