//! The carrier's end of calls: set up for a new one, and again for one that a former process left.

use std::{sync::Arc, time::Duration};

use offhook_actors::{
    CallContext, CallCount, CallKeys, PhoneLine, PhoneLineOptions, Vault, end_at_carrier,
};
use offhook_api::{
    AssistantView, CallDocument, Destination, NumberProvider, Party, PhoneNumberView, ServerTarget,
};
use offhook_config::Settings;
use offhook_core::{EndedReason, FailureClass};
use offhook_media::AudioFormat;
use offhook_store::{Document, Kind, Place};
use offhook_transports::carrier::{
    self, Addresses, Carrier, CarrierError, Client, Ending, NumberAddresses, Step,
};
use serde_json::{Value, json};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    Node, Slots,
    numbers::{CarrierAccount, StoredNumber, carrier_account, carrier_account_of},
    recover::Treeless,
};

/// The carrier that drives a number's calls; `None`: none does, they go over SIP.
pub fn carrier_of(provider: NumberProvider) -> Option<Carrier> {
    match provider {
        NumberProvider::Twilio => Some(Carrier::Twilio),
        NumberProvider::Telnyx => Some(Carrier::Telnyx),
        NumberProvider::Vonage => Some(Carrier::Vonage),
        NumberProvider::Byo => None,
    }
}

/// What a number's calls are driven with; `base` is the address that the world knows us by.
pub fn client_of(
    account: &CarrierAccount,
    number: &PhoneNumberView,
    base: &str,
) -> Result<Client, CarrierError> {
    Ok(match account {
        CarrierAccount::Twilio(account) => Client::Twilio(account.client()?),
        CarrierAccount::Telnyx(account) => Client::Telnyx {
            client: account.client()?,
            connection_id: number.application_id.clone().or(account.application_id.clone()),
            events: number.id.as_ref().map(|id| NumberAddresses::new(base, id)),
        },
        CarrierAccount::Vonage(account) => Client::Vonage(account.client()?),
    })
}

/// Counts calls of an account's towards its rate that need no slot.
pub fn count_calls(slots: &Slots, account: &CarrierAccount) -> CallCount {
    let (slots, account) = (slots.clone(), account.counted_as());
    Box::new(move || slots.count_call(&account))
}

/// Whether a carrier picks a call up by itself that it asks us about; Telnyx is told to, and reports it.
pub fn picks_up(carrier: Carrier) -> bool {
    match carrier {
        Carrier::Twilio | Carrier::Vonage => true,
        Carrier::Telnyx => false,
    }
}

/// The `transport` of a call's document: its carrier, and the audio where that is not the usual one.
pub fn transport_of(number: &PhoneNumberView) -> Value {
    let mut transport = json!({"provider": number.provider.name(), "conversationType": "voice"});
    if let Some(audio) = &number.audio {
        transport["audioFormat"] = audio.to_json();
    }
    transport
}

/// A destination as carriers take it.
pub fn destination_of(destination: &Destination) -> carrier::Destination {
    match &destination.to {
        Party::Number { number, extension } => {
            carrier::Destination::Number { number: number.clone(), extension: extension.clone() }
        }
        Party::Sip { uri, headers } => {
            carrier::Destination::Sip { uri: uri.clone(), headers: headers.clone() }
        }
    }
}

/// The server of the settings, which is told what no document's server is.
pub fn server(settings: &Settings) -> Option<ServerTarget> {
    let url = settings.webhooks.url.clone()?;
    let timeout = settings.webhooks.timeout;
    Some(ServerTarget { timeout, ..ServerTarget::from_url(url, None) })
}

/// Why a call of a carrier's cannot go on here.
pub(crate) struct Obstacle {
    pub problem: String,
    /// Why it ended, where the carrier said so.
    pub reason: Option<EndedReason>,
}

impl From<String> for Obstacle {
    fn from(problem: String) -> Self {
        Self { problem, reason: None }
    }
}

/// How long a carrier may take to say what became of a call: callers wait for the server to be up. It is
/// asked again when nobody brings the audio.
const ANSWER_DUE: Duration = Duration::from_secs(1);

