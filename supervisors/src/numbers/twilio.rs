//! Numbers at Twilio: each has its own addresses.

use super::{
    account::TwilioAccount,
    setup::{Addresses, Mismatch, SetupError, Subject, differs},
};

const NOT_OWNED: SetupError = SetupError::NotOwned("Twilio");

pub(super) async fn set_up(
    account: &TwilioAccount,
    subject: &Subject<'_>,
) -> Result<(), SetupError> {
    let client = account.client()?;
    let found = client.number(subject.number).await?.ok_or(NOT_OWNED)?;
    let Addresses { voice, events } = &subject.addresses;
    // Twilio asks the same address again when the first answer fails: a server that is just being
    // started anew is up by then.
    client.configure_number(&found.sid, voice, Some(voice), events).await?;
    Ok(())
}

pub(super) async fn check(
    account: &TwilioAccount,
    subject: &Subject<'_>,
) -> Result<Vec<Mismatch>, SetupError> {
    let found = account.client()?.number(subject.number).await?.ok_or(NOT_OWNED)?;
    let Addresses { voice, events } = &subject.addresses;
    // With either of them the addresses count for nothing.
    let instead = |field, found: Option<String>| {
        found.map(|found| Mismatch { field, found: Some(found), expected: "none".into() })
    };
    Ok([
        instead("Configure with: SIP Trunk", found.trunk_sid),
        instead("Configure with: TwiML App", found.voice_application_sid),
        differs("A call comes in", found.voice_url.as_deref(), voice),
        differs("Primary handler fails", found.voice_fallback_url.as_deref(), voice),
        differs("Call status changes", found.status_callback.as_deref(), events),
    ]
    .into_iter()
    .flatten()
    .collect())
}

pub(super) async fn release(
    account: &TwilioAccount,
    subject: &Subject<'_>,
) -> Result<(), SetupError> {
    let client = account.client()?;
    let Some(found) = client.number(subject.number).await? else { return Ok(()) };
    // Somebody else's by now.
    if found.voice_url.as_deref() != Some(subject.addresses.voice.as_str()) {
        return Ok(());
    }
    client.configure_number(&found.sid, "", None, "").await?;
    Ok(())
}

pub(super) fn by_hand(number: &str, at: &Addresses) -> Vec<String> {
    let Addresses { voice, events } = at;
    vec![
        format!(
            "Twilio console, Phone Numbers > Manage > Active numbers > {number} > Voice \
             Configuration: `Configure with` Webhook, TwiML Bin, Function, Studio Flow, Proxy \
             Service"
        ),
        format!("`A call comes in`: Webhook, {voice}, HTTP POST"),
        format!("`Primary handler fails`: Webhook, {voice}, HTTP POST"),
        format!("`Call status changes`: {events}, HTTP POST"),
    ]
}
