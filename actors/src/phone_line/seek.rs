//! A carrier's media is gone: the carrier is asked whether the call is, and to connect it again.

use std::{sync::Arc, time::Duration};

use offhook_core::{Answerer, EndedReason, Event, FailureClass, ServerEvent};
use offhook_transports::carrier::{Carrier, Change, Ending, Step};
use tokio::time::sleep;

use super::PhoneLine;
use crate::CallContext;

/// How long a carrier that asks us by itself is given to: a question and a handshake.
const OWN_ACCORD: Duration = Duration::from_millis(1_000);

/// The same for one that does not, and whose report of the end may be under way.
const REPORT_DUE: Duration = Duration::from_millis(150);

/// How long a carrier that was told to connect again is given to.
const HANDSHAKE_DUE: Duration = Duration::from_secs(3);

/// Sees to it that a leg without a socket gets one, or that its call ends. Runs until then.
pub(crate) async fn seek(context: Arc<CallContext>, line: Arc<PhoneLine>) {
    let Some(_seeking) = line.seek_alone() else { return };
    sleep(match line.carrier() {
        Carrier::Twilio | Carrier::Vonage => OWN_ACCORD,
        Carrier::Telnyx => REPORT_DUE,
    })
    .await;
    while !context.leg.is_connected() && context.ending().is_none() && !line.is_forwarded() {
        let keys = line.pressing();
        if !keys.is_zero() {
            // And it connects again as it does of its own accord.
            sleep(keys + OWN_ACCORD).await;
            continue;
        }
        if line.is_away() || line.is_handed_over() {
            sleep(HANDSHAKE_DUE).await;
            continue;
        }
        match line.ask().await {
            Ok(Some(step @ Step::Ended(_))) => context.carrier_reports(step),
            Ok(None) => context.carrier_reports(Step::Ended(Ending::Completed)),
            Ok(Some(Step::Dialling | Step::Ringing | Step::Answered))
                if context.leg.is_connected() => {}
            Ok(Some(Step::Dialling | Step::Ringing | Step::Answered)) => {
                tracing::info!(call = %context.spec.id, "the carrier is asked to connect media again");
                match line.reconnect().await {
                    Ok(true) => {}
                    Ok(false) => context.carrier_reports(Step::Ended(Ending::Completed)),
                    Err(error) => {
                        tracing::warn!(call = %context.spec.id, %error, "media is not connected again");
                    }
                }
            }
            Err(error) => {
                tracing::warn!(call = %context.spec.id, %error, "what became of the call is unknown");
            }
        }
        sleep(HANDSHAKE_DUE).await;
    }
}

impl CallContext {
    /// Sees to the media of a call that a former process left before it had any.
    pub fn seek_media(self: Arc<Self>) {
        let Some(line) = self.spec.line.clone() else { return };
        // The leg's own task sees to what was connected once.
        if self.leg.was_connected() {
            return;
        }
        if line.is_answered() {
            tokio::spawn(seek(self, line));
        } else if line.ring.is_none() {
            tokio::spawn(self.pick_up(true));
        }
    }

    /// Picks up a call that came in, whose media the carrier's report of that connects. With
    /// `may_be_up` somebody may have done so before.
    pub async fn pick_up(self: Arc<Self>, may_be_up: bool) {
        let Some(line) = self.spec.line.clone() else { return };
        match line.answer().await {
            Ok(true) => sleep(HANDSHAKE_DUE).await,
            Ok(false) => return self.carrier_reports(Step::Ended(Ending::Completed)),
            Err(error) if may_be_up && error.class == FailureClass::BadRequest => {}
            // It is hung up on with that, should it be up all the same.
            Err(error) => {
                return self.end(EndedReason::TransportNeverConnected, Some(error.to_string()));
            }
        }
        if self.leg.was_connected() || self.ending().is_some() {
            return;
        }
        // The report is late, or went to a former process.
        let _ = line.note(Step::Answered);
        seek(self, line).await;
    }

    /// Takes the carrier's word on who answered. It counts once the other side is heard.
    pub fn carrier_heard(&self, by: Answerer) {
        let Some(line) = &self.spec.line else { return };
        line.keep_answerer(by);
        if self.audio.connected_at().is_some() {
            self.tell_answerer();
        }
    }

    /// Tells the conversation who answered, if the carrier said so before the leg was up.
    pub(crate) fn tell_answerer(&self) {
        if let Some(by) = self.spec.line.as_ref().and_then(|line| line.take_answerer()) {
            self.tell(Event::Answered { by });
        }
    }

    /// Takes what the call's carrier reports of it: in any order, and as often as it likes.
    pub fn carrier_reports(&self, step: Step) {
        let Some(line) = &self.spec.line else { return };
        match line.note(step) {
            None | Some(Change::Answered) => {}
            Some(Change::Ringing) => {
                let status = offhook_core::CallStatus::Ringing;
                self.publish(ServerEvent::StatusUpdate { status, ended_reason: None }, &[]);
            }
            // Whoever was sent elsewhere hangs up there.
            Some(Change::Ended(_)) if line.is_forwarded() => {}
            Some(Change::Ended(reason)) => {
                let reason = match (reason, line.transferring()) {
                    (EndedReason::CustomerEndedCall, Some(true)) => {
                        EndedReason::CustomerEndedCallBeforeWarmTransfer
                    }
                    (EndedReason::CustomerEndedCall, Some(false)) => {
                        EndedReason::CustomerEndedCallDuringTransfer
                    }
                    (reason, _) => reason,
                };
                self.tell(Event::LegClosed { reason });
            }
        }
    }
}
