//! Requests to Vonage, each with a token that the application's key signed.
//!
//! Source: Vonage's documentation, API references "Voice", "Numbers" and "Application".

use std::{sync::Arc, time::Duration};

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD as BASE64_URL},
};
use jiff::Timestamp;
use offhook_core::FailureClass;
use reqwest::{Method, RequestBuilder};
use ring::{
    rand::{SecureRandom, SystemRandom},
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::ncco::digits;
use crate::carrier::{
    Api, Carrier, CarrierError,
    rest::{seconds_of, with_form},
};

/// Where Vonage is: calls and applications, and numbers.
pub const BASE_URL: &str = "https://api.nexmo.com";
pub const REST_BASE_URL: &str = "https://rest.nexmo.com";

/// How long a token is good for: what Vonage's own clients ask for.
const TOKEN_TIME: Duration = Duration::from_secs(900);

/// An application at Vonage.
#[derive(Clone)]
pub struct Vonage {
    api: Api,
    rest: Api,
    key: Arc<ApplicationKey>,
}

/// What an application signs its requests with.
pub struct ApplicationKey {
    application_id: String,
    key: RsaKeyPair,
    /// Of the account, for numbers and the application itself.
    account: Option<(String, SecretString)>,
}

impl ApplicationKey {
    /// Reads the private key that the portal gave, as PEM (PKCS #8, RFC 5208).
    ///
    /// # Errors
    ///
    /// When it is none; it is not repeated.
    pub fn new(
        application_id: &str,
        pem: &SecretString,
        account: Option<(String, SecretString)>,
    ) -> Result<Self, String> {
        let bad = || {
            "Vonage's private key is no RSA key in PEM: paste the file that the portal gave, with \
             its lines -----BEGIN PRIVATE KEY-----"
                .to_owned()
        };
        let body: String = pem
            .expose_secret()
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with("-----"))
            .collect();
        let der = BASE64_STANDARD.decode(body).map_err(|_| bad())?;
        let key = RsaKeyPair::from_pkcs8(&der)
            .or_else(|_| RsaKeyPair::from_der(&der))
            .map_err(|_| bad())?;
        Ok(Self { application_id: application_id.into(), key, account })
    }

    /// A token for one request (RFC 7519, RS256); `now` is in seconds since the Unix epoch.
    fn token(&self, now: i64) -> Result<String, CarrierError> {
        let random = SystemRandom::new();
        let failed = |_| {
            let detail = "a token for Vonage cannot be signed";
            CarrierError::refused(FailureClass::Unauthorized, detail)
        };
        let mut id = [0; 16];
        random.fill(&mut id).map_err(failed)?;
        let claims = json!({
            "application_id": self.application_id,
            "iat": now,
            "exp": now.saturating_add(TOKEN_TIME.as_secs() as i64),
            "jti": BASE64_URL.encode(id),
        });
        let header = json!({"alg": "RS256", "typ": "JWT"});
        let part = |value: &Value| BASE64_URL.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature)
            .map_err(failed)?;
        Ok(format!("{signed}.{}", BASE64_URL.encode(signature)))
    }
}

/// A call to place.
#[derive(Clone, Debug, Default)]
pub struct CreateVonageCall {
    /// A number or a SIP address.
    pub to: String,
    pub from: String,
    /// Instructions, once it is answered.
    pub ncco: Value,
    pub event_url: Option<String>,
    /// Keys that are sent once it is answered; `p` is a pause of half a second.
    pub dtmf_answer: Option<String>,
    /// How long it rings.
    pub ringing_timer: Option<Duration>,
    pub length_timer: Option<Duration>,
    pub machines: Option<MachineBehavior>,
}

/// What is done about machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineBehavior {
    /// They are told of, at once.
    Detect,
    /// They are told of, and their beep.
    DetectBeep,
}

/// A call as Vonage knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VonageCall {
    pub uuid: String,
    pub conversation_uuid: Option<String>,
    pub status: String,
    /// In seconds since the Unix epoch.
    pub started_at: Option<i64>,
}

