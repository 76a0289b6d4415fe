//! Requests of carriers: whose they are, and whether they are what they seem.

use axum::{
    body::Bytes,
    extract::FromRequest,
    http::{HeaderMap, Request, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use offhook_actors::CallContext;
use offhook_api::{CallDocument, PhoneNumberView, ServerTarget};
use offhook_core::slots::LineLimits;
use offhook_store::{Kind, Place};
use offhook_supervisors::{
    numbers::{CarrierAccount, StoredNumber, carrier_account, carrier_account_of, line_limits},
    phone,
};
use offhook_transports::{
    carrier::{Client, vonage},
    signature::{
        SignatureError, telnyx as telnyx_signature, twilio as twilio_signature,
        vonage as vonage_signature,
    },
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    auth::parse_id,
    http::{App, reply, resources},
};

/// A request as it came.
pub struct Webhook {
    headers: HeaderMap,
    uri: Uri,
    pub body: Bytes,
}

impl FromRequest<App> for Webhook {
    type Rejection = Response;

    async fn from_request(
        request: Request<axum::body::Body>,
        state: &App,
    ) -> Result<Self, Response> {
        let (headers, uri) = (request.headers().clone(), request.uri().clone());
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|rejection| rejection.into_response())?;
        Ok(Self { headers, uri, body })
    }
}

/// A number of ours with the account that it belongs to.
pub struct Known {
    pub org: String,
    /// `None`: a call brought it itself.
    pub id: Option<Uuid>,
    pub view: PhoneNumberView,
    pub server: Option<ServerTarget>,
    pub account: CarrierAccount,
    /// As it is stored, or as the call brought it, without its secrets.
    pub document: Value,
}

impl Known {
    /// What calls over the number are limited by.
    pub fn limits(&self, app: &App) -> LineLimits {
        line_limits(&app.node.settings().carriers, self.id, &self.view, &self.account)
    }

    /// What calls of the number are driven with.
    pub fn client(&self, app: &App) -> Result<Client, Response> {
        phone::client_of(&self.account, &self.view, &app.public_url).map_err(|error| {
            tracing::error!(%error, "a carrier cannot be reached for a number");
            reply::error(offhook_api::ApiError::conflict(error.to_string()))
        })
    }
}

/// The number whose address was asked.
pub async fn number(app: &App, id: &str) -> Result<Known, Response> {
    let not_found = || reply::not_found("phone-number", id);
    let uuid = parse_id(id).ok_or_else(not_found)?;
    let orgs = app.orgs.iter().map(String::as_str);
    let found = StoredNumber::find(app.node.store(), orgs, uuid).await.map_err(reply::store)?;
    of_stored(app, found.ok_or_else(not_found)?).await
}

/// A stored number, opened.
pub async fn of_stored(app: &App, number: StoredNumber) -> Result<Known, Response> {
    let settings = app.node.settings();
    let account = carrier_account(app.node.vault(), &settings.carriers, &number).await;
    let account = account.map_err(|error| {
        tracing::error!(number = %number.id, %error, "a carrier's webhook cannot be checked");
        forbidden()
    })?;
    let mut opened = number.document.clone();
    let place = Place { org: &number.org, kind: Kind::PhoneNumber, id: number.id };
    app.node.vault().open(place, &mut opened).map_err(resources::vault)?;
    let server = PhoneNumberView::read(&opened).and_then(|view| view.server);
    Ok(Known {
        org: number.org,
        id: Some(number.id),
        view: number.view,
        server,
        account,
        document: number.document,
    })
}

/// The number that was dialled, where several share one address.
pub async fn of_dialled(app: &App, known: Known, dialled: &str) -> Result<Known, Response> {
    let Some(id) = known.id else { return Ok(known) };
    let stored = StoredNumber::read(&known.org, id, known.document.clone());
    let Some(stored) = stored else { return Ok(known) };
    let found = stored.of_call(app.node.store(), dialled).await.map_err(reply::store)?;
    if found.id == id { Ok(known) } else { of_stored(app, found).await }
}

/// A call whose own address was asked.
pub struct KnownCall {
    /// `None`: it is over, or another process has it.
    pub context: Option<std::sync::Arc<CallContext>>,
    pub account: CarrierAccount,
}

/// The call of this id, with the account that it goes through.
pub async fn call(app: &App, id: &str) -> Result<KnownCall, Response> {
    let not_found = || reply::not_found("call", id);
    let uuid = parse_id(id).ok_or_else(not_found)?;
    let context = app.node.call(uuid);
    let (org, record, keys) = match &context {
        Some(context) => (
            context.spec.org.clone(),
            context.record().clone(),
            context.spec.keys.phone_number.clone(),
        ),
        None => {
            let (org, record) = stored_call(app, uuid).await?.ok_or_else(not_found)?;
            (org, record, None)
        }
    };
    let vault = app.node.vault();
    let carriers = &app.node.settings().carriers;
    if let Some(brought) = keys {
        let brought = phone::open_number(vault, &org, uuid, brought).map_err(resources::vault)?;
        let account = carrier_account_of(vault, carriers, &org, &brought).await;
        let account = account.map_err(|_| forbidden())?;
        return Ok(KnownCall { context, account });
    }
    let number = record.as_value()["phoneNumberId"].as_str().and_then(parse_id);
    // A call that brought its number itself is over: nobody can tell who asks.
    let number = number.ok_or_else(forbidden)?;
    let found = StoredNumber::find(app.node.store(), [org.as_str()], number).await;
    let number = found.map_err(reply::store)?.ok_or_else(forbidden)?;
    let account = carrier_account(vault, carriers, &number).await.map_err(|_| forbidden())?;
    Ok(KnownCall { context, account })
}

async fn stored_call(app: &App, id: Uuid) -> Result<Option<(String, CallDocument)>, Response> {
    for org in app.orgs.iter() {
        let found = app.node.store().get(org, Kind::Call, id).await.map_err(reply::store)?;
        if let Some(document) = found {
            return Ok(Some((org.clone(), CallDocument::from_value(document.body))));
        }
    }
    Ok(None)
}

/// The form of a request that Twilio signed.
pub fn twilio(
    app: &App,
    account: &CarrierAccount,
    webhook: &Webhook,
) -> Result<Vec<(String, String)>, Response> {
    let CarrierAccount::Twilio(account) = account else { return Err(forbidden()) };
    let form = twilio_signature::parse_form(&webhook.body).map_err(|error| {
        tracing::warn!(error, "a form of Twilio's is not read");
        forbidden()
    })?;
    let path = webhook.uri.path_and_query().map_or("/", |path| path.as_str());
    let request = twilio_signature::Request {
        public_url: &app.public_url,
        path_and_query: path,
        signature: webhook.header(twilio_signature::SIGNATURE),
        settings: webhook.header(twilio_signature::SETTINGS),
        body: twilio_signature::Body::Form(&form),
    };
    account.verify(&request).map_err(|error| refuse("twilio", &error))?;
    Ok(form)
}

/// Whether Telnyx signed a request.
pub fn telnyx(account: &CarrierAccount, webhook: &Webhook) -> Result<(), Response> {
    let CarrierAccount::Telnyx(account) = account else { return Err(forbidden()) };
    let signature = webhook.header(telnyx_signature::SIGNATURE);
    let timestamp = webhook.header(telnyx_signature::TIMESTAMP);
    let verified = account.verify(signature, timestamp, &webhook.body, now());
    verified.map_err(|error| refuse("telnyx", &error))
}

/// Whether Vonage signed a request, for the first time.
pub fn vonage(app: &App, account: &CarrierAccount, webhook: &Webhook) -> Result<(), Response> {
    let CarrierAccount::Vonage(account) = account else { return Err(forbidden()) };
    let authorization = webhook.header(vonage_signature::AUTHORIZATION);
    let claims = account.verify(authorization, &webhook.body, now());
    let claims = claims.map_err(|error| refuse("vonage", &error))?;
    let is_new = claims.jti.is_none_or(|id| app.desk.is_new(&format!("vonage {id}")));
    if is_new { Ok(()) } else { Err(forbidden()) }
}

impl Webhook {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Vonage's event in it.
    pub fn vonage_event(&self) -> Result<vonage::Event, Response> {
        vonage::parse_event(&self.body).map_err(|problem| reply::bad_request(vec![problem]))
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn refuse(carrier: &'static str, error: &SignatureError) -> Response {
    tracing::warn!(carrier, %error, "a webhook is refused");
    metrics::counter!("offhook_webhooks_refused_total", "carrier" => carrier).increment(1);
    forbidden()
}

pub fn forbidden() -> Response {
    StatusCode::FORBIDDEN.into_response()
}
