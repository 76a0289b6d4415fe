use tokio::io::{DuplexStream, duplex};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, frame::coding::CloseCode};

use super::*;
use crate::net::testing::{failure, next};

const PEER: Peer =
    Peer { provider: "echo", reason_header: None, reasons: &[("busy", FailureClass::Stalled)] };

/// Sends what it is given and tells what it hears; owes an answer from `?` to `!`.
#[derive(Default)]
struct Echo {
    asked: Option<Instant>,
}

impl Dialogue for Echo {
    type Input = String;
    type Event = String;

    fn handle_input(
        &mut self,
        now: Instant,
        input: String,
        out: &mut Outbox<String>,
    ) -> Result<(), ProviderError> {
        if input == "?" {
            self.asked = Some(now);
        }
        out.text(&Value::String(input));
        Ok(())
    }

    fn handle_end_of_input(&mut self, _now: Instant, out: &mut Outbox<String>) {
        out.text(&Value::String("end".into()));
    }

    fn handle_message(
        &mut self,
        _now: Instant,
        text: &str,
        out: &mut Outbox<String>,
    ) -> Result<(), ProviderError> {
        match text {
            "!" => self.asked = None,
            "bad" => return Err(PEER.error(FailureClass::BadRequest, "bad")),
            _ => {}
        }
        out.events.push_back(text.into());
        Ok(())
    }

    fn owed_since(&self) -> Option<Instant> {
        self.asked
    }

    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    fn handle_deadline(
        &mut self,
        _now: Instant,
        _out: &mut Outbox<String>,
    ) -> Result<(), ProviderError> {
        Ok(())
    }
}

/// Bytes that the pipe holds before a writer waits.
const PIPE_BYTES: usize = 4096;

async fn session() -> (Ends<Echo>, WebSocketStream<DuplexStream>) {
    let (ours, theirs) = duplex(PIPE_BYTES);
    let client = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;
    let server = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
    (start(client, PEER, Echo::default()), server)
}

async fn heard(server: &mut WebSocketStream<DuplexStream>) -> Message {
    server.next().await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_pinged_and_lives_as_long_as_it_answers() {
    let ((_input, mut events), mut server) = session().await;
    let start = Instant::now();
    for n in 1..=5 {
        assert!(matches!(heard(&mut server).await, Message::Ping(_)));
        assert_eq!(start.elapsed(), n * PING_AFTER);
        server.flush().await.unwrap();
    }
    let unanswered = start.elapsed() + PING_AFTER + PONG_LIMIT;
    let error = failure(&mut events).await;
    assert_eq!((error.class, start.elapsed()), (FailureClass::Stalled, unanswered));
    assert_eq!(error.detail, "echo: answered no ping for 10s");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_has_stalled() {
    let ((input, mut events), _server) = session().await;
    let start = Instant::now();
    input.send("x".repeat(2 * PIPE_BYTES)).await.unwrap();
    let error = failure(&mut events).await;
    assert_eq!((error.class, start.elapsed()), (FailureClass::Stalled, SEND_LIMIT));
    assert!(input.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_owes_an_answer_and_only_answers_pings_has_stalled() {
    let ((input, mut events), mut server) = session().await;
    input.send("?".into()).await.unwrap();
    heard(&mut server).await;
    let start = Instant::now();
    server.send(Message::Pong(Bytes::new())).await.unwrap();
    let error = failure(&mut events).await;
    assert_eq!((error.class, start.elapsed()), (FailureClass::Stalled, ANSWER_LIMIT));
}

#[tokio::test(start_paused = true)]
async fn after_the_end_of_input_a_peer_may_finish_but_not_dawdle() {
    let ((input, mut events), mut server) = session().await;
    drop(input);
    assert_eq!(heard(&mut server).await, Message::text("\"end\""));
    server.send(Message::text("last")).await.unwrap();
    assert_eq!(next(&mut events).await, "last");
    let start = Instant::now();
    assert_eq!(failure(&mut events).await.class, FailureClass::Stalled);
    assert_eq!(start.elapsed(), FINISH_LIMIT);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_hangs_up_after_the_end_of_input_has_finished_unless_it_owes_something() {
    let ((input, mut events), mut server) = session().await;
    drop(input);
    heard(&mut server).await;
    server.close(None).await.unwrap();
    assert_eq!(events.recv().await, None);

    let ((input, mut events), mut server) = session().await;
    input.send("?".into()).await.unwrap();
    drop(input);
    heard(&mut server).await;
    server.close(None).await.unwrap();
    assert_eq!(failure(&mut events).await.class, FailureClass::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_slow_loses_nothing_and_blames_nobody() {
    let ((input, mut events), mut server) = session().await;
    input.send("?".into()).await.unwrap();
    heard(&mut server).await;
    let messages = 2 * EVENT_QUEUE;
    for n in 0..messages {
        server.send(Message::text(n.to_string())).await.unwrap();
    }
    tokio::time::advance(10 * (PING_AFTER + PONG_LIMIT + ANSWER_LIMIT)).await;
    for n in 0..messages {
        assert_eq!(next(&mut events).await, n.to_string());
    }
    server.send(Message::text("!")).await.unwrap();
    assert_eq!(next(&mut events).await, "!");
}

#[tokio::test(start_paused = true)]
async fn an_error_comes_after_the_events_before_it_and_nothing_after() {
    let ((_input, mut events), mut server) = session().await;
    for text in ["one", "two", "bad", "three"] {
        server.send(Message::text(text)).await.unwrap();
    }
    assert_eq!(next(&mut events).await, "one");
    assert_eq!(next(&mut events).await, "two");
    assert_eq!(failure(&mut events).await.class, FailureClass::BadRequest);
}

#[tokio::test(start_paused = true)]
async fn the_reason_of_a_close_decides_its_class() {
    let ((_input, mut events), mut server) = session().await;
    let frame = CloseFrame { code: CloseCode::Policy, reason: "so busy".into() };
    server.close(Some(frame)).await.unwrap();
    let error = failure(&mut events).await;
    assert_eq!(error.class, FailureClass::Stalled);
    assert_eq!(error.detail, "echo: closed the session with code 1008 so busy");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_session_says_goodbye_even_while_it_was_sending() {
    let ((input, events), mut server) = session().await;
    drop((input, events));
    let mut last = None;
    while let Some(Ok(message)) = server.next().await {
        last = Some(message);
    }
    assert!(matches!(last, Some(Message::Close(_))));

    let ((input, events), mut server) = session().await;
    input.send("x".repeat(2 * PIPE_BYTES)).await.unwrap();
    tokio::task::yield_now().await;
    drop((input, events));
    while let Some(Ok(_)) = server.next().await {}
}