/// A number of the account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VonageNumber {
    /// Two letters (ISO 3166-1), which Vonage asks for with every change.
    pub country: String,
    pub application_id: Option<String>,
    /// Where calls are sent on to, a SIP address or a number: it counts before the application.
    pub forwarded_to: Option<String>,
    /// Where its messages go.
    pub messages_url: Option<String>,
}

impl VonageCall {
    pub fn is_over(&self) -> bool {
        !matches!(self.status.as_str(), "started" | "ringing" | "answered" | "machine" | "human")
    }
}

impl Vonage {
    /// # Errors
    ///
    /// When an address is none of an API.
    pub fn new(
        base_url: &str,
        rest_base_url: &str,
        key: ApplicationKey,
    ) -> Result<Self, CarrierError> {
        Ok(Self {
            api: Api::new(Carrier::Vonage, base_url)?,
            rest: Api::new(Carrier::Vonage, rest_base_url)?,
            key: Arc::new(key),
        })
    }

    /// Places a call. Vonage knows no way to ask twice for one: see
    /// [`CarrierError::may_have_happened`].
    pub async fn create_call(&self, call: &CreateVonageCall) -> Result<VonageCall, CarrierError> {
        let request = self.request(Method::POST, &["v1", "calls"], &[])?.json(&body_of(call));
        call_of(&self.api.send("creating a call", request).await?)
    }

