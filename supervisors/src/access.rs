//! What a stage's provider is reached with: a credential of the call, else the settings.
//!
//! The operator's `base_url` stands for every address of its provider, a credential's too. The
//! operator's key goes to no address that a credential names.

use offhook_api::{Credentials, ServerAuth};
use offhook_config::Provider;
use offhook_providers::{Access, Net};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use url::Url;

/// The header that keys go into where a document has nothing else for them.
const AUTHORIZATION: &str = "Authorization";

/// Key and address of a stage, and how the address may be reached.
///
/// The custom providers' keys become headers of their documents: unlike the operator's, a user's
/// key may go to the address that the user's document names.
///
/// # Errors
///
/// Says what is wrong with a credential's address.
pub(crate) fn of_stage(
    provider: &str,
    options: &mut Value,
    configured: Option<&Provider>,
    credentials: &Credentials,
    net: &Net,
) -> Result<(Access, Net), String> {
    let configured = configured.cloned().unwrap_or_default();
    convince_server(options, credentials);
    let Some(credential) = credentials.of_provider(provider) else {
        let Provider { api_key, base_url, .. } = configured;
        return Ok((Access { api_key, base_url }, net.clone()));
    };
    let api_key = Some(credential.api_key.clone());
    if configured.base_url.is_some() {
        return Ok((Access { api_key, base_url: configured.base_url }, net.clone()));
    }
    if provider == "custom-llm" {
        let value = format!("Bearer {}", credential.api_key.expose_secret());
        add_header(options, AUTHORIZATION, &value);
    }
    let Some(base_url) = credential.api_url.clone() else {
        return Ok((Access { api_key, base_url: None }, net.clone()));
    };
    let what = |problem: String| format!("apiUrl of the credential of {provider}: {problem}");
    let url = Url::parse(&base_url).map_err(|error| what(error.to_string()))?;
    let net = net.for_document(&url).map_err(what)?;
    Ok((Access { api_key, base_url: Some(base_url) }, net))
}

/// Gives the server of a custom voice or transcriber what its `credentialId` stands for.
fn convince_server(options: &mut Value, credentials: &Credentials) {
    let Some(server) = options.get_mut("server") else { return };
    let id = server.get("credentialId").and_then(Value::as_str).unwrap_or_default();
    match credentials.of_server(id) {
        Some(ServerAuth::Bearer { header, value }) => {
            add_header(server, header, value.expose_secret());
        }
        // Refused before the call begins: a session has no one body to sign.
        Some(ServerAuth::Hmac(_)) | None => {}
    }
}

/// Adds a header unless the document has it: the document's own count, by the contract.
fn add_header(holder: &mut Value, name: &str, value: &str) {
    let Value::Object(fields) = holder else { return };
    let headers = fields.entry("headers").or_insert_with(|| json!({}));
    if headers.is_null() {
        *headers = Value::Object(Map::new());
    }
    let Value::Object(headers) = headers else { return };
    if !headers.keys().any(|known| known.eq_ignore_ascii_case(name)) {
        headers.insert(name.into(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use offhook_api::Credential;

    use super::*;

    fn credentials(documents: &[Value]) -> Credentials {
        let read = |document| Credential::read(document).unwrap().unwrap();
        let bearer = json!({"provider": "webhook",
            "authenticationPlan": {"type": "bearer", "token": "t"}});
        let servers = BTreeMap::from([("c-1".into(), ServerAuth::read(&bearer).unwrap())]);
        Credentials::new(documents.iter().map(read).collect(), servers)
    }

    fn reach(
        provider: &str,
        options: &mut Value,
        base_url: Option<&str>,
        credentials: &Credentials,
    ) -> Result<(String, Option<String>), String> {
        let configured = Provider {
            api_key: Some("operator".into()),
            base_url: base_url.map(Into::into),
            ..Provider::default()
        };
        // The one TLS provider of the process; a second installation is refused and harmless.
        let net = Net::new(Duration::from_secs(1), "/nonexistent".into(), false).unwrap();
        let (access, _) = of_stage(provider, options, Some(&configured), credentials, &net)?;
        Ok((access.api_key.unwrap().expose_secret().into(), access.base_url))
    }

    #[test]
    fn a_credential_counts_before_the_settings_and_for_its_provider_alone() {
        let own = credentials(&[json!({"provider": "deepgram", "apiKey": "mine"})]);
        let reach = |provider, base_url| reach(provider, &mut json!({}), base_url, &own).unwrap();
        assert_eq!(reach("deepgram", None), ("mine".into(), None));
        let gateway = "https://gateway.example";
        assert_eq!(reach("deepgram", Some(gateway)), ("mine".into(), Some(gateway.into())));
        assert_eq!(reach("openai", None), ("operator".into(), None));
    }

    #[test]
    fn a_credential_s_address_yields_to_the_operator_s_and_must_be_public() {
        let at = |url: &str| {
            credentials(&[json!({"provider": "deepgram", "apiKey": "mine", "apiUrl": url})])
        };
        let reach = |url: &str, base_url| reach("deepgram", &mut json!({}), base_url, &at(url));
        let own = reach("dg.example", None).unwrap();
        assert_eq!(own, ("mine".into(), Some("https://dg.example".into())));
        let gateway = reach("https://dg.example", Some("http://10.0.0.1")).unwrap();
        assert_eq!(gateway.1.as_deref(), Some("http://10.0.0.1"));
        let private = reach("http://10.0.0.1:9", None).unwrap_err();
        assert!(
            private.starts_with("apiUrl of the credential of deepgram: `10.0.0.1`"),
            "{private}"
        );
        assert!(reach("http://", None).unwrap_err().starts_with("apiUrl of the credential"));
    }

    #[test]
    fn keys_of_custom_providers_become_headers_unless_the_document_has_them() {
        let own = credentials(&[json!({"provider": "custom-llm", "apiKey": "mine"})]);
        let mut options = json!({"url": "https://a.example"});
        reach("custom-llm", &mut options, None, &own).unwrap();
        assert_eq!(options["headers"], json!({"Authorization": "Bearer mine"}));

        let mut options = json!({"headers": {"authorization": "Basic x"}});
        reach("custom-llm", &mut options, None, &own).unwrap();
        assert_eq!(options["headers"], json!({"authorization": "Basic x"}));

        let mut options = json!({"server": {"url": "https://a.example", "credentialId": "c-1"}});
        reach("custom-voice", &mut options, None, &own).unwrap();
        assert_eq!(options["server"]["headers"], json!({"Authorization": "Bearer t"}));
    }
}