/// Sets up the carrier's end of a call that a former process left, unless it is over by now.
pub(crate) async fn line_again(
    node: &Node,
    org: &str,
    record: &CallDocument,
    keys: &CallKeys,
    format: AudioFormat,
    was_connected: bool,
) -> Result<(Arc<PhoneLine>, Option<ServerTarget>), Obstacle> {
    let base = node.settings().server.public_url.clone();
    let base = base.ok_or_else(|| "server.public_url is not set".to_owned())?;
    let id = record.id().unwrap_or_default();
    let (view, account) = number_again(node, org, record, keys).await?;
    let client = client_of(&account, &view, &base).map_err(|error| error.to_string())?;
    let document = record.as_value();
    let carrier_id = document["phoneCallProviderId"].as_str().map(str::to_owned);
    let is_inbound = document["type"] == "inboundPhoneCall";
    let is_answered = was_connected || (is_inbound && picks_up(client.carrier()));
    let line = PhoneLine::new(PhoneLineOptions {
        client,
        addresses: Addresses::new(&base, &id.to_string()),
        format,
        number: view.number.clone(),
        ring: (!is_inbound).then_some(view.ring_timeout),
        is_answered,
        id: carrier_id.clone(),
        count_call: count_calls(node.slots(), &account),
    });
    // One whose id never came is told by the carrier's own questions and reports, or rings out.
    if carrier_id.is_none() {
        return Ok((Arc::new(line), view.server));
    }
    let step = match timeout(ANSWER_DUE, line.ask()).await {
        Ok(Ok(step)) => step.unwrap_or(Step::Ended(Ending::Completed)),
        Ok(Err(error)) => {
            tracing::warn!(call = %id, %error, "what became of the call is unknown, it is taken up");
            return Ok((Arc::new(line), view.server));
        }
        Err(_) => {
            tracing::warn!(call = %id, wait = ?ANSWER_DUE, "its carrier does not say what became of \
                the call, it is taken up");
            return Ok((Arc::new(line), view.server));
        }
    };
    match line.note(step) {
        Some(carrier::Change::Ended(reason)) => Err(Obstacle {
            problem: "the carrier says that it is over".into(),
            reason: Some(reason),
        }),
        None | Some(carrier::Change::Ringing | carrier::Change::Answered) => {
            Ok((Arc::new(line), view.server))
        }
    }
}

/// Ends a call at its carrier that cannot go on here: some carriers would leave the caller in silence.
pub(crate) async fn hang_up_left(node: &Node, org: &str, record: &CallDocument, keys: &CallKeys) {
    let Some(id) = record.as_value()["phoneCallProviderId"].as_str() else { return };
    let over = async {
        let (view, account) = number_again(node, org, record, keys).await?;
        let base = node.settings().server.public_url.clone().unwrap_or_default();
        let client = client_of(&account, &view, &base).map_err(|error| error.to_string())?;
        end_at_carrier(&client, id).await.map_err(|error| error.to_string())
    };
    if let Err(problem) = over.await {
        tracing::error!(call = ?record.id(), problem, "a call that cannot go on is up at its carrier");
        metrics::counter!("offhook_hang_ups_failed_total").increment(1);
    }
}

/// The number of a call, and what its carrier is reached with by now.
async fn number_again(
    node: &Node,
    org: &str,
    record: &CallDocument,
    keys: &CallKeys,
) -> Result<(PhoneNumberView, CarrierAccount), String> {
    let carriers = &node.settings().carriers;
    let document = record.as_value();
    if let Some(sealed) = &keys.phone_number {
        let id = record.id().unwrap_or_default();
        let brought = open_number(node.vault(), org, id, sealed.clone());
        let brought = brought.map_err(|error| error.to_string())?;
        let account = carrier_account_of(node.vault(), carriers, org, &brought).await;
        let view = PhoneNumberView::read(&brought).ok_or("its phoneNumber cannot be read")?;
        return Ok((view, account.map_err(|error| error.to_string())?));
    }
    let id = document["phoneNumberId"].as_str().and_then(|id| Uuid::try_parse(id).ok());
    let id = id.ok_or("its document names no phone number")?;
    let number = StoredNumber::find(node.store(), [org], id).await;
    let number = number.map_err(|error| error.to_string())?;
    let number = number.ok_or("its phone number was deleted")?;
    let account = carrier_account(node.vault(), carriers, &number).await;
    let mut opened = number.document.clone();
    let place = Place { org, kind: Kind::PhoneNumber, id: number.id };
    node.vault().open(place, &mut opened).map_err(|error| error.to_string())?;
    let view = PhoneNumberView::read(&opened).ok_or("its phone number cannot be read")?;
    Ok((view, account.map_err(|error| error.to_string())?))
}

