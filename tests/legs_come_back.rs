//! A media socket may drop and come back: the call goes on where the caller lost it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use offhook_testkit::{fakes::FakeLlm, tones, world::World};
use serde_json::{Value, json};
use tokio::{
    io::DuplexStream,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{CloseFrame, Role, frame::coding::CloseCode},
    },
};

/// Words of one length: without times of the voice's own, the ledger goes by the letters.
const GREETING: &str = "able acid aged also area army away baby back ball band bank base bath bear beat \
                        been beer bell belt";
const RATE_HZ: u32 = 16_000;
const FRAME: Duration = Duration::from_millis(20);

/// A client's end of a socket: a microphone, and a loudspeaker that plays in real time what comes.
struct Phone {
    socket: WebSocketStream<DuplexStream>,
    /// What came, and when each of its frames is over in the loudspeaker.
    played: Vec<(Instant, Bytes)>,
    events: Vec<Value>,
    said: Vec<i16>,
}

impl Phone {
    async fn on(leg: DuplexStream) -> Self {
        let socket = WebSocketStream::from_raw_socket(leg, Role::Client, None).await;
        Self { socket, played: Vec::new(), events: Vec::new(), said: Vec::new() }
    }

    /// Holds the line for a while, and speaks into it what is to be said.
    async fn hold(&mut self, time: Duration) {
        let until = Instant::now() + time;
        let mut tick = interval(FRAME);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = sleep_until(until) => return,
                _ = tick.tick() => {
                    let samples = (RATE_HZ / 50) as usize;
                    let spoken = self.said.len().min(samples);
                    let mut frame: Vec<i16> = self.said.drain(..spoken).collect();
                    frame.resize(samples, 0);
                    let bytes: Vec<u8> = frame.into_iter().flat_map(i16::to_le_bytes).collect();
                    self.socket.send(Message::Binary(bytes.into())).await.unwrap();
                }
                message = self.socket.next() => match message.unwrap().unwrap() {
                    Message::Binary(audio) => self.play(audio),
                    Message::Text(text) => self.events.push(serde_json::from_str(&text).unwrap()),
                    Message::Ping(_)
                    | Message::Pong(_)
                    | Message::Close(_)
                    | Message::Frame(_) => {}
                },
            }
        }
    }

    fn play(&mut self, audio: Bytes) {
        let length = Duration::from_secs_f64(audio.len() as f64 / 2.0 / f64::from(RATE_HZ));
        let begin = self.played.last().map_or(Instant::now(), |(end, _)| *end).max(Instant::now());
        self.played.push((begin + length, audio));
    }

    /// The words that sounded, and that will: what came is played, whatever becomes of the socket.
    fn words(&self) -> Vec<String> {
        let mut sound = Vec::new();
        let mut at: Option<Instant> = None;
        for (end, audio) in &self.played {
            let samples = audio.as_chunks::<2>().0.iter().map(|two| i16::from_le_bytes(*two));
            let length = Duration::from_secs_f64(samples.len() as f64 / f64::from(RATE_HZ));
            let gap = at.map_or(Duration::ZERO, |at| (*end - length).saturating_duration_since(at));
            sound.resize(sound.len() + (gap.as_secs_f64() * f64::from(RATE_HZ)) as usize, 0);
            sound.extend(samples);
            at = Some(*end);
        }
        tones::words_of(&sound, RATE_HZ).into_iter().map(|word| word.text).collect()
    }
}

fn llm() -> FakeLlm {
    FakeLlm::lines(&[("hours", "We are open from nine to five.")])
}

/// How many words of the greeting were heard again at the seam; none may be missing.
fn repeated(before: &[String], after: &[String]) -> usize {
    let greeting: Vec<&str> = GREETING.split_whitespace().collect();
    assert_eq!(before, &greeting[..before.len()]);
    let begins_with = |word: &&str| after.first().is_some_and(|first| first == word);
    let first = greeting.iter().position(begins_with).unwrap_or(greeting.len());
    assert!(first <= before.len(), "lost between {before:?} and {after:?}");
    assert_eq!(after[..greeting.len() - first], greeting[first..]);
    before.len() - first
}

