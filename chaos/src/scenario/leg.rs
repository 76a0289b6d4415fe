//! The line between a caller and its leg, where it is broken.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use offhook_testkit::world::World;
use tokio::{
    io::DuplexStream,
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, protocol::Role},
};
use uuid::Uuid;

/// A wait that is never reached.
const FAR: Duration = Duration::from_secs(86_400);

/// The jitter that is promised to have no effect.
const HOLD_MAX: Duration = Duration::from_millis(200);

/// Bytes between a caller and the line.
const WIRE_BYTES: usize = 32 * 1024;

/// Breaks the line of one call.
#[derive(Clone, Default)]
pub struct Line {
    state: Arc<Mutex<State>>,
    changed: Arc<watch::Sender<()>>,
}

#[derive(Default)]
struct State {
    /// The caller's audio is held back until then.
    hold_until: Option<Instant>,
    held_since: Option<Instant>,
    /// Frames that still are to be lost.
    lose: u32,
    cut: Option<Cut>,
}

impl State {
    fn let_go(&mut self) {
        (self.hold_until, self.held_since) = (None, None);
    }
}

/// The socket to the server is given up.
#[derive(Clone, Copy)]
struct Cut {
    /// Without closing it.
    silently: bool,
    back_after: Option<Duration>,
}

impl Line {
    /// Two at a time hold no longer than the longest of one: what is late by more is lost.
    pub fn hold(&self, time: Duration) {
        let now = Instant::now();
        let mut state = self.state();
        let since = *state.held_since.get_or_insert(now);
        let until = (now + time).min(since + HOLD_MAX.max(time));
        state.hold_until = Some(state.hold_until.map_or(until, |before| before.max(until)));
        drop(state);
        self.changed.send_replace(());
    }

    pub fn lose(&self, frames: u32) {
        self.state().lose += frames;
    }

    pub fn cut(&self, silently: bool, back_after: Option<Duration>) {
        self.state().cut = Some(Cut { silently, back_after });
        self.changed.send_replace(());
    }

    /// Puts itself between a caller and the socket that it has; returns the caller's new end.
    pub async fn lay(&self, world: Arc<World>, id: Uuid, server: DuplexStream) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(WIRE_BYTES);
        let caller = WebSocketStream::from_raw_socket(ours, Role::Server, None).await;
        let server = client(server).await;
        tokio::spawn(self.clone().run(world, id, caller, server));
        theirs
    }

    async fn run(
        self,
        world: Arc<World>,
        id: Uuid,
        mut caller: WebSocketStream<DuplexStream>,
        server: WebSocketStream<DuplexStream>,
    ) {
        let mut changes = self.changed.subscribe();
        let mut server = Some(server);
        // Neither closed nor used any more: the server shall find out by itself.
        let mut abandoned = None;
        let mut back_at: Option<Instant> = None;
        let mut held: VecDeque<Message> = VecDeque::new();
        loop {
            if let Some(cut) = self.state().cut.take() {
                let old = server.take();
                abandoned = if cut.silently { old } else { None };
                back_at = cut.back_after.map(|after| Instant::now() + after);
                held.clear();
            }
            let hold_until = self.state().hold_until;
            let wake =
                [hold_until.filter(|_| !held.is_empty()), back_at].into_iter().flatten().min();
            let wake = wake.unwrap_or_else(|| Instant::now() + FAR);
            tokio::select! {
                biased;
                _ = changes.changed() => {}
                () = sleep_until(wake) => {
                    if back_at.is_some_and(|at| at <= Instant::now()) {
                        back_at = None;
                        abandoned = None;
                        // A call that is over has no leg to come back to.
                        let Some(socket) = world.reconnect(id).await else { return };
                        server = Some(client(socket).await);
                    }
                    if hold_until.is_none_or(|until| until <= Instant::now()) {
                        self.state().let_go();
                        if forward_all(&mut server, &mut held).await.is_err() {
                            return;
                        }
                    }
                }
                message = caller.next() => {
                    let Some(Ok(message)) = message else { break };
                    if message.is_close() && server.is_none() {
                        break;
                    }
                    if message.is_binary() && self.loses_one() {
                        continue;
                    }
                    held.push_back(message);
                    let waits = hold_until.is_some_and(|until| until > Instant::now());
                    if !waits && forward_all(&mut server, &mut held).await.is_err() {
                        return;
                    }
                }
                message = next(&mut server) => {
                    let Some(Ok(message)) = message else {
                        if back_at.is_some() {
                            server = None;
                            continue;
                        }
                        break;
                    };
                    let closes = message.is_close();
                    if caller.send(message).await.is_err() || closes {
                        break;
                    }
                }
            }
        }
        drop(abandoned);
    }

    fn loses_one(&self) -> bool {
        let mut state = self.state();
        let loses = state.lose > 0;
        state.lose -= u32::from(loses);
        loses
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn client(socket: DuplexStream) -> WebSocketStream<DuplexStream> {
    WebSocketStream::from_raw_socket(socket, Role::Client, None).await
}

/// The server's next message; waits for good where there is no server.
async fn next(
    server: &mut Option<WebSocketStream<DuplexStream>>,
) -> Option<Result<Message, tokio_tungstenite::tungstenite::Error>> {
    match server {
        Some(server) => server.next().await,
        None => std::future::pending().await,
    }
}

/// Sends what was held; without a server, it is lost.
async fn forward_all(
    server: &mut Option<WebSocketStream<DuplexStream>>,
    held: &mut VecDeque<Message>,
) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    let Some(server) = server else {
        held.clear();
        return Ok(());
    };
    for message in held.drain(..) {
        server.send(message).await?;
    }
    Ok(())
}
