//! Calls that we place.
//!
//! A call's document and the beginning of its journal are on disk before a carrier is asked. A
//! carrier that refuses leaves the call to the next number of the request; one that may have dialled
//! does not.

mod breaker;
mod request;

use std::time::Duration;

use axum::response::Response;
use offhook_actors::CallContext;
use offhook_api::{ApiError, CallDocument, call::CallType};
use offhook_core::{
    EndedReason,
    slots::{Refusal, Scope, SlotRequest, Source},
};
use offhook_supervisors::{Lease, Prepared, Started, phone};
use offhook_transports::carrier::{Carrier, CarrierError, Ending, Place, Step};
use serde_json::Value;
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    begin::{self, Begin},
    signed::Known,
};
use crate::{
    auth::parse_id,
    http::{App, now_ms, reply, scheduled},
};

pub use breaker::Breaker;
pub use request::{Wanted, read};

/// A call to place.
pub struct PlaceCall {
    pub org: String,
    /// Names the intent to dial, and the call that comes of it: whoever lost track of a call looks for
    /// the call of this id.
    pub intent: Uuid,
    /// As `POST /call` takes it: one `customer`, `phoneNumberId` or `phoneNumber`,
    /// `fallbackPhoneNumberIds`, and who talks.
    pub request: Value,
    pub slot: Slot,
    /// When a call was asked for that was scheduled, in milliseconds since the Unix epoch: its row says
    /// that the carrier is asked before it is.
    pub scheduled_ms: Option<i64>,
}

/// Whose slot the call takes.
pub enum Slot {
    /// One that is free now.
    Now(Source),
    /// One that somebody waited for.
    Taken(Lease),
}

/// A call that was placed, or that every carrier refused.
pub struct Placed {
    pub id: Uuid,
    /// As it is by now; a call that was refused has ended, and says why.
    pub record: CallDocument,
    pub dialled: Dialled,
}

/// Whether somebody's phone rings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dialled {
    Yes,
    /// The carrier did not say; the call goes on as if it had.
    Maybe(String),
    No(String),
}

/// Why a call was not placed: nobody was dialled.
pub enum PlaceError {
    /// The request cannot be met; the answer says why.
    Bad(Response),
    NoSlot(Refusal),
    /// It could not be written down that the carrier is asked; what was asked for stays good.
    NotNow(Response),
}

/// The longest wait for a number, and its carrier, that take over from another: until then the hour at
/// which somebody may be called is still the same.
const LINE_WAIT_MAX: Duration = Duration::from_secs(10);

/// Places a call. Must be run to its end: see `calls::to_its_end`.
pub async fn place(app: &App, call: PlaceCall) -> Result<Placed, PlaceError> {
    let PlaceCall { org, intent, request, slot, scheduled_ms } = call;
    let wanted = read(app, &org, request).await.map_err(PlaceError::Bad)?;
    if app.node.is_draining() {
        let problem = "the server is draining and takes no calls";
        return Err(PlaceError::Bad(reply::error(ApiError::unavailable(problem))));
    }
    let mut lease = match slot {
        Slot::Taken(lease) => lease,
        Slot::Now(source) => {
            let asked = slot_request(app, &org, &wanted, source);
            app.node.slots().take_now(asked).map_err(PlaceError::NoSlot)?
        }
    };
    let mut usable = app.desk.breaker.in_order(&wanted.numbers).into_iter();
    let Some(mut number) = first_line(app, &mut lease, &mut usable).await else {
        let problem = "no number of the call, and no carrier of theirs, takes a call right now";
        return Err(PlaceError::NotNow(reply::error(ApiError::unavailable(problem))));
    };
    loop {
        let prepared =
            match prepare(app, (&org, intent), scheduled_ms, &wanted, number, lease).await {
                Ok(Some(prepared)) => prepared,
                Ok(None) => {
                    let record = begin::stored(app, &org, intent).await.map_err(PlaceError::Bad)?;
                    let dialled = Dialled::No("the call's providers cannot be set up".into());
                    return Ok(Placed { id: intent, record, dialled });
                }
                Err(answer) => return Err(PlaceError::Bad(answer)),
            };
        if scheduled_ms.is_some()
            && let Err(problem) = scheduled::note_asked(app, &org, intent).await
        {
            drop(app.node.take_back(prepared).await);
            return Err(PlaceError::NotNow(problem));
        }
        if wanted.request["campaignId"].is_null() {
            app.node.campaigns().note_single(&org, &wanted.to, intent);
        }
        let asked = dial_in_turn(app, &prepared, &wanted, number).await;
        app.desk.breaker.note(number, &asked);
        match asked {
            Ok(()) => return Ok(launched(app, prepared, Dialled::Yes).await),
            Err(error) if error.may_have_happened => {
                tracing::error!(call = %intent, %error, "whether the call was placed is unknown");
                return Ok(launched(app, prepared, Dialled::Maybe(error.to_string())).await);
            }
            Err(error) => {
                if let Some(next) = next_line(app, &prepared, &wanted, &mut usable).await {
                    tracing::warn!(call = %intent, %error,
                        "a carrier refused a call, the next is asked");
                    metrics::counter!("offhook_carrier_failovers_total",
                        "from" => number.account.name())
                    .increment(1);
                    let Some(taken) = app.node.take_back(prepared).await else {
                        let problem = format!("the call was not placed, try again: {error}");
                        let answer = reply::error(ApiError::unavailable(problem));
                        return Err(PlaceError::Bad(answer));
                    };
                    (number, lease) = (next, taken);
                    continue;
                }
                let carrier = prepared.context.spec.line.as_ref().map(|line| line.carrier());
                let reason = carrier.map_or(EndedReason::OutboundCallFailedToConnect, |carrier| {
                    phone::refusal_reason(carrier, &error)
                });
                app.node.end_prepared(prepared, reason, error.to_string()).await;
                let record = begin::stored(app, &org, intent).await.map_err(PlaceError::Bad)?;
                return Ok(Placed { id: intent, record, dialled: Dialled::No(error.to_string()) });
            }
        }
    }
}

