//! One call of the bench of turns: its socket, and what its transcriber is told.

use futures_util::StreamExt;
use offhook_media::AudioFormat;
use reqwest::Client as Http;
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_tungstenite::tungstenite::Message;

use super::{
    super::{
        call::{INTERRUPTED, Socket, hang_up, place, request, send},
        clock::Moment,
        phrase::FRAME,
        samples::Samples,
    },
    caller::{Caller, Step, Timeline},
    cases::Case,
};
use crate::client::{self, Client};

/// Where the calls go, and what answers them.
pub struct Line {
    pub client: Client,
    pub http: Http,
    /// `POST /fakes/scripts`.
    pub scripts_url: String,
    pub assistant: Value,
    pub format: AudioFormat,
}

/// A call that was tried.
pub struct Outcome {
    pub timeline: Timeline,
    pub lateness: Samples,
    pub failure: Option<String>,
}

/// Places a call and holds it to its end.
pub async fn hold(line: &Line, case: &Case, caller: impl FnOnce(Moment) -> Caller) -> Outcome {
    let mut lateness = Samples::default();
    let body = request(&assistant(&line.assistant, case), line.format);
    let mut socket = match place(&line.client, &body).await {
        Ok(socket) => socket,
        Err(reason) => {
            let timeline = Timeline::default();
            return Outcome { timeline, lateness, failure: Some(reason) };
        }
    };
    let mut caller = caller(Moment::now());
    let mut told = JoinSet::new();
    let ended = converse(&mut socket, &mut caller, line, &mut told, &mut lateness).await;
    let failure = match ended {
        Ok(()) => hang_up(&mut socket).await.err(),
        Err(reason) => Some(reason),
    };
    Outcome { timeline: caller.timeline(), lateness, failure }
}

/// The assistant of one call: its transcriber knows the script, and its first words what is asked
/// for.
fn assistant(common: &Value, case: &Case) -> Value {
    let mut assistant = common.clone();
    assistant["transcriber"]["keyterm"] = json!([case.script()]);
    assistant["firstMessage"] = case.category.greeting().into();
    assistant
}

async fn converse(
    socket: &mut Socket,
    caller: &mut Caller,
    line: &Line,
    told: &mut JoinSet<Result<(), String>>,
    lateness: &mut Samples,
) -> Result<(), String> {
    let mut due = Instant::now();
    let tick = sleep_until(due);
    tokio::pin!(tick);
    loop {
        tokio::select! {
            biased;
            incoming = socket.next() => match incoming {
                Some(Ok(Message::Binary(audio))) => caller.hear(Moment::now(), &audio),
                Some(Ok(Message::Text(text))) if text.contains(INTERRUPTED) => {
                    caller.told_of_interruption(Moment::now());
                }
                Some(Ok(Message::Close(frame))) => {
                    let reason = frame.map(|frame| format!("{} {}", frame.code, frame.reason));
                    let reason = reason.unwrap_or_else(|| "no reason given".into());
                    return Err(format!("the server hung up: {reason}"));
                }
                Some(Ok(
                    Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_),
                )) => {}
                Some(Err(error)) => return Err(format!("the connection broke: {error}")),
                None => return Err("the connection ended without a close frame".into()),
            },
            Some(told) = told.join_next() => {
                told.map_err(|error| error.to_string())??;
            }
            () = &mut tick => {
                lateness.add_coarse(due.elapsed());
                // A microphone does not wait for whoever was late.
                while due <= Instant::now() {
                    match caller.step(Moment::now()) {
                        Step::Send(frame) => send(socket, Message::Binary(frame)).await?,
                        Step::HangUp => return Ok(()),
                    }
                    due += FRAME;
                }
                for words in caller.lines() {
                    told.spawn(tell(line.http.clone(), line.scripts_url.clone(), words));
                }
                tick.as_mut().reset(due);
            }
        }
    }
}

async fn tell(http: Http, url: String, words: Value) -> Result<(), String> {
    let failed = |error| format!("the fakes at {url} take no script: {}", client::cause(&error));
    let answer = http.post(&url).json(&words).send().await.map_err(failed)?;
    answer.error_for_status().map_err(failed).map(drop)
}
