use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use offhook_media::AudioFormat;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::loudspeaker::Loudspeaker;
use super::script::{FRAME, Mic, Script};
use super::{CallerOptions, CloseInfo, ClosedBy, EventObserver, Heard};

/// Time for the server to take a frame; one that does not read for so long has lost the call.
const SEND_LIMIT: Duration = Duration::from_secs(5);

/// Time for the server to close after the caller hung up; its last messages come meanwhile.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Messages of the server that are kept: some hundred a minute are usual.
const MAX_EVENTS: usize = 100_000;

/// Complaints that are kept; more of them say nothing new.
const MAX_COMPLAINTS: usize = 100;

/// Holds a call over a connected websocket to its end.
pub async fn call_over<S>(socket: WebSocketStream<S>, mut options: CallerOptions) -> Heard
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let script = Script::new(&mut options);
    Session {
        socket,
        format: options.format,
        limit: options.limit,
        on_event: options.on_event,
        script,
        loudspeaker: Loudspeaker::new(options.format),
        started: Instant::now(),
        caller: Vec::new(),
        agent: Vec::new(),
        events: Vec::new(),
        complaints: Vec::new(),
    }
    .run()
    .await
}

struct Session<S> {
    socket: WebSocketStream<S>,
    format: AudioFormat,
    limit: Duration,
    on_event: Option<EventObserver>,
    script: Script,
    loudspeaker: Loudspeaker,
    started: Instant,
    caller: Vec<i16>,
    agent: Vec<i16>,
    events: Vec<(Duration, Value)>,
    complaints: Vec<String>,
}

/// Why the call is over.
struct Ended {
    by: ClosedBy,
    code: Option<u16>,
    reason: String,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    async fn run(mut self) -> Heard {
        let ended = self.talk().await;
        let unplayed = self.format.duration_of(self.loudspeaker.queued() as u64);
        let ended = self.part(ended).await;
        let at = self.format.duration_of(self.agent.len() as u64);
        Heard {
            sample_rate_hz: self.format.sample_rate_hz,
            caller: self.caller,
            agent: self.agent,
            events: self.events,
            turns: self.script.into_turns(),
            complaints: self.complaints,
            unplayed,
            closed: CloseInfo { by: ended.by, code: ended.code, reason: ended.reason, at },
        }
    }

    /// Talks and listens until somebody ends it.
    ///
    /// Frame `n` is played from tick `n` to tick `n + 1`, and what was said meanwhile is sent at
    /// tick `n + 1`, as a microphone would. Ticks that come late are caught up with before anything
    /// is read, so audio is never played before it arrived.
    async fn talk(&mut self) -> Ended {
        self.started = Instant::now();
        let mut ticks = interval_at(self.started, FRAME);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        ticks.tick().await;
        let mut playing = self.play(0);
        let mut frame = 0;
        loop {
            tokio::select! {
                biased;
                _ = ticks.tick() => {
                    let at = FRAME * frame;
                    let mic = self.script.frame(at, &playing);
                    let ended = match mic {
                        Mic::Frame(said) => self.send_frame(said, playing).await,
                        Mic::HangUp => Some(ended(ClosedBy::Caller)),
                        Mic::GiveUp => Some(ended(ClosedBy::OutOfPatience)),
                    };
                    if let Some(ended) = ended {
                        return ended;
                    }
                    if at + FRAME >= self.limit {
                        return ended_by_limit(self.limit);
                    }
                    frame += 1;
                    playing = self.play(frame);
                }
                message = self.socket.next() => {
                    if let Some(ended) = self.receive(message) {
                        return ended;
                    }
                }
            }
        }
    }

    /// Plays a frame: at rates that 20 ms do not divide, frames differ by a sample.
    fn play(&mut self, frame: u32) -> Vec<i16> {
        let samples =
            self.format.samples_in(FRAME * (frame + 1)) - self.format.samples_in(FRAME * frame);
        self.loudspeaker.play(samples as usize)
    }