/// The slot that a call needs, once the limits of the number that is asked first and of its assistant
/// are known to those who grant it.
pub fn slot_request(app: &App, org: &str, wanted: &Wanted, source: Source) -> SlotRequest {
    let slots = app.node.slots();
    let assistant = wanted.request["assistantId"].as_str();
    if let Some((id, document)) = assistant.zip(wanted.assistant.as_ref()) {
        slots.heed_assistant_of(id, document);
    }
    let usable = app.desk.breaker.in_order(&wanted.numbers);
    let limits = usable.first().map(|number| number.limits(app));
    if let Some(limits) = &limits {
        slots.heed(limits);
    }
    SlotRequest {
        assistant: assistant.map(Into::into),
        number: limits.as_ref().and_then(|limits| limits.number.clone()),
        carrier: limits.map(|limits| limits.carrier),
        ..SlotRequest::new(source, org.into())
    }
}

/// The number that a call is asked for from: the one that its slot is of, unless its carrier has gone
/// down meanwhile.
async fn first_line<'n>(
    app: &App,
    lease: &mut Lease,
    usable: &mut impl Iterator<Item = &'n Known>,
) -> Option<&'n Known> {
    for number in usable {
        let limits = number.limits(app);
        if lease.is_for(&limits) {
            return Some(number);
        }
        match app.node.slots().change_line(lease, &limits, LINE_WAIT_MAX).await {
            Ok(()) => return Some(number),
            Err(error) => tracing::warn!(%error, "a number cannot take over a call"),
        }
    }
    None
}

/// The number that takes over from one whose carrier refused; the call is granted its line. `None`: there
/// is none, or nobody is to be called any more.
async fn next_line<'n>(
    app: &App,
    prepared: &Prepared,
    wanted: &Wanted,
    usable: &mut impl Iterator<Item = &'n Known>,
) -> Option<&'n Known> {
    for number in usable {
        let limits = number.limits(app);
        match app.node.change_line(prepared, &limits, LINE_WAIT_MAX).await {
            Ok(()) => return is_wanted(app, prepared, wanted).then_some(number),
            Err(error) => {
                let call = prepared.context.spec.id;
                tracing::warn!(%call, %error, "a number cannot take over a call");
            }
        }
    }
    None
}

/// Whether somebody is still to be called: much may have happened while a line was waited for.
fn is_wanted(app: &App, prepared: &Prepared, wanted: &Wanted) -> bool {
    let campaign = wanted.request["campaignId"].as_str().and_then(parse_id);
    let has_given_up = |id| app.node.campaigns().has_given_up(id, &wanted.to);
    !campaign.is_some_and(has_given_up) && prepared.context.ending().is_none()
}

async fn prepare(
    app: &App,
    (org, id): (&str, Uuid),
    created_ms: Option<i64>,
    wanted: &Wanted,
    number: &Known,
    lease: Lease,
) -> Result<Option<Prepared>, Response> {
    let mut request = wanted.request.clone();
    if let Some(id) = number.id {
        request["phoneNumberId"] = id.to_string().into();
    }
    let setup = begin::gather(app, org, request).await?;
    let it = Begin {
        id,
        org,
        created_ms,
        setup,
        call_type: CallType::OutboundPhone,
        number: &number.view,
        server: number.server.clone(),
        account: &number.account,
        client: number.client(app)?,
        carrier_id: None,
        ring: Some(wanted.ring.unwrap_or(number.view.ring_timeout)),
        lease,
        brought: wanted.brought.as_ref(),
    };
    begin::prepare(app, it).await
}