    /// A call, unless Vonage knows none of this id.
    pub async fn call(&self, uuid: &str) -> Result<Option<VonageCall>, CarrierError> {
        let request = self.request(Method::GET, &["v1", "calls", uuid], &[])?;
        match self.api.send("looking for a call", request).await {
            Ok(call) => call_of(&call).map(Some),
            Err(error) if is_over(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Calls between two times, in seconds since the Unix epoch.
    pub async fn calls(&self, from: i64, to: i64) -> Result<Vec<VonageCall>, CarrierError> {
        let text = |seconds| Timestamp::from_second(seconds).unwrap_or_default().to_string();
        let (from, to) = (text(from), text(to));
        let query = [("date_start", from.as_str()), ("date_end", &to), ("page_size", "100")];
        let request = self.request(Method::GET, &["v1", "calls"], &query)?;
        let answer = self.api.send("listing calls", request).await?;
        let calls = answer["_embedded"]["calls"].as_array().map_or(&[][..], Vec::as_slice);
        calls.iter().map(call_of).collect()
    }

    /// Gives a live call other instructions; `false` when it is over, as with every change.
    pub async fn transfer(&self, uuid: &str, ncco: &Value) -> Result<bool, CarrierError> {
        let destination = json!({"type": "ncco", "ncco": ncco});
        let body = json!({"action": "transfer", "destination": destination});
        self.change("transferring a call", &["v1", "calls", uuid], body).await
    }

    /// Ends a call; one that is over is a success.
    pub async fn hang_up(&self, uuid: &str) -> Result<(), CarrierError> {
        let body = json!({"action": "hangup"});
        match self.change("hanging up", &["v1", "calls", uuid], body).await {
            // Vonage has no code of its own for a call that is over.
            Err(error) if error.status == Some(400) => Ok(()),
            hung_up => hung_up.map(drop),
        }
    }

    /// Sends keys; `p` is a pause of half a second.
    pub async fn send_dtmf(&self, uuid: &str, keys: &str) -> Result<bool, CarrierError> {
        let body = json!({"digits": keys});
        self.change("sending keys", &["v1", "calls", uuid, "dtmf"], body).await
    }

    /// Says a text into a call.
    pub async fn talk(&self, uuid: &str, text: &str) -> Result<bool, CarrierError> {
        let body = json!({"text": text});
        self.change("saying something", &["v1", "calls", uuid, "talk"], body).await
    }

    /// A number of the account, by its E.164.
    ///
    /// # Errors
    ///
    /// Without key and secret of the account, too.
    pub async fn number(&self, number: &str) -> Result<Option<VonageNumber>, CarrierError> {
        let (key, secret) = self.account()?;
        // What begins like this; there may be longer ones.
        let query = [("pattern", digits(number)), ("search_pattern", "0"), ("size", "100")];
        let request = self.rest.request(Method::GET, &["account", "numbers"], &query);
        let request = request.basic_auth(key, Some(secret.expose_secret()));
        let answer = self.rest.send("looking for a number", request).await?;
        let listed = answer["numbers"].as_array().map_or(&[][..], Vec::as_slice);
        let found = listed.iter().find(|found| found["msisdn"] == digits(number));
        Ok(found.map(number_of))
    }

    /// Sends the calls of a number to this application, and no more on to elsewhere.
    ///
    /// # Errors
    ///
    /// Without key and secret of the account, too.
    pub async fn configure_number(
        &self,
        number: &str,
        known: &VonageNumber,
    ) -> Result<(), CarrierError> {
        let application = Some(("app_id", self.key.application_id.clone()));
        self.update_number("configuring a number", number, known, application).await
    }

    /// Takes a number out of its application: its calls go nowhere then.
    ///
    /// # Errors
    ///
    /// Without key and secret of the account, too.
    pub async fn release_number(
        &self,
        number: &str,
        known: &VonageNumber,
    ) -> Result<(), CarrierError> {
        self.update_number("releasing a number", number, known, None).await
    }

    /// What an update does not name, Vonage takes away: where messages go is told again.
    async fn update_number(
        &self,
        what: &str,
        number: &str,
        known: &VonageNumber,
        application: Option<(&str, String)>,
    ) -> Result<(), CarrierError> {
        let (key, secret) = self.account()?;
        let mut form =
            vec![("country", known.country.clone()), ("msisdn", digits(number).to_owned())];
        form.extend(known.messages_url.clone().map(|url| ("moHttpUrl", url)));
        form.extend(application);
        let request = self.rest.request(Method::POST, &["number", "update"], &[]);
        let request = with_form(request, &form).basic_auth(key, Some(secret.expose_secret()));
        let answer = self.rest.send(what, request).await?;
        // This API may refuse with the status of a success.
        match answer["error-code"].as_str() {
            None | Some("200") => Ok(()),
            Some(code) => Err(CarrierError {
                code: Some(code.to_owned()),
                ..CarrierError::refused(
                    FailureClass::BadRequest,
                    format!("{what} at {} was refused with code {code}", Carrier::Vonage.name()),
                )
            }),
        }
    }

    /// The addresses that this application asks: for instructions, and with events.
    pub async fn application_urls(&self) -> Result<[Option<String>; 2], CarrierError> {
        let application = self.application().await?;
        let url = |name: &str| {
            let webhook = &application["capabilities"]["voice"]["webhooks"][name];
            webhook["address"].as_str().map(str::to_owned)
        };
        Ok([url("answer_url"), url("event_url")])
    }

    /// Sets the addresses that this application asks, with signatures, and leaves the rest of it.
    /// The first one is asked a second time when it does not answer.
    pub async fn configure_application(
        &self,
        answer_url: &str,
        event_url: &str,
    ) -> Result<(), CarrierError> {
        let (key, secret) = self.account()?;
        let mut application = self.application().await?;
        let post = |url: &str| json!({"address": url, "http_method": "POST"});
        let voice = &mut application["capabilities"]["voice"];
        voice["webhooks"]["answer_url"] = post(answer_url);
        voice["webhooks"]["fallback_answer_url"] = post(answer_url);
        voice["webhooks"]["event_url"] = post(event_url);
        voice["signed_callbacks"] = json!(true);
        let path = ["v2", "applications", &self.key.application_id];
        let body = json!({
            "name": application["name"],
            "capabilities": application["capabilities"],
        });
        let request = self.api.request(Method::PUT, &path, &[]).json(&body);
        let request = request.basic_auth(key, Some(secret.expose_secret()));
        self.api.send("configuring the application", request).await.map(drop)
    }

    async fn application(&self) -> Result<Value, CarrierError> {
        let (key, secret) = self.account()?;
        let path = ["v2", "applications", &self.key.application_id];
        let request = self.api.request(Method::GET, &path, &[]);
        let request = request.basic_auth(key, Some(secret.expose_secret()));
        self.api.send("looking for the application", request).await
    }

    fn account(&self) -> Result<(&str, &SecretString), CarrierError> {
        let account = self.key.account.as_ref().map(|(key, secret)| (key.as_str(), secret));
        account.ok_or_else(|| {
            let detail = "Vonage's apiKey and apiSecret are needed to configure it";
            CarrierError::refused(FailureClass::Unauthorized, detail)
        })
    }

    async fn change(&self, what: &str, path: &[&str], body: Value) -> Result<bool, CarrierError> {
        let request = self.request(Method::PUT, path, &[])?.json(&body);
        match self.api.send(what, request).await {
            Ok(_) => Ok(true),
            Err(error) if is_over(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<RequestBuilder, CarrierError> {
        let token = self.key.token(Timestamp::now().as_second())?;
        Ok(self.api.request(method, path, query).bearer_auth(token))
    }
}

fn number_of(value: &Value) -> VonageNumber {
    let text = |name: &str| value[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let is_forwarded = matches!(value["voiceCallbackType"].as_str(), Some("sip" | "tel"));
    VonageNumber {
        country: text("country").unwrap_or_default(),
        application_id: text("app_id"),
        forwarded_to: text("voiceCallbackValue").filter(|_| is_forwarded),
        messages_url: text("moHttpUrl"),
    }
}

fn is_over(error: &CarrierError) -> bool {
    error.status == Some(404)
}

fn body_of(call: &CreateVonageCall) -> Value {
    let mut to = match call.to.starts_with("sip") {
        true => json!({"type": "sip", "uri": call.to}),
        false => json!({"type": "phone", "number": digits(&call.to)}),
    };
    if let Some(keys) = &call.dtmf_answer {
        to["dtmfAnswer"] = json!(keys);
    }
    let mut body = json!({
        "to": [to],
        "from": {"type": "phone", "number": digits(&call.from)},
        "ncco": call.ncco,
    });
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body[name] = value;
        }
    };
    put("event_url", call.event_url.as_ref().map(|url| json!([url])));
    put("event_method", call.event_url.as_ref().map(|_| json!("POST")));
    put("ringing_timer", call.ringing_timer.map(|time| json!(time.as_secs().clamp(1, 120))));
    put("length_timer", call.length_timer.map(|time| json!(time.as_secs().clamp(1, 86_400))));
    let machines = call.machines.map(|machines| match machines {
        MachineBehavior::Detect => json!({"behavior": "continue", "mode": "detect"}),
        MachineBehavior::DetectBeep => json!({"behavior": "continue", "mode": "detect_beep"}),
    });
    put("advanced_machine_detection", machines);
    body
}

fn call_of(value: &Value) -> Result<VonageCall, CarrierError> {
    let Some(uuid) = value["uuid"].as_str() else {
        let detail = "Vonage answered with a call that has no uuid";
        return Err(CarrierError {
            may_have_happened: true,
            ..CarrierError::refused(FailureClass::Protocol, detail)
        });
    };
    Ok(VonageCall {
        uuid: uuid.to_owned(),
        conversation_uuid: value["conversation_uuid"].as_str().map(str::to_owned),
        status: value["status"].as_str().unwrap_or_default().to_owned(),
        started_at: seconds_of(&value["start_time"]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_asked_for_with_what_was_set_and_numbers_without_their_plus() {
        let call = CreateVonageCall {
            to: "+14155550123".into(),
            from: "+14155550100".into(),
            ncco: json!([]),
            ringing_timer: Some(Duration::from_secs(500)),
            machines: Some(MachineBehavior::DetectBeep),
            ..CreateVonageCall::default()
        };
        assert_eq!(
            body_of(&call),
            json!({
                "to": [{"type": "phone", "number": "14155550123"}],
                "from": {"type": "phone", "number": "14155550100"},
                "ncco": [],
                "ringing_timer": 120,
                "advanced_machine_detection": {"behavior": "continue", "mode": "detect_beep"},
            })
        );
    }

    #[test]
    fn a_key_that_is_none_is_refused_without_repeating_it() {
        let pem = SecretString::from("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n");
        let refused = ApplicationKey::new("a", &pem, None).err().unwrap();
        assert!(refused.contains("BEGIN PRIVATE KEY") && !refused.contains("c2VjcmV0"));
    }
}
