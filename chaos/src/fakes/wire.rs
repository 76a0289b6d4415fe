//! The one place where bytes leave: each at its time, in order, written down in the report.

use std::{
    collections::{BTreeMap, VecDeque},
    future::pending,
    io,
    time::Duration,
};

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
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    App,
    faults::Manner,
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

    /// How a fault changes what leaves now.
    fn manner(&self, now: Instant) -> Manner {
        self.app.faults.manner(now, self.provider).unwrap_or_default()
    }

    fn open_for(&self, now: Instant) -> Duration {
        now - self.since
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
    late: Lateness,
}

/// When what faults hold back leaves: in order, and no later than each is late.
#[derive(Default)]
pub struct Lateness {
    /// When the last leaves that was put off.
    until: Option<Instant>,
}

impl Lateness {
    /// When something leaves that is due then and takes so long to pass.
    pub fn leaves(&mut self, due: Instant, takes: Duration) -> Instant {
        let at = self.until.map_or(due, |until| due.max(until)) + takes;
        self.until = Some(at);
        at
    }

    /// Something that was put off has not left by now.
    pub fn is_behind(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until > now)
    }
}

struct Item {
    /// A fault has put it off already.
    is_late: bool,
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
        let item = Item { is_late: false, lane, message, mark, ahead: due > now };
        self.queue.insert((due.max(now), self.sequence), item);
    }

    /// Sends something later than it was due, and after all that was put off before it: a connection
    /// keeps the order of what it carries.
    fn put_off(&mut self, due: Instant, takes: Duration, item: Item) {
        let due = self.late.leaves(due, takes);
        self.sequence += 1;
        self.queue.insert((due, self.sequence), Item { is_late: true, ahead: false, ..item });
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
    let mut traffic = Traffic::default();
    loop {
        let now = Instant::now();
        let manner = link.manner(now);
        while let Some((due, item)) = out.pop_due(now) {
            let closes = matches!(item.message, Message::Close(_));
            if link.is_silenced(now) || manner.half_open {
                if closes {
                    return;
                }
                continue;
            }
            if !item.is_late {
                let late = manner.late.map(|late| late.draw(&link.app.chance));
                let takes = manner.drip.map(|gap| gap * length(&item.message) as u32);
                if late.is_some() || takes.is_some() || out.late.is_behind(now) {
                    let due = now + late.unwrap_or_default();
                    out.put_off(due, takes.unwrap_or_default(), item);
                    continue;
                }
            }
            link.leaves(item.ahead.then_some(due), now, item.mark);
            for message in traffic.changed(item.message, manner) {
                traffic.count_out(&message);
                if !matches!(timeout(WRITE_LIMIT, socket.send(message)).await, Ok(Ok(()))) {
                    return;
                }
            }
            if closes {
                return say_goodbye(socket).await;
            }
            if traffic.is_over(manner, link.open_for(now)) {
                return;
            }
        }
        if traffic.is_over(manner, link.open_for(now)) {
            return;
        }
        // Whoever reads nothing looks now and then whether that is over.
        let reads = !manner.half_open;
        let deadline = dialogue.next_deadline();
        let ends = manner.ends_after.is_some() || manner.half_open;
        let look = ends.then(|| now + LOOK);
        let due = [out.next_due(), deadline, look].into_iter().flatten().min();
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
            message = socket.recv(), if reads => {
                let now = Instant::now();
                out.now = Some(now);
                match message {
                    Some(Ok(Message::Binary(audio))) => {
                        traffic.bytes_in += audio.len() as u64;
                        if let Some(cap) = manner.rate_cap
                            && cap.is_broken(traffic.bytes_in, link.open_for(now))
                        {
                            out.close(cap.code, "audio came too fast");
                            continue;
                        }
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

/// How often a connection that is to end, or reads nothing, is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// What passed a websocket, and what faults hold back of it.
#[derive(Default)]
pub struct Traffic {
    messages: u64,
    bytes: u64,
    pub bytes_in: u64,
    /// Comes after its successor.
    held: Option<Message>,
}

impl Traffic {
    /// A message as a fault has it leave: changed, twice, or after the next one.
    pub fn changed(&mut self, message: Message, manner: Manner) -> Vec<Message> {
        if matches!(message, Message::Close(_)) {
            return self.held.take().into_iter().chain([message]).collect();
        }
        let message = match message {
            Message::Text(_) if manner.garbage => Message::text(GARBAGE),
            Message::Binary(_) if manner.garbage => {
                Message::Binary(Bytes::from_static(GARBAGE.as_bytes()))
            }
            Message::Text(text) if manner.truncate => {
                let half = text.char_indices().nth(text.chars().count() / 2);
                Message::text(&text[..half.map_or(0, |(at, _)| at)])
            }
            Message::Binary(bytes) if manner.truncate => {
                Message::Binary(bytes.slice(..bytes.len() / 2))
            }
            message @ (Message::Text(_)
            | Message::Binary(_)
            | Message::Ping(_)
            | Message::Pong(_)
            | Message::Close(_)) => message,
        };
        if manner.duplicate {
            return vec![message.clone(), message];
        }
        match self.held.take() {
            Some(held) => vec![message, held],
            None if manner.reorder => {
                self.held = Some(message);
                Vec::new()
            }
            None => vec![message],
        }
    }

    pub fn count_out(&mut self, message: &Message) {
        self.messages += 1;
        self.bytes += length(message) as u64;
    }

    /// Whether a fault ends the connection here.
    pub fn is_over(&self, manner: Manner, open: Duration) -> bool {
        manner.ends_after.is_some_and(|limits| limits.are_reached(self.messages, self.bytes, open))
    }
}

/// The bytes of a message's content.
pub fn length(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) => bytes.len(),
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) => 0,
    }
}

/// Nothing that any protocol has.
pub const GARBAGE: &str = "\u{1}}{]broken on purpose";

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
    let (pieces, late) = (pieces.into(), Lateness::default());
    let streaming = Streaming { link, pieces, late, sent: 0, bytes: 0, has_ended: false };
    Body::from_stream(stream::unfold(streaming, |mut streaming| async move {
        let bytes = streaming.next().await?;
        Some((bytes, streaming))
    }))
}

struct Streaming {
    link: Link,
    pieces: VecDeque<Piece>,
    late: Lateness,
    sent: u64,
    bytes: u64,
    /// A fault has cut it off.
    has_ended: bool,
}

impl Streaming {
    /// The next bytes, at their time; an error cuts the connection.
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.has_ended {
            return None;
        }
        let due = self.pieces.front()?.due;
        let ahead = due > Instant::now();
        if ahead {
            sleep_until(due).await;
        }
        let now = Instant::now();
        let manner = self.link.manner(now);
        if let Some(late) = manner.late {
            let due = due + late.draw(&self.link.app.chance);
            sleep_until(self.late.leaves(due, Duration::ZERO)).await;
        }
        if self.link.is_silenced(now) || manner.half_open {
            // Until the client goes.
            pending::<()>().await;
        }
        let open = self.link.open_for(now);
        if manner.ends_after.is_some_and(|limits| limits.are_reached(self.sent, self.bytes, open)) {
            return self.cut();
        }
        if let Some(gap) = manner.drip {
            sleep(gap).await;
            return self.drip();
        }
        if manner.reorder && self.sent.is_multiple_of(2) {
            swap_first(&mut self.pieces);
        }
        let piece = self.pieces.pop_front()?;
        self.link.leaves(ahead.then_some(piece.due), Instant::now(), piece.mark);
        self.sent += 1;
        self.bytes += piece.bytes.len() as u64;
        if manner.truncate {
            self.has_ended = true;
            return Some(Ok(piece.bytes.slice(..piece.bytes.len() / 2)));
        }
        let bytes = match (manner.garbage, manner.duplicate) {
            (true, _) => Bytes::from_static(GARBAGE.as_bytes()),
            (false, true) => [&piece.bytes[..], &piece.bytes[..]].concat().into(),
            (false, false) => piece.bytes,
        };
        Some(Ok(bytes))
    }

    /// One byte of what is to come.
    fn drip(&mut self) -> Option<io::Result<Bytes>> {
        let piece = self.pieces.front_mut()?;
        let byte = piece.bytes.split_to(piece.bytes.len().min(1));
        if piece.bytes.is_empty() {
            self.pieces.pop_front();
        }
        self.bytes += 1;
        Some(Ok(byte))
    }

    fn cut(&mut self) -> Option<io::Result<Bytes>> {
        self.has_ended = true;
        Some(Err(io::Error::other("cut off on purpose")))
    }
}

