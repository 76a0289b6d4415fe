//! How a server of the user's is convinced that a request is ours: the `authenticationPlan` of a
//! credential that its `credentialId` names.

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use crate::lenient::{self, text};

/// Credentials that say how servers are convinced.
const PROVIDERS: &[&str] = &["custom-credential", "webhook"];

/// One way of convincing a server.
#[derive(Clone, Debug)]
pub enum ServerAuth {
    Bearer {
        header: String,
        /// What the header says, with its prefix.
        value: SecretString,
    },
    Hmac(HmacPlan),
}

/// A signature over a request.
#[derive(Clone, Debug)]
pub struct HmacPlan {
    pub secret: SecretString,
    pub secret_is_base64: bool,
    pub algorithm: HmacAlgorithm,
    pub signature_header: String,
    pub signature_prefix: String,
    pub signature_encoding: SignatureEncoding,
    /// Where the time of the request goes, in seconds since the Unix epoch; `None`: nowhere.
    pub timestamp_header: Option<String>,
    /// Where the id of the request goes, which a repeated one has again; `None`: nowhere.
    pub message_id_header: Option<String>,
    /// What is signed: text with `{body}`, `{timestamp}`, `{method}`, `{url}` and `{svix-id}`.
    pub payload_format: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HmacAlgorithm {
    Sha1,
    Sha256,
    Sha512,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignatureEncoding {
    #[default]
    Hex,
    Base64,
}

impl ServerAuth {
    /// Reads an opened credential.
    ///
    /// # Errors
    ///
    /// Says why it convinces no server.
    pub fn read(credential: &Value) -> Result<Self, String> {
        let provider = text(credential, "provider").unwrap_or_default();
        if !PROVIDERS.contains(&provider) {
            let expected = PROVIDERS.join(" or ");
            return Err(format!("a credential of `{provider}`, expected one of {expected}"));
        }
        if lenient::get(credential, "encryptionPlan").is_some() {
            return Err(
                "a credential with encryptionPlan, which this version does not support".into()
            );
        }
        let plan = lenient::get(credential, "authenticationPlan").unwrap_or(&Value::Null);
        let unreadable =
            |error: serde_json::Error| format!("its authenticationPlan is damaged: {error}");
        match text(plan, "type") {
            Some("bearer") => Bearer::deserialize(plan).map(Bearer::read).map_err(unreadable),
            Some("hmac") => Hmac::deserialize(plan).map(Hmac::read).map_err(unreadable),
            other => Err(format!(
                "a credential with authenticationPlan.type `{}`, which this version does not \
                 support: use bearer or hmac",
                other.unwrap_or_default()
            )),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bearer {
    token: String,
    header_name: Option<String>,
    bearer_prefix_enabled: Option<bool>,
}

impl Bearer {
    fn read(self) -> ServerAuth {
        let value = match self.bearer_prefix_enabled.unwrap_or(true) {
            true => format!("Bearer {}", self.token),
            false => self.token,
        };
        ServerAuth::Bearer {
            header: self.header_name.unwrap_or_else(|| "Authorization".into()),
            value: value.into(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hmac {
    secret_key: String,
    algorithm: HmacAlgorithm,
    signature_header: Option<String>,
    timestamp_header: Option<String>,
    signature_prefix: Option<String>,
    include_timestamp: Option<bool>,
    payload_format: Option<String>,
    message_id_header: Option<String>,
    signature_encoding: Option<SignatureEncoding>,
    secret_is_base64: Option<bool>,
}

impl Hmac {
    fn read(self) -> ServerAuth {
        let with_timestamp = self.include_timestamp.unwrap_or(true);
        let payload = if with_timestamp { "{timestamp}.{body}" } else { "{body}" };
        let timestamp_header = self.timestamp_header.unwrap_or_else(|| "x-timestamp".into());
        ServerAuth::Hmac(HmacPlan {
            secret: self.secret_key.into(),
            secret_is_base64: self.secret_is_base64.unwrap_or(false),
            algorithm: self.algorithm,
            signature_header: self.signature_header.unwrap_or_else(|| "x-signature".into()),
            signature_prefix: self.signature_prefix.unwrap_or_default(),
            signature_encoding: self.signature_encoding.unwrap_or_default(),
            timestamp_header: with_timestamp.then_some(timestamp_header),
            message_id_header: self.message_id_header,
            payload_format: self.payload_format.unwrap_or_else(|| payload.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::json;

    use super::*;

    fn read(plan: Value) -> Result<ServerAuth, String> {
        ServerAuth::read(&json!({"provider": "custom-credential", "authenticationPlan": plan}))
    }

    #[test]
    fn a_bearer_goes_into_the_header_it_asks_for() {
        let header = |plan: Value| match read(plan).unwrap() {
            ServerAuth::Bearer { header, value } => (header, value.expose_secret().to_owned()),
            ServerAuth::Hmac(_) => panic!("expected a bearer"),
        };
        let plain = header(json!({"type": "bearer", "token": "t"}));
        assert_eq!(plain, ("Authorization".into(), "Bearer t".into()));
        let own = header(json!({"type": "bearer", "token": "t", "headerName": "X-Vapi-Secret",
            "bearerPrefixEnabled": false}));
        assert_eq!(own, ("X-Vapi-Secret".into(), "t".into()));
    }

    #[test]
    fn a_signature_covers_time_and_body_unless_it_is_to_leave_the_time_out() {
        let plan = |more: Value| {
            let mut plan = json!({"type": "hmac", "secretKey": "s", "algorithm": "sha256"});
            plan.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            match read(plan).unwrap() {
                ServerAuth::Hmac(plan) => plan,
                ServerAuth::Bearer { .. } => panic!("expected a signature"),
            }
        };
        let plain = plan(json!({}));
        assert_eq!(plain.payload_format, "{timestamp}.{body}");
        assert_eq!(plain.timestamp_header.as_deref(), Some("x-timestamp"));
        assert_eq!(plain.signature_header, "x-signature");
        let timeless = plan(json!({"includeTimestamp": false, "timestampHeader": "x-t"}));
        assert_eq!((timeless.payload_format.as_str(), timeless.timestamp_header), ("{body}", None));
        assert!(!format!("{plain:?}").contains("\"s\""));
    }

    #[test]
    fn what_convinces_no_server_is_refused_by_name() {
        let error = read(json!({"type": "oauth2", "clientSecret": "hush"})).unwrap_err();
        assert!(error.contains("`oauth2`") && !error.contains("hush"), "{error}");
        let error = ServerAuth::read(&json!({"provider": "openai", "apiKey": "hush"})).unwrap_err();
        assert!(error.contains("`openai`") && !error.contains("hush"), "{error}");
    }
}
