//! Recordings of calls.

use std::path::PathBuf;

use axum::{
    Extension, Router,
    body::Body,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use offhook_api::ApiError;
use tokio::io::AsyncReadExt;
use uuid::Uuid;

use super::{
    App, Org, calls,
    leg::Token,
    reply::{self, Reply},
};
use crate::{auth::parse_id, signer::Purpose};

/// Bytes read from a recording at once.
const READ_BYTES: usize = 64 * 1024;

/// Routes that a token opens, without a key: a client follows a redirect to them.
pub fn public_routes() -> Router<App> {
    Router::new().route("/recordings/{id}/{file}", get(download))
}

/// Download Mono Recording
#[utoipa::path(get, path = "/call/{id}/mono-recording", tag = "Calls", operation_id = "CallController_monoRecording",
    params(("id" = String, Path)), responses((status = 302, description = "Where the recording is"), (status = 404, description = "There is none")))]
pub async fn mono(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Path(id): Path<String>,
) -> Reply {
    redirect(&app, &org, &id, "mono").await
}

/// Download Stereo Recording
#[utoipa::path(get, path = "/call/{id}/stereo-recording", tag = "Calls", operation_id = "CallController_stereoRecording",
    params(("id" = String, Path)), responses((status = 302, description = "Where the recording is"), (status = 404, description = "There is none")))]
pub async fn stereo(
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Path(id): Path<String>,
) -> Reply {
    redirect(&app, &org, &id, "stereo").await
}

/// Artifacts that the contract has and this version does not make.
const ABSENT: &[&str] =
    &["video-recording", "customer-recording", "assistant-recording", "pcap", "call-logs"];

/// Routes of artifacts that no call has: they answer as for a call without them.
pub fn absent_routes() -> Router<App> {
    ABSENT.iter().fold(Router::new(), |router, artifact| {
        router.route(
            &format!("/call/{{id}}/{artifact}"),
            get(move |state, org, id| absent(artifact, state, org, id)),
        )
    })
}

async fn absent(
    artifact: &'static str,
    State(app): State<App>,
    Extension(Org(org)): Extension<Org>,
    Path(id): Path<String>,
) -> Reply {
    calls::find(&app, &org, &id).await?;
    Err(reply::not_found(&format!("{artifact} of call"), &id))
}

async fn redirect(app: &App, org: &str, id: &str, kind: &str) -> Reply {
    let call = calls::find(app, org, id).await?.id;
    if !tokio::fs::try_exists(path(app, call, kind)).await.unwrap_or(false) {
        return Err(reply::not_found("recording of call", id));
    }
    let token = app.signer.token(Purpose::Recording, call);
    let location = format!("{}/recordings/{call}/{kind}.wav?token={token}", app.public_url);
    Ok((StatusCode::FOUND, [(header::LOCATION, location)]).into_response())
}

async fn download(
    State(app): State<App>,
    Path((id, file)): Path<(String, String)>,
    Query(Token { token }): Query<Token>,
) -> Reply {
    let call = parse_id(&id).ok_or_else(|| reply::not_found("recording of call", &id))?;
    if !app.signer.admits(Purpose::Recording, call, &token) {
        return Err(reply::error(ApiError::unauthorized()));
    }
    let kind = match file.as_str() {
        "mono.wav" => "mono",
        "stereo.wav" => "stereo",
        _ => return Err(reply::not_found("recording", &file)),
    };
    let missing = |_| reply::not_found("recording of call", &id);
    let opened = tokio::fs::File::open(path(&app, call, kind)).await.map_err(missing)?;
    let length = opened.metadata().await.map_err(missing)?.len();
    let headers = [
        (header::CONTENT_TYPE, "audio/wav".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CACHE_CONTROL, "private, max-age=3600".to_owned()),
    ];
    Ok((headers, Body::from_stream(pieces(opened))).into_response())
}

/// A file piece by piece, so that a long recording is never whole in memory.
fn pieces(file: tokio::fs::File) -> impl Stream<Item = std::io::Result<Bytes>> {
    stream::try_unfold(file, |mut file| async move {
        let mut piece = BytesMut::with_capacity(READ_BYTES);
        let read = file.read_buf(&mut piece).await?;
        Ok((read > 0).then(|| (piece.freeze(), file)))
    })
}

/// Removes what was recorded of a call.
pub async fn remove(app: &App, call: Uuid) {
    for kind in ["mono", "stereo"] {
        // Calls without a recording have no file.
        let _ = tokio::fs::remove_file(path(app, call, kind)).await;
    }
}

fn path(app: &App, call: Uuid, kind: &str) -> PathBuf {
    let name = match kind {
        "mono" => format!("{call}.mono.wav"),
        _ => format!("{call}.wav"),
    };
    app.node.settings().store.path.join("recordings").join(name)
}
