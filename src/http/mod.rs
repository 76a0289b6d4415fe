//! The HTTP and WebSocket API.

mod body;
mod call_setup;
mod calls;
mod campaigns;
mod do_not_call;
mod docs;
mod leg;
mod monitor;
mod operations;
mod outbox;
mod phone;
mod phone_calls;
mod phone_numbers;
mod provider_health;
mod recordings;
mod reply;
mod resources;
mod scheduled;
mod server;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use metrics_exporter_prometheus::PrometheusHandle;
use offhook_api::ApiError;
use offhook_supervisors::Node;
use tokio::sync::Mutex;
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{auth::Keys, signer::Signer};

pub use campaigns::CallDialer;
pub use operations::text as metrics_text;
pub use phone::Desk;
pub use phone_numbers::finish_setups;
pub use scheduled::run as run_scheduled_calls;
pub use server::{Listener, serve};

/// What the handlers share.
#[derive(Clone)]
pub struct App {
    pub node: Node,
    pub keys: Keys,
    pub signer: Signer,
    /// Where clients reach this server, without a slash at the end: `http://host:port`.
    pub public_url: Arc<str>,
    pub metrics: PrometheusHandle,
    /// Held while a phone number is looked for and stored, so that there is one of each.
    pub number_changes: Arc<Mutex<()>>,
    /// The ids of the organisations.
    pub orgs: Arc<[String]>,
    /// What carriers have told already.
    pub desk: Arc<Desk>,
}

/// The organisation whose key a request carries.
#[derive(Clone, Debug)]
pub struct Org(pub String);

/// All routes.
pub fn router(app: App) -> Router {
    let settings = app.node.settings().clone();
    let (api, document) = OpenApiRouter::with_openapi(docs::document())
        .routes(routes!(calls::create, calls::list))
        .routes(routes!(calls::get, calls::update, calls::remove))
        .routes(routes!(provider_health::list))
        .routes(routes!(outbox::list))
        .routes(routes!(outbox::retry))
        .routes(routes!(phone_numbers::carrier))
        .routes(routes!(recordings::mono))
        .routes(routes!(recordings::stereo))
        .split_for_parts();
    let api = api
        .merge(recordings::absent_routes())
        .merge(resources::routes())
        .merge(phone_numbers::routes())
        .merge(campaigns::routes())
        .merge(do_not_call::routes())
        .layer(middleware::from_fn_with_state(app.clone(), authenticate))
        .merge(monitor::control_routes())
        .layer(DefaultBodyLimit::max(settings.server.body_limit as usize));
    let with_limit = api
        .merge(operations::routes())
        .merge(phone::webhook_routes())
        .merge(recordings::public_routes())
        .merge(docs::routes(document))
        .layer(middleware::from_fn_with_state(app.clone(), limit_time));
    // Sockets outlive any request.
    with_limit
        .merge(leg::routes())
        .merge(phone::media_routes())
        .merge(monitor::listen_routes())
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn(observe))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .with_state(app)
}

/// Lets in who has a key.
async fn authenticate(State(app): State<App>, mut request: Request, next: Next) -> Response {
    match org_of(&app, request.headers()) {
        Some(org) => {
            request.extensions_mut().insert(Org(org));
            next.run(request).await
        }
        None => reply::error(ApiError::unauthorized()),
    }
}

/// The organisation whose key a request carries.
fn org_of(app: &App, headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    app.keys.org_of(scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())?)
}

/// Answers a request that takes too long, as the contract answers errors.
async fn limit_time(State(app): State<App>, request: Request, next: Next) -> Response {
    let limit = app.node.settings().server.request_timeout;
    let answered = tokio::time::timeout(limit, next.run(request)).await;
    answered.unwrap_or_else(|_| {
        let problem = format!("no answer within {limit:?}; whether it was done is not certain");
        reply::error(ApiError::unavailable(problem))
    })
}

/// Counts and logs a request. The path is logged without its query, where tokens are.
async fn observe(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request
        .extensions()
        .get::<axum::extract::MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |route| route.as_str().to_owned());
    let started = tokio::time::Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    metrics::counter!("offhook_http_requests_total", "route" => route, "status" => status.to_string())
        .increment(1);
    let took_ms = started.elapsed().as_millis() as u64;
    if status >= 500 {
        tracing::error!(%method, path, status, took_ms, "request");
    } else {
        tracing::debug!(%method, path, status, took_ms, "request");
    }
    response
}

async fn no_such_route(request: Request) -> Response {
    let what = format!("Cannot {} {}", request.method(), request.uri().path());
    reply::no_route(&what)
}

async fn no_such_method(request: Request) -> Response {
    let what = format!("Cannot {} {}", request.method(), request.uri().path());
    reply::no_route(&what)
}

fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    tracing::error!("a request handler panicked");
    reply::error(ApiError::internal()).into_response()
}

/// The wall's time, in milliseconds since the Unix epoch.
fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
