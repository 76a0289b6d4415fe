//! Numbers at Telnyx: a number is connected with an application, whose webhooks come to one address.
//!
//! Without an application of the owner's choice each number gets one of its own, which goes with it.

use offhook_transports::carrier::telnyx::{Telnyx, TelnyxApplication};

use super::{
    account::TelnyxAccount,
    setup::{Addresses, Mismatch, SetupError, Subject, differs},
};

const NOT_OWNED: SetupError = SetupError::NotOwned("Telnyx");

/// The application that the number is connected with, and what is to be known about it.
pub(super) async fn set_up(
    account: &TelnyxAccount,
    subject: &Subject<'_>,
) -> Result<(Option<String>, Vec<String>), SetupError> {
    let client = account.client()?;
    let found = client.number(subject.number).await?.ok_or(NOT_OWNED)?;
    let application = application(&client, account, subject).await?;
    let url = application.webhook_url.as_deref();
    if !subject.is_served_at(url, url) {
        let url = &subject.addresses.events;
        client.configure_application(&application.id, &application.name, url).await?;
    }
    if found.connection_id.as_deref() != Some(application.id.as_str()) {
        client.configure_number(&found.id, &application.id).await?;
    }
    let is_made = account.application_id.is_none();
    let note = (is_made && account.outbound_voice_profile_id.is_none()).then(|| {
        format!(
            "the number takes calls; to place some, open Telnyx portal, Voice > Outbound Voice \
             Profiles > your profile > Associated Connections and Applications, and add \
             application {} (or give the credential outboundVoiceProfileId before the number is \
             created)",
            application.id
        )
    });
    Ok((Some(application.id), note.into_iter().collect()))
}

/// The owner's application, the one that was made before, or a new one.
async fn application(
    client: &Telnyx,
    account: &TelnyxAccount,
    subject: &Subject<'_>,
) -> Result<TelnyxApplication, SetupError> {
    if let Some(id) = &account.application_id {
        let known = client.application(id).await?;
        return known.ok_or_else(|| SetupError::NoApplication(id.clone()));
    }
    if let Some(id) = subject.application_id
        && let Some(known) = client.application(id).await?
        && known.name == name_of(subject)
    {
        return Ok(known);
    }
    let profile = account.outbound_voice_profile_id.as_deref();
    let url = &subject.addresses.events;
    Ok(client.create_application(&name_of(subject), url, profile).await?)
}

/// What an application is called that is made for a number.
fn name_of(subject: &Subject<'_>) -> String {
    format!("offhook {}", subject.id)
}

pub(super) async fn check(
    account: &TelnyxAccount,
    subject: &Subject<'_>,
) -> Result<Vec<Mismatch>, SetupError> {
    const CONNECTION: &str = "Connection or App";
    let client = account.client()?;
    let found = client.number(subject.number).await?.ok_or(NOT_OWNED)?;
    let expected = account.application_id.as_deref().or(subject.application_id);
    let Some(connection) = &found.connection_id else {
        let expected = expected.unwrap_or("an application whose webhooks come here");
        return Ok(differs(CONNECTION, None, expected).into_iter().collect());
    };
    let Some(application) = client.application(connection).await? else {
        let expected = expected.unwrap_or("a Voice API (Call Control) application");
        return Ok(differs(CONNECTION, Some(connection), expected).into_iter().collect());
    };
    let url = application.webhook_url.as_deref();
    if subject.is_served_at(url, url) {
        return Ok(Vec::new());
    }
    let wrong = differs("Send a webhook to the URL", url, &subject.addresses.events);
    Ok(wrong.into_iter().collect())
}

pub(super) async fn release(
    account: &TelnyxAccount,
    subject: &Subject<'_>,
) -> Result<(), SetupError> {
    let client = account.client()?;
    let Some(found) = client.number(subject.number).await? else { return Ok(()) };
    let Some(connection) = &found.connection_id else { return Ok(()) };
    let Some(application) = client.application(connection).await? else { return Ok(()) };
    let url = application.webhook_url.as_deref();
    if !subject.is_served_at(url, url) {
        return Ok(());
    }
    client.release_number(&found.id).await?;
    if application.name == name_of(subject) {
        client.delete_application(&application.id).await?;
    } else if url == Some(subject.addresses.events.as_str())
        && let Some(successor) = subject.successor(&application.id)
    {
        let url = &successor.events;
        client.configure_application(&application.id, &application.name, url).await?;
    }
    Ok(())
}

pub(super) fn by_hand(number: &str, at: &Addresses) -> Vec<String> {
    let url = &at.events;
    vec![
        format!(
            "Telnyx portal, Voice > Programmable Voice > Voice API Applications > Create (or open \
             yours): `Send a webhook to the URL` {url}, `Webhook API Version` API v2"
        ),
        format!("Numbers > My Numbers > {number}: `Connection or App` that application"),
        "to place calls too: Voice > Outbound Voice Profiles > your profile > Associated \
         Connections and Applications: that application"
            .into(),
    ]
}
