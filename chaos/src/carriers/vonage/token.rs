//! Tokens: the customer's, which are looked at, and ours, which sign webhooks.

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD as BASE64_URL},
};
use jiff::Timestamp;
use ring::{
    digest, hmac,
    signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
};
use serde_json::{Value, json};

use crate::carriers::{
    App,
    webhooks::{self, Answer, Webhook},
};

/// Whether a request bears a token of the application.
pub fn admits(app: &App, authorization: Option<&str>) -> bool {
    let options = app.options();
    let Some(token) = authorization.and_then(|header| header.strip_prefix("Bearer ")) else {
        return false;
    };
    let Some((signed, signature)) = token.rsplit_once('.') else { return false };
    let claims = signed.split_once('.').and_then(|(_, claims)| BASE64_URL.decode(claims).ok());
    let claims: Value =
        claims.and_then(|claims| serde_json::from_slice(&claims).ok()).unwrap_or_default();
    let is_fresh = claims["exp"].as_i64().is_some_and(|exp| exp > Timestamp::now().as_second());
    let is_ours = claims["application_id"] == options.vonage_application_id.as_str();
    is_fresh && is_ours && options.vonage_public_key.is_none_or(|pem| fits(&pem, signed, signature))
}

/// Whether a key (PKCS #1, as PEM) made this signature.
fn fits(pem: &str, signed: &str, signature: &str) -> bool {
    let lines = pem.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
    let key = BASE64_STANDARD.decode(lines.collect::<String>());
    let (Ok(key), Ok(signature)) = (key, BASE64_URL.decode(signature)) else { return false };
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key);
    key.verify(signed.as_bytes(), &signature).is_ok()
}

fn webhook(app: &App, url: &str, body: &Value) -> Webhook {
    let options = app.options();
    let body = body.to_string();
    let hash = digest::digest(&digest::SHA256, body.as_bytes());
    let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let claims = json!({
        "iat": Timestamp::now().as_second(),
        "jti": app.chance.id(),
        "iss": "Vonage",
        "payload_hash": hash,
        "api_key": options.vonage_api_key,
        "application_id": options.vonage_application_id,
    });
    let part = |value: &Value| BASE64_URL.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": "HS256", "typ": "JWT"})), part(&claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, options.vonage_signature_secret.as_bytes());
    let signature = BASE64_URL.encode(hmac::sign(&key, signed.as_bytes()));
    let headers = vec![("authorization", format!("Bearer {signed}.{signature}"))];
    Webhook { url: url.to_owned(), content_type: "application/json", headers, body: body.into() }
}

/// Asks for instructions.
pub async fn ask(app: &App, url: &str, body: &Value) -> Result<Value, String> {
    let Answer { status, body } = webhooks::deliver(app, &webhook(app, url, body)).await?;
    match status {
        200..=299 => serde_json::from_slice(&body).map_err(|_| "the answer is no JSON".into()),
        _ => Err(format!("the answer has status {status}")),
    }
}

/// Tells of an event.
pub fn tell(app: &App, url: &str, body: &Value) {
    webhooks::call_back(app, webhook(app, url, body), |_| {});
}
