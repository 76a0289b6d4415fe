//! Whether carriers send the calls of the stored phone numbers here: each is asked, and what is
//! wrong is named as the carrier's pages name it.

use std::{net::SocketAddr, path::Path, time::Duration};

use futures_util::{StreamExt, stream};
use offhook_actors::Vault;
use offhook_config::Settings;
use offhook_store::Store;
use offhook_supervisors::numbers::{Exchange, StoredNumber};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::time::timeout;

use super::{Finding, documents};
use crate::{
    auth::{self, Organisation, organisations},
    client::Client,
};

/// Numbers of one organisation that are looked at, the newest first: what the API gives at once.
const NUMBERS_MAX: usize = 1_000;

/// Carriers asked at once: enough to be quick, and below the rates that they allow an account.
const PARALLEL_MAX: usize = 4;

/// Time for asking about all numbers.
const LIMIT: Duration = Duration::from_secs(120);

const SUBJECT: &str = "phone numbers";

/// A number's document, and what its carrier says.
type Reported = (Value, Value);

/// Looks at every stored number; `running_at` is where the server answers, when it runs.
pub async fn examine(settings: &Settings, running_at: Option<SocketAddr>) -> Vec<Finding> {
    let organisations = organisations(settings);
    let asking = async {
        match running_at {
            Some(address) => through_the_api(address, &organisations).await,
            None => from_the_store(settings, &organisations).await,
        }
    };
    let asked = timeout(LIMIT, asking).await;
    let late = || Err(format!("not all carriers answered within {} s", LIMIT.as_secs()));
    match asked.unwrap_or_else(|_| late()) {
        Ok(reported) => reported.iter().map(finding).collect(),
        Err(reason) => {
            let advice = "run it as the server's user, with the server's settings, so that the \
                          carriers of stored numbers can be asked";
            vec![Finding::warning(SUBJECT, reason, advice)]
        }
    }
}

fn finding((number, report): &Reported) -> Finding {
    let subject = number["number"].as_str().or_else(|| number["name"].as_str());
    let subject = subject.unwrap_or_else(|| number["id"].as_str().unwrap_or(SUBJECT));
    let provider = number["provider"].as_str().unwrap_or_default();
    let instructions: Vec<&str> =
        report["instructions"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let advice = instructions.join("; ");
    if report["pointsHere"] == true {
        let found = format!("{provider} sends its calls here");
        return match instructions.is_empty() {
            true => Finding::ok(subject, found),
            false => Finding::problem(subject, format!("{found}, where they are refused"), advice),
        };
    }
    // Numbers that no version of this server rings are no fault of the setup.
    if provider == "byo-phone-number" {
        let found = report["problem"].as_str().unwrap_or_default();
        return Finding::warning(subject, found, "it is kept for a later version, or delete it");
    }
    let mut found: Vec<String> =
        report["problem"].as_str().map(str::to_owned).into_iter().collect();
    found.extend(report["mismatches"].as_array().into_iter().flatten().map(|wrong| {
        let text = |field: &str| wrong[field].as_str().unwrap_or("nothing");
        format!("`{}` is {}, expected {}", text("field"), text("found"), text("expected"))
    }));
    Finding::problem(subject, format!("{provider}: {}", found.join("\n")), advice)
}

async fn through_the_api(
    address: SocketAddr,
    organisations: &[Organisation],
) -> Result<Vec<Reported>, String> {
    let mut all = Vec::new();
    for key in organisations.iter().filter_map(|organisation| organisation.key.as_ref()) {
        let client = Client::new(&format!("http://{address}"), key.expose_secret())?;
        let listed = client.get(&format!("/phone-number?limit={NUMBERS_MAX}")).await?;
        let numbers = listed.as_array().cloned().unwrap_or_default().into_iter();
        let asked = numbers.map(|number| {
            let client = client.clone();
            async move {
                let id = number["id"].as_str().unwrap_or_default();
                let report = client.get(&format!("/phone-number/{id}/carrier")).await?;
                Ok::<_, String>((number, report))
            }
        });
        let reported: Vec<_> = stream::iter(asked).buffered(PARALLEL_MAX).collect().await;
        all.extend(reported.into_iter().collect::<Result<Vec<_>, _>>()?);
    }
    Ok(all)
}

async fn from_the_store(
    settings: &Settings,
    organisations: &[Organisation],
) -> Result<Vec<Reported>, String> {
    let Some(store) = documents::open(&settings.store.path).await? else { return Ok(Vec::new()) };
    let reported = report(settings, &store, organisations).await;
    let closed = store.close().await;
    let reported = reported?;
    closed.map_err(|error| error.to_string())?;
    Ok(reported)
}

async fn report(
    settings: &Settings,
    store: &Store,
    organisations: &[Organisation],
) -> Result<Vec<Reported>, String> {
    let key = secret_key(settings)?;
    let vault = Vault::new(store.clone(), key.as_ref())?;
    let exchange = Exchange { store, vault: &vault, settings };
    let mut all = Vec::new();
    for Organisation { id, .. } in organisations {
        let numbers = StoredNumber::all(store, id).await.map_err(|error| error.to_string())?;
        let asked: Vec<_> = numbers
            .iter()
            .take(NUMBERS_MAX)
            .map(async |number| (number.document.clone(), exchange.report(number).await))
            .collect();
        let reported: Vec<_> = stream::iter(asked).buffered(PARALLEL_MAX).collect().await;
        all.extend(reported);
    }
    Ok(all)
}

/// The key that the server seals secrets with; none is made here.
fn secret_key(settings: &Settings) -> Result<Option<SecretString>, String> {
    let folder: &Path = &settings.store.path;
    match &settings.store.secret_key {
        Some(key) => Ok(Some(key.clone())),
        None if auth::has_secret_key(folder) => auth::generated_secret_key(folder).map(Some),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::State, *};

    #[test]
    fn a_number_that_does_not_ring_has_the_wrong_field_named() {
        let number = json!({"number": "+14155550100", "provider": "twilio"});
        let wrong = json!({"pointsHere": false, "problem": null, "instructions": ["do this", "or that"],
            "mismatches": [{"field": "A call comes in", "found": null, "expected": "https://a/x"}]});
        let found = finding(&(number.clone(), wrong));
        assert_eq!((found.subject.as_str(), found.state), ("+14155550100", State::Problem));
        assert_eq!(found.found, "twilio: `A call comes in` is nothing, expected https://a/x");
        assert_eq!(found.advice.as_deref(), Some("do this; or that"));

        let right = json!({"pointsHere": true, "mismatches": [], "instructions": []});
        assert_eq!(finding(&(number.clone(), right)).state, State::Ok);
        let deaf = json!({"pointsHere": true, "mismatches": [], "instructions": ["give a key"]});
        let found = finding(&(number, deaf));
        assert_eq!((found.state, found.advice.as_deref()), (State::Problem, Some("give a key")));
    }

    #[test]
    fn a_number_of_a_trunk_is_no_problem_of_the_setup() {
        let number = json!({"name": "trunk", "provider": "byo-phone-number"});
        let report = json!({"pointsHere": false, "problem": "calls go over SIP"});
        let found = finding(&(number, report));
        assert_eq!((found.subject.as_str(), found.state), ("trunk", State::Warning));
    }
}