#[tokio::test(start_paused = true)]
async fn a_dropped_socket_comes_back_and_no_word_is_lost() {
    for dropped_after in (200..5_000).step_by(370).map(Duration::from_millis) {
        let world = World::new(llm()).await;
        let placed = world.place(json!({"firstMessage": GREETING})).await;
        let mut phone = Phone::on(placed.leg).await;
        phone.hold(dropped_after).await;
        let before = phone.words();
        drop(phone);
        sleep(Duration::from_secs(7)).await;

        let mut phone = Phone::on(world.reconnect(placed.id).await.unwrap()).await;
        phone.hold(Duration::from_secs(6)).await;
        let repeated = repeated(&before, &phone.words());
        // Without times of the voice's own, where a word ends is an estimate.
        assert!(repeated <= 1, "{repeated} words twice, dropped after {dropped_after:?}");

        phone.said = tones::speak("What are your hours", RATE_HZ);
        phone.hold(Duration::from_secs(6)).await;
        assert!(phone.words().join(" ").ends_with("We are open from nine to five."));
        phone.socket.send(Message::text(r#"{"type":"hangup"}"#)).await.unwrap();
        world.node.wait_ended(placed.id).await;
        let record = world.record(placed.id).await;
        assert_eq!(record["endedReason"], "customer-ended-call");
        let said = record["artifact"]["messages"][0]["message"].as_str().unwrap();
        assert_eq!(said, GREETING, "dropped after {dropped_after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_caller_said_when_the_line_broke_is_answered_on_return() {
    let world = World::new(llm()).await;
    let assistant = json!({"firstMessageMode": "assistant-waits-for-user"});
    let placed = world.place(assistant).await;
    let mut phone = Phone::on(placed.leg).await;
    phone.said = tones::speak("What are your hours", RATE_HZ);
    phone.hold(Duration::from_millis(1_000)).await;
    drop(phone);
    sleep(Duration::from_secs(5)).await;
    let mut phone = Phone::on(world.reconnect(placed.id).await.unwrap()).await;
    phone.hold(Duration::from_secs(5)).await;
    assert_eq!(phone.words().join(" "), "We are open from nine to five.");
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_stays_away_ends_the_call_after_its_time() {
    let world = World::new(llm()).await;
    let placed = world.place(json!({"firstMessage": GREETING})).await;
    let mut phone = Phone::on(placed.leg).await;
    phone.hold(Duration::from_secs(1)).await;
    drop(phone);
    let dropped = Instant::now();
    world.node.wait_ended(placed.id).await;
    let waited = dropped.elapsed();
    assert!((29..32).contains(&waited.as_secs()), "{waited:?}");
    let record = world.record(placed.id).await;
    assert_eq!(record["endedReason"], "customer-ended-call");
    let message = record["endedMessage"].as_str().unwrap();
    assert!(message.contains("did not come back within 30s"), "{message}");
    assert!(world.reconnect(placed.id).await.is_none());
}

/// Half-open: the peer is gone, and nothing says so.
#[tokio::test(start_paused = true)]
async fn a_socket_that_fell_silent_is_given_up_after_five_seconds_and_may_be_replaced() {
    let world = World::new(llm()).await;
    let placed = world.place(json!({"firstMessage": GREETING})).await;
    let mut phone = Phone::on(placed.leg).await;
    phone.hold(Duration::from_secs(2)).await;
    let before = phone.words();
    let silent = Instant::now();
    let context = world.node.call(placed.id).unwrap();
    while context.leg.is_connected() {
        sleep(Duration::from_millis(100)).await;
    }
    let noticed = silent.elapsed();
    assert!((4_900..5_400).contains(&noticed.as_millis()), "{noticed:?}");
    sleep(Duration::from_secs(3)).await;
    let mut again = Phone::on(world.reconnect(placed.id).await.unwrap()).await;
    again.hold(Duration::from_secs(6)).await;
    assert_eq!(repeated(&before, &again.words()), 0, "{before:?} {:?}", again.words());

    drop((phone, again));
    world.node.wait_ended(placed.id).await;
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_fell_silent_for_good_ends_the_call_with_the_reason() {
    let world = World::new(llm()).await;
    let placed = world.place(json!({"firstMessage": GREETING})).await;
    let mut phone = Phone::on(placed.leg).await;
    phone.hold(Duration::from_secs(2)).await;
    world.node.wait_ended(placed.id).await;
    let reason = "call.in-progress.error-assistant-did-not-receive-customer-audio";
    assert_eq!(world.record(placed.id).await["endedReason"], reason);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_only_listens_is_no_dead_one() {
    let world = World::new(llm()).await;
    let placed = world.place(json!({"firstMessage": GREETING})).await;
    let mut phone = Phone::on(placed.leg).await;
    let listening = tokio::time::timeout(Duration::from_secs(20), async {
        while let Some(Ok(message)) = phone.socket.next().await {
            if let Message::Binary(audio) = message {
                phone.play(audio);
            }
        }
    });
    assert!(listening.await.is_err(), "the server gave it up");
    assert_eq!(phone.words().join(" "), GREETING);
}

#[tokio::test(start_paused = true)]
async fn an_orderly_goodbye_ends_the_call_at_once() {
    let world = World::new(llm()).await;
    let placed = world.place(json!({"firstMessage": GREETING})).await;
    let mut phone = Phone::on(placed.leg).await;
    phone.hold(Duration::from_secs(1)).await;
    let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    phone.socket.close(Some(frame)).await.unwrap();
    let closed = Instant::now();
    world.node.wait_ended(placed.id).await;
    assert!(closed.elapsed() < Duration::from_secs(3));
    assert_eq!(world.record(placed.id).await["endedReason"], "customer-ended-call");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_back_before_the_old_socket_is_known_to_be_dead_is_let_in() {
    let world = World::new(llm()).await;
    let placed = world.place(json!({"firstMessage": GREETING})).await;
    let mut old = Phone::on(placed.leg).await;
    old.hold(Duration::from_secs(2)).await;
    let before = old.words();
    let mut new = Phone::on(world.reconnect(placed.id).await.unwrap()).await;
    new.hold(Duration::from_secs(6)).await;
    assert_eq!(repeated(&before, &new.words()), 0, "{before:?} {:?}", new.words());
}
