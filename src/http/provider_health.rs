//! How providers are doing, for whoever is paged at night.

use axum::extract::{Extension, State};
use offhook_api::ApiError;
use serde_json::json;

use super::{
    App, Org,
    reply::{self, Reply},
};

/// Providers as the node sees them: breakers, answers, how quick they are.
#[utoipa::path(get, path = "/provider-health", tag = "Operations", operation_id = "ProviderHealthController_findAll",
    responses((status = 200, description = "The operator's providers and those of the organisation")))]
pub async fn list(State(app): State<App>, Extension(Org(org)): Extension<Org>) -> Reply {
    let rows = serde_json::to_value(app.node.health().rows(&org));
    let rows = rows.map_err(|_| reply::error(ApiError::internal()))?;
    Ok(reply::ok(json!({ "results": rows })))
}