    async fn send_frame(&mut self, said: Vec<i16>, played: Vec<i16>) -> Option<Ended> {
        let message = Message::Binary(self.format.encode(&said));
        self.caller.extend(said);
        self.agent.extend(played);
        match timeout(SEND_LIMIT, self.socket.send(message)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(self.hear_out(error).await),
            Err(_) => Some(lost(format!("server read nothing for {} s", SEND_LIMIT.as_secs()))),
        }
    }

    /// Reads on after sending failed: what the server said before it went may wait to be read, its
    /// reason for closing above all.
    async fn hear_out(&mut self, error: Error) -> Ended {
        let rest = async {
            loop {
                let message = self.socket.next().await;
                if let Some(ended) = self.receive(message) {
                    return ended;
                }
            }
        };
        match timeout(CLOSE_LIMIT, rest).await {
            Ok(ended) if ended.by == ClosedBy::Agent => ended,
            Ok(_) | Err(_) => lost(error.to_string()),
        }
    }

    fn receive(&mut self, message: Option<Result<Message, Error>>) -> Option<Ended> {
        match message {
            Some(Ok(Message::Binary(audio))) => {
                self.hear(&audio);
                None
            }
            Some(Ok(Message::Text(text))) => {
                self.note_event(&text);
                None
            }
            Some(Ok(Message::Close(close))) => Some(Ended {
                by: ClosedBy::Agent,
                code: close.as_ref().map(|close| close.code.into()),
                reason: close.map(|close| close.reason.to_string()).unwrap_or_default(),
            }),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => None,
            Some(Err(error)) => Some(lost(error.to_string())),
            None => Some(lost("connection ended without a close frame".into())),
        }
    }

    fn hear(&mut self, audio: &[u8]) {
        if !audio.len().is_multiple_of(self.format.bytes_per_sample()) {
            self.complain(format!("audio message of {} bytes: half a sample", audio.len()));
        }
        let lost = self.loudspeaker.push(&self.format.decode(audio));
        if lost > 0 {
            self.complain(format!("{lost} samples of audio arrived too far ahead to be kept"));
        }
    }

    fn note_event(&mut self, text: &str) {
        let at = self.started.elapsed();
        let Ok(event) = serde_json::from_str::<Value>(text) else {
            self.complain(format!("text message of {} bytes is not JSON", text.len()));
            return;
        };
        if event["type"] == "user-interrupted" {
            self.loudspeaker.clear();
        }
        if let Some(on_event) = &mut self.on_event {
            on_event(at, &event);
        }
        if self.events.len() < MAX_EVENTS {
            self.events.push((at, event));
        }
    }

    fn complain(&mut self, complaint: String) {
        if self.complaints.len() < MAX_COMPLAINTS {
            self.complaints.push(complaint);
        }
    }

    /// Hangs up where the call was ended on this side, and reads what the server still has to say.
    async fn part(&mut self, mut ended: Ended) -> Ended {
        let hangs_up = match ended.by {
            ClosedBy::Caller | ClosedBy::OutOfPatience | ClosedBy::TimeLimit => true,
            ClosedBy::Agent => false,
            ClosedBy::Lost => return ended,
        };
        let parting = async {
            if hangs_up {
                let hangup = Message::text(r#"{"type":"hangup"}"#);
                if self.socket.send(hangup).await.is_err() {
                    return;
                }
            }
            while let Some(message) = self.socket.next().await {
                let Some(close) = self.receive(Some(message)) else { continue };
                if close.by == ClosedBy::Agent && ended.reason.is_empty() {
                    ended.code = close.code;
                    ended.reason = close.reason;
                }
            }
        };
        if timeout(CLOSE_LIMIT, parting).await.is_err() {
            // A server that has not closed by now is left; it sees the connection end.
            let _ = timeout(CLOSE_LIMIT, self.socket.close(None)).await;
        }
        ended
    }
}

fn ended(by: ClosedBy) -> Ended {
    Ended { by, code: None, reason: String::new() }
}

fn ended_by_limit(limit: Duration) -> Ended {
    let reason = format!("the call lasted {} s", limit.as_secs());
    Ended { by: ClosedBy::TimeLimit, code: None, reason }
}

fn lost(reason: String) -> Ended {
    Ended { by: ClosedBy::Lost, code: None, reason }
}