/// Has the first piece leave after the second, each when one of them was due.
fn swap_first(pieces: &mut VecDeque<Piece>) {
    if let [first, second, ..] = pieces.make_contiguous() {
        std::mem::swap(first, second);
        std::mem::swap(&mut first.due, &mut second.due);
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        if !self.pieces.is_empty() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_late_is_not_overtaken_by_what_is_less_late() {
        let start = Instant::now();
        let mut out = Out { now: Some(start), ..Out::default() };
        out.text("first");
        out.text("second");
        for late in [300, 20] {
            let (_, item) = out.pop_due(start).unwrap();
            out.put_off(start + Duration::from_millis(late), Duration::ZERO, item);
        }
        assert!(out.pop_due(start + Duration::from_millis(299)).is_none());
        let later = start + Duration::from_millis(300);
        let left = std::iter::from_fn(|| out.pop_due(later).map(|(_, item)| item.message));
        assert_eq!(left.collect::<Vec<_>>(), [Message::text("first"), Message::text("second")]);
    }

    #[test]
    fn what_comes_late_is_late_once_and_a_byte_at_a_time_takes_its_time() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut late = Lateness::default();
        let tokens = [0, 10, 20].map(|due| late.leaves(at(due + 3_000), Duration::ZERO));
        assert_eq!(tokens, [at(3_000), at(3_010), at(3_020)]);
        assert!(late.is_behind(at(3_019)) && !late.is_behind(at(3_020)));
        let dripping = [0, 0].map(|due| late.leaves(at(due), Duration::from_millis(50)));
        assert_eq!(dripping, [at(3_070), at(3_120)]);
    }

    #[test]
    fn of_two_parts_of_an_answer_the_second_comes_first_at_the_time_of_the_first() {
        let start = Instant::now();
        let piece = |ms, bytes: &'static [u8]| Piece {
            due: start + Duration::from_millis(ms),
            bytes: Bytes::from_static(bytes),
            mark: None,
        };
        let mut pieces = VecDeque::from([piece(1, b"a"), piece(2, b"b"), piece(3, b"c")]);
        swap_first(&mut pieces);
        let order: Vec<_> = pieces.iter().map(|it| (it.due - start, &it.bytes[..])).collect();
        let ms = Duration::from_millis;
        assert_eq!(order, [(ms(1), &b"b"[..]), (ms(2), b"a"), (ms(3), b"c")]);
    }
}
