//! The one place where bytes leave: each at its time, in order, written down in the report.

use std::{collections::BTreeMap, convert::Infallible, future::pending, time::Duration, vec};

use axum::{
    body::Body,
    extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
    http::{HeaderMap, Method, Uri},
    response::Response,
};
use bytes::Bytes;
use futures_util::stream;
use tokio::{
    pin, select,
    time::{Instant, sleep_until, timeout},
};

use super::{
    App,
    report::{Counts, Mark},
};

/// Longest message that is taken, in bytes: some seconds of raw audio, or a long conversation.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// Read buffer of one socket, in bytes: a second of mu-law, and not the 128 KiB of the default.
const READ_BUFFER_BYTES: usize = 8 << 10;

/// How long a client may leave what it is sent unread.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// How long a client may take to answer a close.
const GOODBYE_LIMIT: Duration = Duration::from_secs(1);

/// A wait that is never reached, for timers that stand still.
const FAR: Duration = Duration::from_secs(86_400);

/// The client's end of one websocket protocol: what comes in, and what it leads to.
pub trait Dialogue: Send + 'static {
    fn open(&mut self, out: &mut Out);

    fn handle_text(&mut self, now: Instant, text: &str, out: &mut Out);

    fn handle_audio(&mut self, now: Instant, audio: &[u8], out: &mut Out);

    /// When `handle_deadline` wants to be called if nothing comes.
    fn next_deadline(&self) -> Option<Instant>;

    fn handle_deadline(&mut self, now: Instant, out: &mut Out);
}

/// One connection or request of a provider, counted as long as it lives.
pub struct Link {
    app: App,
    provider: &'static str,
    exchange: Option<u64>,
    since: Instant,
}

/// What came with a request.
pub struct Asked<'a> {
    pub method: &'a Method,
    pub uri: &'a Uri,
    pub headers: &'a HeaderMap,
    pub query: &'a [(String, String)],
}

impl Link {
    /// A request that is looked at; `counted` says as what.
    pub fn new(
        app: &App,
        provider: &'static str,
        asked: &Asked<'_>,
        counted: impl FnOnce(&mut Counts),
    ) -> Self {
        let parts = (asked.method, asked.uri, asked.headers);
        let exchange = app.exchanges.begin(provider, parts, asked.query);
        app.report.count(provider, |counts| {
            counts.open += 1;
            counted(counts);
        });
        Self { app: app.clone(), provider, exchange, since: Instant::now() }
    }

    pub fn note(&self, message: &str) {
        if let Some(exchange) = self.exchange {
            self.app.exchanges.add(exchange, message);
        }
    }

    /// Whether a fault has taken its voice.
    fn is_silenced(&self, now: Instant) -> bool {
        self.app.faults.silences(now, self.provider, self.since)
    }

    /// Whether a fault has cut it off.
    fn is_dropped(&self) -> bool {
        self.app.faults.drops_one(self.provider, self.since)
    }

    fn leaves(&self, due: Option<Instant>, now: Instant, mark: Option<Mark>) {
        if let Some(due) = due {
            self.app.report.lag(now - due);
        }
        if let Some(mark) = mark {
            self.app.report.mark(mark);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.app.report.count(self.provider, |counts| counts.open -= 1);
    }
}

/// What a dialogue wants to be sent, by time.
#[derive(Default)]
pub struct Out {
    now: Option<Instant>,
    queue: BTreeMap<(Instant, u64), Item>,
    sequence: u64,
}

struct Item {
    /// What it belongs to, to be dropped with it.
    lane: Option<u64>,
    message: Message,
    mark: Option<Mark>,
    /// It was put in ahead of its time.
    ahead: bool,
}

impl Out {
    /// Sends a JSON text at once.
    pub fn text(&mut self, text: impl ToString) {
        self.push(None, None, Message::text(text.to_string()), None);
    }