/// Asks the carrier to dial, once more where it was only busy. That counts towards its rate, too.
async fn dial_in_turn(
    app: &App,
    prepared: &Prepared,
    wanted: &Wanted,
    number: &Known,
) -> Result<(), CarrierError> {
    let context = &prepared.context;
    let asked = dial(app, context, wanted, number).await;
    let Some(wait) = asked.as_ref().err().and_then(CarrierError::pause) else { return asked };
    sleep(wait).await;
    match app.node.change_line(prepared, &number.limits(app), LINE_WAIT_MAX).await {
        Ok(()) if is_wanted(app, prepared, wanted) => {
            tracing::info!(call = %context.spec.id, ?wait, "the carrier is asked once more");
            dial(app, context, wanted, number).await
        }
        Ok(()) => asked,
        Err(error) => {
            tracing::warn!(call = %context.spec.id, %error, "the carrier is not asked once more");
            asked
        }
    }
}

/// Asks the carrier to dial.
async fn dial(
    app: &App,
    context: &CallContext,
    wanted: &Wanted,
    number: &Known,
) -> Result<(), CarrierError> {
    let Some(line) = &context.spec.line else { return Ok(()) };
    let options = &context.spec.options;
    let place = Place {
        from: number.view.number.clone(),
        to: wanted.to.clone(),
        ring: line.ring.unwrap_or(number.view.ring_timeout),
        time_limit: options.max_duration.saturating_add(TIME_TO_END),
        extension: wanted.extension.clone(),
        detection: wanted.detection.clone().filter(|_| options.voicemail.is_some()),
        record: wanted.record,
        recording_channels: wanted.recording_channels.clone(),
    };
    let asked = line.client().place(&place, &line.media()).await;
    begin::learn_id(app, context, &asked?).await;
    Ok(())
}

/// How long after the first time a request is known again by its id. Telnyx ignores a command that it has
/// seen within 60 s (Voice API, "Receiving webhooks"); the rest is for the request's way there.
const KNOWN_AGAIN: Duration = Duration::from_secs(45);

/// Asks for a call again that its carrier may have been asked for, where the carrier takes both for one
/// request. `since_ms`: not after the first time. True: the carrier has the call, and its id is known.
pub async fn ask_again(app: &App, org: &str, id: Uuid, request: Value, since_ms: i64) -> bool {
    let Some(context) = app.node.call(id).filter(|context| !context.leg.was_connected()) else {
        return false;
    };
    let Some(line) = context.spec.line.as_ref() else { return false };
    let passed = Duration::from_millis(u64::try_from(now_ms() - since_ms).unwrap_or(u64::MAX));
    if line.carrier() != Carrier::Telnyx || passed > KNOWN_AGAIN {
        return false;
    }
    let Ok(wanted) = read(app, org, request).await else { return false };
    let number = wanted.numbers.iter().find(|number| number.view.number == line.number);
    let Some(number) = number else { return false };
    let mut asked = dial(app, &context, &wanted, number).await;
    if let Some(wait) = asked.as_ref().err().and_then(CarrierError::pause) {
        sleep(wait).await;
        asked = dial(app, &context, &wanted, number).await;
    }
    match asked {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(call = %id, %error, "a carrier was asked again for a call");
            false
        }
    }
}

/// How long a call may go on at its carrier after the assistant's limit: its last words.
const TIME_TO_END: Duration = Duration::from_secs(120);

async fn launched(app: &App, prepared: Prepared, dialled: Dialled) -> Placed {
    let context = prepared.context.clone();
    match app.node.launch(prepared).await {
        Started::Running => {}
        Started::Ended { .. } => {
            // Somebody's phone rings for nobody.
            if let Some(line) = &context.spec.line
                && let Err(error) = line.hang_up().await
            {
                tracing::error!(call = %context.spec.id, %error, "the carrier did not end the call");
            }
            context.carrier_reports(Step::Ended(Ending::Canceled));
        }
    }
    let record = context.record().clone();
    Placed { id: context.spec.id, record, dialled }
}

/// Answers a client whose call was not placed.
pub fn answer(error: PlaceError) -> Response {
    match error {
        PlaceError::Bad(answer) | PlaceError::NotNow(answer) => answer,
        PlaceError::NoSlot(refusal) => no_slot(&refusal),
    }
}

/// Answers a client for whose call there is no slot.
pub fn no_slot(refusal: &Refusal) -> Response {
    let instead = match refusal {
        Refusal::Full { scope, .. } | Refusal::Never { scope } => match scope {
            Scope::Node => "try again when a call has ended, or raise calls.concurrency_limit",
            Scope::Org(_) => {
                "try again when a call has ended, or raise calls.concurrency_limit_per_org"
            }
            Scope::Assistant(_) | Scope::Number(_) => {
                "try again when a call of it has ended, or raise its concurrencyLimit"
            }
            Scope::Campaign(_) => "try again when a call of it has ended",
        },
        Refusal::TooFast { .. } => "try again in a second, or raise the rate in the settings",
        Refusal::QueueFull { .. } => "try again when fewer wait",
    };
    reply::error(ApiError::too_many_requests(format!("{refusal}: {instead}")))
}
