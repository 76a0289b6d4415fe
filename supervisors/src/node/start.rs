//! How a call comes to life: a new one, or one that a former process left.

use std::{sync::Arc, time::Duration};

use offhook_actors::{CallClock, CallContext, CallKeys, CallSpec, Revival};
use offhook_api::{AssistantView, CallDocument, call::Fallback};
use offhook_core::{
    CallStatus, EndedReason,
    slots::{LineLimits, SlotRequest, Source},
};
use tokio::time::timeout;
use uuid::Uuid;

use super::{Admission, Node, StartCall, Started, registry::Handle};
use crate::{
    Lease, NoSlot,
    phone::{self, Obstacle},
    plan::{self, Plan},
    recover::Treeless,
    resumption::{self, Resumption},
};

/// Longest wait for the beginning of a call's journal to be on disk; a flush takes milliseconds.
const JOURNAL_TIMEOUT: Duration = Duration::from_millis(500);

/// A call that was set up, and has no tree yet.
pub struct Prepared {
    pub context: Arc<CallContext>,
}

impl Node {
    /// Starts a call's tree. Its document must be stored already.
    pub async fn start_call(&self, start: StartCall) -> Started {
        match self.prepare(start).await {
            Ok(prepared) => self.launch(prepared).await,
            Err((reason, message)) => Started::Ended { reason, message },
        }
    }

    /// Sets a call up and writes the beginning of its journal: from here on it is found after a
    /// crash, and whoever has something to tell it may do so. The failure is that of a provider;
    /// it has ended the call.
    pub async fn prepare(&self, mut start: StartCall) -> Result<Prepared, (EndedReason, String)> {
        let inner = &self.inner;
        let phone_number = start.keys.phone_number.take();
        let keys = resumption::keys_of(&start.credentials, &inner.vault, &start.org, start.id);
        start.keys = CallKeys { phone_number, ..keys };
        let Plan { spec, notes, replaced } =
            match plan::plan(&start, &inner.settings, &inner.net, &inner.health) {
                Ok(plan) => plan,
                Err(failure) => {
                    let reason = EndedReason::pipeline(&failure);
                    let server = start.server.as_ref();
                    let call = Treeless {
                        org: &start.org,
                        assistant: &start.assistant,
                        server: plan::server(&start.assistant, server, &inner.settings),
                        preamble: &[],
                        history: &[],
                        created_ms: start.now_ms,
                        reason: &reason,
                        message: &failure.detail,
                    };
                    call.end(&inner.store, &inner.outbox, start.record).await;
                    return Err((reason, failure.detail));
                }
            };
        for note in notes {
            tracing::warn!(call = %start.id, note, "setting not acted on");
        }
        let StartCall { mut record, leg_token, lease, now_ms, .. } = start;
        for fallback in &replaced {
            let Fallback { stage, from, to, reason } = fallback;
            tracing::warn!(call = %spec.id, %stage, from, to, reason, "fallback takes over");
            record.note_fallback(fallback);
        }
        Ok(self.admit(spec, Admission { record, leg_token, lease, now_ms }).await)
    }

    /// Starts the tree of a call whose providers are chosen already.
    pub async fn run(&self, spec: CallSpec, admission: Admission) -> Started {
        let prepared = self.admit(spec, admission).await;
        self.launch(prepared).await
    }

    async fn admit(&self, spec: CallSpec, admission: Admission) -> Prepared {
        let Admission { record, leg_token, lease, now_ms } = admission;
        let context = CallContext::new(spec, record, CallClock::start(now_ms), self.parts());
        context.journal_start();
        // The call is acknowledged or dialled next. A dead disk costs the call that, not its life.
        if !matches!(timeout(JOURNAL_TIMEOUT, self.inner.store.flush()).await, Ok(Ok(()))) {
            let call = context.spec.id;
            tracing::error!(%call, "the beginning of the call's journal is not on disk");
        }
        self.register(context.clone(), leg_token, lease);
        Prepared { context }
    }

    /// Starts the tree of a call that was set up.
    pub async fn launch(&self, prepared: Prepared) -> Started {
        let registry = &self.inner.registry;
        let context = prepared.context;
        let id = context.spec.id;
        if registry.start(context.clone()).await {
            return Started::Running;
        }
        let message = "the call's supervisor could not be started".to_owned();
        self.end_prepared(Prepared { context }, EndedReason::WorkerDied, message.clone()).await;
        debug_assert!(registry.read(id, |_| ()).is_none());
        Started::Ended { reason: EndedReason::WorkerDied, message }
    }

    /// Ends a call that was set up and has no tree.
    pub async fn end_prepared(&self, prepared: Prepared, reason: EndedReason, message: String) {
        let Prepared { context } = prepared;
        context.end(reason, Some(message));
        crate::finish::finish(&context).await;
        self.inner.registry.remove(context.spec.id);
    }