    /// Sends a JSON text at its time.
    pub fn text_at(
        &mut self,
        due: Instant,
        lane: Option<u64>,
        text: impl ToString,
        mark: Option<Mark>,
    ) {
        self.push(Some(due), lane, Message::text(text.to_string()), mark);
    }

    /// Closes once all that is due before is sent; nothing goes out after it.
    pub fn close_at(&mut self, due: Instant, code: u16, reason: &str) {
        let frame = CloseFrame { code, reason: reason.into() };
        self.push(Some(due), None, Message::Close(Some(frame)), None);
    }

    pub fn close(&mut self, code: u16, reason: &str) {
        let frame = CloseFrame { code, reason: reason.into() };
        self.push(None, None, Message::Close(Some(frame)), None);
    }

    /// Forgets what has not been sent of a lane.
    pub fn drop_lane(&mut self, lane: u64) {
        self.queue.retain(|_, item| item.lane != Some(lane));
    }

    fn push(
        &mut self,
        due: Option<Instant>,
        lane: Option<u64>,
        message: Message,
        mark: Option<Mark>,
    ) {
        let now = self.now.unwrap_or_else(Instant::now);
        let due = due.unwrap_or(now);
        self.sequence += 1;
        let item = Item { lane, message, mark, ahead: due > now };
        self.queue.insert((due.max(now), self.sequence), item);
    }

    fn next_due(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((due, _), _)| *due)
    }

    fn pop_due(&mut self, now: Instant) -> Option<(Instant, Item)> {
        let first = self.queue.first_entry().filter(|first| first.key().0 <= now)?;
        let ((due, _), item) = first.remove_entry();
        Some((due, item))
    }
}

/// Accepts a websocket and carries the dialogue on until one side ends it.
pub fn accept(upgrade: WebSocketUpgrade, link: Link, dialogue: impl Dialogue) -> Response {
    upgrade
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .on_upgrade(move |socket| converse(socket, link, dialogue))
}

