//! Whose keys count for a number: its own, those of a credential, the operator's.
//!
//! Keys of different accounts are never mixed: Twilio's are told apart by the account they are of,
//! Vonage's by the account's key. What the operator set completes an account of a credential only
//! where it is the same one.

use offhook_api::NumberProvider;
use offhook_config::{TelnyxSettings, TwilioSettings, VonageSettings};
use offhook_transports::{carrier::vonage::REST_BASE_URL, signature::telnyx::PublicKey};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::account::{TelnyxAccount, TwilioAccount, VonageAccount, base_url};

fn text(document: &Value, field: &str) -> Option<String> {
    let text = document.get(field).and_then(Value::as_str);
    text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn secret(document: &Value, field: &str) -> Option<SecretString> {
    text(document, field).map(SecretString::from)
}

/// Keys of one account at Twilio.
struct TwilioSource {
    account_sid: Option<String>,
    auth_token: Option<SecretString>,
    api_key: Option<(String, SecretString)>,
}

/// What is missing, as an error.
pub(super) fn twilio(
    number: &Value,
    credentials: &[Value],
    settings: &TwilioSettings,
) -> Result<TwilioAccount, String> {
    let api_key = |document, key, of| Some((text(document, key)?, secret(document, of)?));
    let mut sources = vec![TwilioSource {
        account_sid: text(number, "twilioAccountSid"),
        auth_token: secret(number, "twilioAuthToken"),
        api_key: api_key(number, "twilioApiKey", "twilioApiSecret"),
    }];
    sources.extend(credentials.iter().map(|credential| TwilioSource {
        account_sid: text(credential, "accountSid"),
        auth_token: secret(credential, "authToken"),
        api_key: api_key(credential, "apiKey", "apiSecret"),
    }));
    let operators = settings.api_key.as_ref().zip(settings.api_secret.clone());
    sources.push(TwilioSource {
        account_sid: settings.account_sid.clone(),
        auth_token: settings.auth_token.clone(),
        api_key: operators.map(|(key, secret)| (key.expose_secret().to_owned(), secret)),
    });
    let account_sid = sources.iter().find_map(|source| source.account_sid.clone());
    let account_sid = account_sid.ok_or("no twilioAccountSid is given")?;
    sources.retain(|source| source.account_sid.as_ref() == Some(&account_sid));
    let of_operator = settings.account_sid.as_ref() == Some(&account_sid);
    let (user, password) = sources
        .iter()
        .find_map(|source| {
            let token = source.auth_token.clone().map(|token| (account_sid.clone(), token));
            source.api_key.clone().or(token)
        })
        .ok_or_else(|| {
            format!(
                "there is no key of account {account_sid}: give the number twilioAuthToken (or \
                 twilioApiKey and twilioApiSecret), store a credential of provider `twilio` with \
                 this accountSid, or set carriers.twilio.account_sid and .auth_token"
            )
        })?;
    let signing_keys = match of_operator {
        true => settings.signing_keys.iter().map(pair).collect::<Option<Vec<_>>>(),
        false => Some(Vec::new()),
    };
    let signing_keys = signing_keys.ok_or(
        "each of carriers.twilio.signing_keys must be the id of a key, a colon, its secret",
    )?;
    Ok(TwilioAccount {
        base_url: base_url(settings.base_url.as_ref(), NumberProvider::Twilio),
        auth_token: sources.iter().find_map(|source| source.auth_token.clone()),
        signing_keys,
        account_sid,
        user,
        password,
    })
}

/// The id of a key, and its secret.
fn pair(key: &SecretString) -> Option<(String, String)> {
    let (id, secret) = key.expose_secret().split_once(':')?;
    (!id.is_empty() && !secret.is_empty()).then(|| (id.to_owned(), secret.to_owned()))
}

pub(super) fn telnyx(
    credentials: &[Value],
    settings: &TelnyxSettings,
) -> Result<TelnyxAccount, String> {
    let base_url = base_url(settings.base_url.as_ref(), NumberProvider::Telnyx);
    let key = |text: String| PublicKey::parse(&text);
    let public_key = settings.public_key.clone().map(key).transpose()?;
    let with_key = credentials.iter().find_map(|it| Some((it, secret(it, "apiKey")?)));
    if let Some((credential, api_key)) = with_key {
        let own = text(credential, "publicKey").map(key).transpose()?;
        // The operator's public key checks what comes to a credential without one: that of another
        // account believes nothing.
        return Ok(TelnyxAccount {
            base_url,
            api_key,
            public_key: own.or(public_key),
            application_id: text(credential, "applicationId"),
            outbound_voice_profile_id: text(credential, "outboundVoiceProfileId"),
        });
    }
    let api_key = settings.api_key.clone().ok_or(
        "there is no API key: name a credential of provider `telnyx` in credentialId, or set \
         carriers.telnyx.api_key",
    )?;
    Ok(TelnyxAccount {
        base_url,
        api_key,
        public_key,
        application_id: settings.application_id.clone(),
        outbound_voice_profile_id: settings.outbound_voice_profile_id.clone(),
    })
}

pub(super) fn vonage(
    credentials: &[Value],
    settings: &VonageSettings,
) -> Result<VonageAccount, String> {
    let with_key = credentials.iter().find_map(|it| Some((it, text(it, "apiKey")?)));
    let operators = settings.api_key.as_ref().map(|key| key.expose_secret().to_owned());
    let (credential, api_key) = match (with_key, &operators) {
        (Some((credential, key)), _) => (credential, key),
        (None, Some(key)) => (&Value::Null, key.clone()),
        (None, None) => {
            return Err("there is no key: name a credential of provider `vonage` in \
                        credentialId, or set carriers.vonage.api_key"
                .into());
        }
    };
    let settings_fit = operators.as_ref() == Some(&api_key);
    let operator = |value: &Option<SecretString>| value.clone().filter(|_| settings_fit);
    let api_secret = secret(credential, "apiSecret").or_else(|| operator(&settings.api_secret));
    let application = || {
        let own = text(credential, "vonageApplicationId")
            .zip(secret(credential, "vonageApplicationPrivateKey"));
        let set = settings.application_id.clone().zip(operator(&settings.private_key));
        own.or(set)
    };
    let (application_id, private_key) = application().ok_or(
        "there is no application: give the credential vonageApplicationId and \
         vonageApplicationPrivateKey, or set carriers.vonage.application_id and .private_key \
         (Vonage dashboard, Applications, Create a new application, with Voice switched on)",
    )?;
    let signature_secret =
        secret(credential, "signatureSecret").or_else(|| operator(&settings.signature_secret));
    Ok(VonageAccount {
        base_url: base_url(settings.base_url.as_ref(), NumberProvider::Vonage),
        rest_base_url: settings.rest_base_url.clone().unwrap_or_else(|| REST_BASE_URL.to_owned()),
        api_secret: api_secret.ok_or("the secret of the account is missing: apiSecret")?,
        private_key: with_lines(&private_key),
        api_key,
        application_id,
        signature_secret,
    })
}

/// A key in PEM whose lines a variable had to write as `\n`.
fn with_lines(pem: &SecretString) -> SecretString {
    SecretString::from(pem.expose_secret().replace("\\n", "\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PUBLIC_KEY: &str = "6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=";

    fn set(value: &str) -> Option<SecretString> {
        Some(value.into())
    }

    #[test]
    fn a_number_s_own_keys_count_before_the_operator_s_of_the_same_account() {
        let settings = TwilioSettings {
            account_sid: Some("AC1".into()),
            auth_token: set("operator"),
            signing_keys: vec!["k:s".into()],
            ..TwilioSettings::default()
        };
        let own = json!({"twilioAccountSid": "AC1", "twilioAuthToken": "own"});
        let account = twilio(&own, &[], &settings).unwrap();
        assert_eq!((account.user.as_str(), account.password.expose_secret()), ("AC1", "own"));
        assert_eq!(account.auth_token.unwrap().expose_secret(), "own");
        assert_eq!(account.base_url, "https://api.twilio.com");

        let api_key = json!({"twilioAccountSid": "AC1", "twilioApiKey": "SK1",
            "twilioApiSecret": "s"});
        let account = twilio(&api_key, &[], &settings).unwrap();
        assert_eq!((account.user.as_str(), account.password.expose_secret()), ("SK1", "s"));
        assert_eq!(account.auth_token.unwrap().expose_secret(), "operator", "webhooks need it");
        assert_eq!(account.signing_keys, [("k".to_owned(), "s".to_owned())]);
    }

    #[test]
    fn a_signing_key_without_its_id_is_refused_and_not_repeated() {
        let settings = TwilioSettings {
            account_sid: Some("AC1".into()),
            auth_token: set("operator"),
            signing_keys: vec!["hush".into()],
            ..TwilioSettings::default()
        };
        let refused = twilio(&json!({}), &[], &settings).err().unwrap();
        assert!(refused.contains("signing_keys") && !refused.contains("hush"), "{refused}");
    }

    #[test]
    fn keys_of_another_account_at_twilio_are_never_used() {
        let settings = TwilioSettings {
            account_sid: Some("AC2".into()),
            auth_token: set("operator"),
            signing_keys: vec!["k:s".into()],
            ..TwilioSettings::default()
        };
        let number = json!({"twilioAccountSid": "AC1"});
        let other = json!({"provider": "twilio", "accountSid": "AC3", "authToken": "other"});
        let missing = twilio(&number, std::slice::from_ref(&other), &settings).err().unwrap();
        assert!(missing.starts_with("there is no key of account AC1"), "{missing}");
        let same = json!({"provider": "twilio", "accountSid": "AC1", "authToken": "mine"});
        let account = twilio(&number, &[other, same], &settings).unwrap();
        assert_eq!(account.password.expose_secret(), "mine");
        assert!(account.signing_keys.is_empty());
    }

    #[test]
    fn a_credential_of_telnyx_counts_before_the_operator_s_key_with_its_own_application() {
        let settings = TelnyxSettings {
            api_key: set("operator"),
            public_key: Some(PUBLIC_KEY.into()),
            application_id: Some("1".into()),
            ..TelnyxSettings::default()
        };
        let own = json!({"provider": "telnyx", "apiKey": "own"});
        let account = telnyx(&[own], &settings).unwrap();
        assert_eq!((account.api_key.expose_secret(), account.application_id), ("own", None));
        assert!(account.public_key.is_some());
        let account = telnyx(&[], &settings).unwrap();
        assert_eq!(account.api_key.expose_secret(), "operator");
        assert_eq!(account.application_id.as_deref(), Some("1"));
        let missing = telnyx(&[], &TelnyxSettings::default()).err().unwrap();
        assert!(missing.contains("credentialId") && missing.contains("carriers.telnyx.api_key"));
        let bad = json!({"provider": "telnyx", "apiKey": "own", "publicKey": "short"});
        assert!(telnyx(&[bad], &settings).err().unwrap().contains("32 bytes"));
    }

    #[test]
    fn the_operator_s_application_at_vonage_completes_a_credential_of_the_same_account() {
        let settings = VonageSettings {
            api_key: set("k1"),
            api_secret: set("s1"),
            application_id: Some("app".into()),
            private_key: set("-----BEGIN PRIVATE KEY-----\\nAA\\n"),
            signature_secret: set("sig"),
            ..VonageSettings::default()
        };
        let same = json!({"provider": "vonage", "apiKey": "k1", "apiSecret": "s1"});
        let account = vonage(&[same], &settings).unwrap();
        assert_eq!(account.application_id, "app");
        assert_eq!(account.private_key.expose_secret(), "-----BEGIN PRIVATE KEY-----\nAA\n");
        assert_eq!(account.signature_secret.unwrap().expose_secret(), "sig");

        let mut other = json!({"provider": "vonage", "apiKey": "k2", "apiSecret": "s2"});
        let missing = vonage(std::slice::from_ref(&other), &settings).err().unwrap();
        assert!(missing.contains("vonageApplicationPrivateKey"), "{missing}");
        other["vonageApplicationId"] = json!("app-2");
        other["vonageApplicationPrivateKey"] = json!("pem");
        let account = vonage(&[other], &settings).unwrap();
        assert_eq!(account.application_id, "app-2");
        assert!(account.signature_secret.is_none());
    }
}
