//! Numbers at Vonage: a number is linked to an application, which asks one address for all of them.

use super::{
    account::VonageAccount,
    setup::{Addresses, Mismatch, SetupError, Subject, differs},
};

const NOT_OWNED: SetupError = SetupError::NotOwned("Vonage");

/// The application that the number is linked to.
pub(super) async fn set_up(
    account: &VonageAccount,
    subject: &Subject<'_>,
) -> Result<String, SetupError> {
    let client = account.client()?;
    let found = client.number(subject.number).await?.ok_or(NOT_OWNED)?;
    let [answer, event] = client.application_urls().await?;
    if !subject.is_served_at(answer.as_deref(), event.as_deref()) {
        let Addresses { voice, events } = &subject.addresses;
        client.configure_application(voice, events).await?;
    }
    let is_linked = found.application_id.as_ref() == Some(&account.application_id);
    if !is_linked || found.forwarded_to.is_some() {
        client.configure_number(subject.number, &found).await?;
    }
    Ok(account.application_id.clone())
}

pub(super) async fn check(
    account: &VonageAccount,
    subject: &Subject<'_>,
) -> Result<Vec<Mismatch>, SetupError> {
    let client = account.client()?;
    let found = client.number(subject.number).await?.ok_or(NOT_OWNED)?;
    let linked = found.application_id.as_deref();
    let mut wrong: Vec<Mismatch> =
        differs("Link numbers", linked, &account.application_id).into_iter().collect();
    wrong.extend(found.forwarded_to.map(|to| Mismatch {
        field: "Forward to",
        found: Some(to),
        expected: "none".into(),
    }));
    let [answer, event] = client.application_urls().await?;
    if !subject.is_served_at(answer.as_deref(), event.as_deref()) {
        let Addresses { voice, events } = &subject.addresses;
        wrong.extend(differs("Answer URL", answer.as_deref(), voice));
        wrong.extend(differs("Event URL", event.as_deref(), events));
    }
    Ok(wrong)
}

pub(super) async fn release(
    account: &VonageAccount,
    subject: &Subject<'_>,
) -> Result<(), SetupError> {
    let client = account.client()?;
    let Some(found) = client.number(subject.number).await? else { return Ok(()) };
    // Somebody else's by now.
    if found.application_id.as_ref() != Some(&account.application_id) {
        return Ok(());
    }
    client.release_number(subject.number, &found).await?;
    let [answer, _] = client.application_urls().await?;
    if answer.as_deref() == Some(subject.addresses.voice.as_str())
        && let Some(successor) = subject.successor(&account.application_id)
    {
        client.configure_application(&successor.voice, &successor.events).await?;
    }
    Ok(())
}

pub(super) fn by_hand(number: &str, at: &Addresses) -> Vec<String> {
    let Addresses { voice, events } = at;
    vec![
        format!(
            "Vonage dashboard, Build > Applications > your application > Edit > Capabilities > \
             Voice: `Answer URL` {voice}, HTTP POST; `Fallback URL` the same; `Event URL` {events}, \
             HTTP POST; `Use signed webhooks` on"
        ),
        format!("Build > Applications > your application > Link numbers: {number}"),
        format!("Build > Numbers > Your numbers > {number} > Edit: nothing in `Forward to`"),
    ]
}