async fn converse(mut socket: WebSocket, link: Link, mut dialogue: impl Dialogue) {
    let mut stopped = link.app.stopped.clone();
    let mut drops = link.app.faults.drops();
    let mut out = Out { now: Some(Instant::now()), ..Out::default() };
    dialogue.open(&mut out);
    // The timer is only moved to an earlier time; one that fires too early is set anew. A timer
    // moved with every frame costs more than the frame.
    let mut alarm = Instant::now() + FAR;
    let timer = sleep_until(alarm);
    pin!(timer);
    loop {
        let now = Instant::now();
        while let Some((due, item)) = out.pop_due(now) {
            let closes = matches!(item.message, Message::Close(_));
            if link.is_silenced(now) {
                if closes {
                    return;
                }
                continue;
            }
            link.leaves(item.ahead.then_some(due), now, item.mark);
            if !matches!(timeout(WRITE_LIMIT, socket.send(item.message)).await, Ok(Ok(()))) {
                return;
            }
            if closes {
                return say_goodbye(socket).await;
            }
        }
        let deadline = dialogue.next_deadline();
        let due = [out.next_due(), deadline].into_iter().flatten().min();
        if due.is_some_and(|due| due < alarm) {
            alarm = due.unwrap_or(alarm);
            timer.as_mut().reset(alarm);
        }
        select! {
            biased;
            _ = stopped.changed() => {
                out.now = Some(now);
                out.close(1001, "the fakes stop");
            }
            _ = drops.changed() => {
                if link.is_dropped() {
                    return;
                }
            }
            () = &mut timer => {
                let now = Instant::now();
                alarm = now + FAR;
                timer.as_mut().reset(alarm);
                out.now = Some(now);
                if dialogue.next_deadline().is_some_and(|deadline| deadline <= now) {
                    dialogue.handle_deadline(now, &mut out);
                }
            }
            message = socket.recv() => {
                let now = Instant::now();
                out.now = Some(now);
                match message {
                    Some(Ok(Message::Binary(audio))) => {
                        dialogue.handle_audio(now, &audio, &mut out);
                    }
                    Some(Ok(Message::Text(text))) => {
                        link.note(&text);
                        dialogue.handle_text(now, &text, &mut out);
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                }
            }
        }
    }
}

async fn say_goodbye(mut socket: WebSocket) {
    let answer = async { while let Some(Ok(_)) = socket.recv().await {} };
    // A client that does not answer loses nothing: the connection goes with the socket.
    let _ = timeout(GOODBYE_LIMIT, answer).await;
}

/// A part of an answer, and when it leaves.
pub struct Piece {
    pub due: Instant,
    pub bytes: Bytes,
    pub mark: Option<Mark>,
}

/// The body of an answer that comes piece by piece.
pub fn body(link: Link, pieces: Vec<Piece>) -> Body {
    let streaming = Streaming { link, pieces: pieces.into_iter() };
    Body::from_stream(stream::unfold(streaming, |mut streaming| async move {
        let piece = streaming.pieces.as_slice().first()?.due;
        let ahead = piece > Instant::now();
        if ahead {
            sleep_until(piece).await;
        }
        if streaming.link.is_silenced(Instant::now()) {
            // Until the client goes.
            pending::<()>().await;
        }
        let piece = streaming.pieces.next()?;
        streaming.link.leaves(ahead.then_some(piece.due), Instant::now(), piece.mark);
        Some((Ok::<_, Infallible>(piece.bytes), streaming))
    }))
}

struct Streaming {
    link: Link,
    pieces: vec::IntoIter<Piece>,
}

impl Drop for Streaming {
    fn drop(&mut self) {
        if self.pieces.len() > 0 {
            self.link.app.report.count(self.link.provider, |counts| counts.cancelled += 1);
        }
    }
}

#[cfg(test)]
pub mod testing {
    use serde_json::Value;

    use super::*;

    /// A dialogue in virtual time, and what it sent.
    pub struct Talk<D> {
        pub dialogue: D,
        out: Out,
        from: Instant,
    }

    impl<D: Dialogue> Talk<D> {
        /// Begins now, in the time of the test.
        pub fn new(mut dialogue: D) -> Self {
            let from = Instant::now();
            let mut out = Out { now: Some(from), ..Out::default() };
            dialogue.open(&mut out);
            Self { dialogue, out, from }
        }

        pub fn text(&mut self, ms: u64, text: impl ToString) {
            let now = self.at(ms);
            self.dialogue.handle_text(now, &text.to_string(), &mut self.out);
        }

        pub fn audio(&mut self, ms: u64, audio: &[u8]) {
            let now = self.at(ms);
            self.dialogue.handle_audio(now, audio, &mut self.out);
        }

        /// What was sent up to a time, with the milliseconds; deadlines are met on the way.
        pub fn until(&mut self, ms: u64) -> Vec<(u64, Value)> {
            let until = self.from + Duration::from_millis(ms);
            while let Some(deadline) = self.dialogue.next_deadline().filter(|d| *d <= until) {
                self.out.now = Some(deadline);
                self.dialogue.handle_deadline(deadline, &mut self.out);
            }
            let mut sent = Vec::new();
            while let Some((due, item)) = self.out.pop_due(until) {
                let value = match item.message {
                    Message::Text(text) => serde_json::from_str(&text).unwrap(),
                    Message::Close(frame) => {
                        let frame = frame.unwrap();
                        serde_json::json!({"close": [frame.code, frame.reason.as_str()]})
                    }
                    Message::Binary(_) | Message::Ping(_) | Message::Pong(_) => Value::Null,
                };
                sent.push(((due - self.from).as_millis() as u64, value));
            }
            sent
        }

        fn at(&mut self, ms: u64) -> Instant {
            let now = self.from + Duration::from_millis(ms);
            self.out.now = Some(now);
            now
        }
    }
}