/// The number that a call brought itself, sealed to outlive the process.
pub fn seal_number(
    vault: &Vault,
    org: &str,
    call: Uuid,
    number: &Value,
) -> Result<Value, offhook_actors::VaultError> {
    let mut sealed = number.clone();
    vault.seal(place_of_number(org, call), &mut sealed)?;
    Ok(sealed)
}

/// The same, opened.
pub fn open_number(
    vault: &Vault,
    org: &str,
    call: Uuid,
    mut number: Value,
) -> Result<Value, offhook_actors::VaultError> {
    vault.open(place_of_number(org, call), &mut number)?;
    Ok(number)
}

/// A number's own fields are secrets, whoever brings it.
const fn place_of_number(org: &str, call: Uuid) -> Place<'_> {
    Place { org, kind: Kind::PhoneNumber, id: call }
}

impl Node {
    /// The organisation's running call that the carrier knows by this id. Whoever signed as one
    /// organisation's carrier says nothing of another's calls.
    pub fn call_of_carrier(
        &self,
        org: &str,
        carrier: Carrier,
        id: &str,
    ) -> Option<Arc<CallContext>> {
        self.calls().into_iter().find(|context| {
            let line = context.spec.line.as_ref().filter(|_| context.spec.org == org);
            line.is_some_and(|line| line.carrier() == carrier && line.id().as_deref() == Some(id))
        })
    }

    /// Writes down a call that ended before anybody answered it, and reports it to `server`.
    pub async fn end_unanswered(
        &self,
        org: &str,
        record: CallDocument,
        server: Option<ServerTarget>,
        reason: &EndedReason,
        message: &str,
    ) -> Result<(), offhook_store::StoreError> {
        let created_ms = record.created_at_ms();
        let stored = Document {
            org: org.to_owned(),
            kind: Kind::Call,
            id: record.id().unwrap_or_default(),
            created_at_ms: created_ms,
            updated_at_ms: created_ms,
            body: record.as_value().clone(),
        };
        self.store().put(stored).await?;
        let Ok(assistant) = AssistantView::new(json!({})) else { return Ok(()) };
        let call = Treeless {
            org,
            assistant: &assistant,
            server,
            preamble: &[],
            history: &[],
            created_ms,
            reason,
            message,
        };
        call.end(self.store(), self.outbox(), record).await;
        Ok(())
    }
}

/// What a carrier's refusal to place a call ends the call with.
pub fn refusal_reason(carrier: Carrier, error: &CarrierError) -> EndedReason {
    let is_number = matches!(error.code.as_deref(), Some("21211" | "21214" | "21217" | "13224"));
    match (carrier, error.class) {
        (Carrier::Twilio, FailureClass::BadRequest) if is_number => {
            EndedReason::TwilioReportedCustomerMisdialed
        }
        (Carrier::Twilio, _) => EndedReason::TwilioFailedToConnectCall,
        (Carrier::Vonage, _) => EndedReason::VonageFailedToConnectCall,
        (Carrier::Telnyx, _) => EndedReason::OutboundCallFailedToConnect,
    }
}

#[cfg(test)]
mod tests {
    use offhook_store::{Faults, Store};
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn the_keys_of_a_number_that_a_call_brings_are_sealed_on_disk() {
        let key = SecretString::from("A".repeat(43) + "=");
        let vault = Vault::new(Store::in_memory(Faults::default()), Some(&key)).unwrap();
        let number = json!({"twilioPhoneNumber": "+14155550100", "twilioAccountSid": "AC1",
            "twilioAuthToken": "do not tell"});
        let sealed = seal_number(&vault, "org", Uuid::nil(), &number).unwrap();
        assert!(!sealed.to_string().contains("do not tell"), "{sealed}");
        assert_eq!(open_number(&vault, "org", Uuid::nil(), sealed).unwrap(), number);
    }
}