    /// Takes back a call that was set up and has no tree, as if it had not been; gives its slot
    /// back to whoever sets it up anew.
    pub async fn take_back(&self, prepared: Prepared) -> Option<Lease> {
        let id = prepared.context.spec.id;
        let lease = self.inner.registry.take(id);
        if !matches!(timeout(JOURNAL_TIMEOUT, self.inner.store.drop_journal(id)).await, Ok(Ok(())))
        {
            tracing::error!(call = %id, "the journal of a call that is set up anew stays on disk");
        }
        lease
    }

    /// Goes on with a call that a former process left, and waits for its leg; gives the call back
    /// with what stands in the way.
    pub(crate) async fn resume_call(
        &self,
        id: Uuid,
        revival: Revival,
        assistant: &AssistantView,
        record: &CallDocument,
    ) -> Result<(), (Revival, Obstacle)> {
        let inner = &self.inner;
        if inner.settings.calls.leg_reconnect.is_zero() {
            return Err((revival, "calls.leg_reconnect is 0s".to_owned().into()));
        }
        if let Some(obstacle) = revival.obstacle() {
            return Err((revival, obstacle.into()));
        }
        let (leg_token, format, hearing, line, server) = match Resumption::of(record) {
            Resumption::ClientReturns { token, format, hearing } => {
                (token, format, hearing, None, None)
            }
            Resumption::CarrierReturns { format, hearing } => {
                let (keys, connected) = (&revival.keys, revival.connected_at.is_some());
                let line =
                    phone::line_again(self, &revival.org, record, keys, format, connected).await;
                match line {
                    Ok((line, server)) => {
                        let token = Uuid::new_v4().to_string();
                        (token, format, hearing, Some(line), server)
                    }
                    Err(obstacle) => return Err((revival, obstacle)),
                }
            }
            Resumption::Never(why) => return Err((revival, why.into())),
        };
        let opened = resumption::open_keys(&revival.keys, &inner.vault, &revival.org, id).await;
        let credentials = match opened {
            Ok(credentials) => credentials,
            Err(error) => return Err((revival, error.to_string().into())),
        };
        let start = StartCall {
            id,
            org: revival.org.clone(),
            record: record.clone(),
            assistant: assistant.clone(),
            variable_values: revival.variable_values.clone(),
            credentials,
            keys: revival.keys.clone(),
            line,
            server,
            format,
            hearing,
            leg_token,
            recording_urls: revival.recording.clone().unwrap_or_default(),
            lease: inner.slots.take_again(slot_of(&revival.org, record)),
            now_ms: revival.started_ms,
        };
        let mut spec = match plan::plan(&start, &inner.settings, &inner.net, &inner.health) {
            Ok(plan) => plan.spec,
            Err(failure) => return Err((revival, failure.detail.into())),
        };
        // The journal was written under these.
        spec.options = revival.options.clone();
        let StartCall { mut record, leg_token, lease, .. } = start;
        if let Some(connected_at) = revival.connected_at {
            let since_ms = revival.started_ms + connected_at.as_duration().as_millis() as i64;
            record.set_status(CallStatus::InProgress, since_ms);
        }
        let context = CallContext::revived(spec, record, revival, self.parts());
        tracing::info!(call = %id, connected = context.leg.was_connected(),
            "call of a former process taken up");
        metrics::counter!("offhook_calls_taken_up_total").increment(1);
        // What fails here ends the call in order.
        self.register(context.clone(), leg_token, lease);
        self.launch(Prepared { context: context.clone() }).await;
        context.seek_media();
        Ok(())
    }

    /// Takes a call that was set up and has no tree over to another line, for whose number and carrier
    /// it waits, `patience` at most.
    pub async fn change_line(
        &self,
        prepared: &Prepared,
        line: &LineLimits,
        patience: Duration,
    ) -> Result<(), NoSlot> {
        let (registry, id) = (&self.inner.registry, prepared.context.spec.id);
        let lease = registry.leave_line(id).ok_or(NoSlot::Gone)?;
        let line = self.inner.slots.take_line(lease, line, patience).await?;
        registry.change_over(id, line).ok_or(NoSlot::Gone)
    }

    fn register(&self, context: Arc<CallContext>, leg_token: String, lease: Lease) {
        let id = context.spec.id;
        let call_type = context.record().type_name().to_owned();
        self.inner.registry.insert(id, Handle { context, leg_token, call_type, lease });
    }
}

/// What a call of a former process has a slot of.
fn slot_of(org: &str, record: &CallDocument) -> SlotRequest {
    let field = |name: &str| record.as_value()[name].as_str().map(Into::into);
    let source = match (record.type_name(), field("campaignId")) {
        ("inboundPhoneCall", _) => Source::Inbound,
        (_, Some(campaign)) => Source::Campaign(campaign),
        (_, None) => Source::Interactive,
    };
    SlotRequest {
        assistant: field("assistantId"),
        number: field("phoneNumberId"),
        ..SlotRequest::new(source, org.into())
    }
}
