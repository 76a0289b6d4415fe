//! The media socket: the carrier connects to its customer, and breaks when it is told to.

use std::{
    future::pending,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use offhook_media::{AudioFormat, Converter};
use tokio::{
    select,
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    connect_async_with_config,
    tungstenite::{
        Message,
        client::IntoClientRequest,
        http::HeaderValue,
        protocol::{CloseFrame, WebSocketConfig},
    },
};

use super::{
    App,
    call::Call,
    faults::MediaFault,
    handset::FORMAT,
    line::{Sink, Source, Up},
    playout::Playout,
};

/// How long a customer may take to accept the socket.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// How long a customer may leave what it is sent unread.
const SEND_LIMIT: Duration = Duration::from_secs(10);

/// Frames of a person that wait while the socket is stalled: ten seconds. Later ones are lost.
const UP_MAX: usize = 500;

/// Marks that wait to be reported.
const ECHOES_MAX: usize = 1_024;

/// How long a customer may take to close its end.
const PARTING: Duration = Duration::from_millis(500);

/// One carrier's messages. Audio is in [`Dialect::format`].
pub trait Dialect: Send {
    fn format(&self) -> AudioFormat;

    /// What is said first.
    fn open(&mut self) -> Vec<Message>;

    /// A frame of the person; more than one message, or none, where order is played with.
    fn audio(&mut self, audio: &[u8]) -> Vec<Message>;

    fn key(&mut self, key: char) -> Message;

    fn mark(&mut self, name: &str) -> Message;

    /// Confirms a clear, where that is done.
    fn cleared(&mut self) -> Option<Message>;

    /// What is said last.
    fn stop(&mut self) -> Option<Message>;

    fn read(&mut self, message: &Message) -> Down;
}

/// What the customer sent.
#[derive(Debug, PartialEq)]
pub enum Down {
    Audio(Bytes),
    Mark(String),
    Clear,
    /// It means nothing to a carrier, which says so.
    Bad(String, Option<Message>),
}

/// Where to connect to, and how.
pub struct Plan {
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub dialect: Box<dyn Dialect>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// The customer closed it.
    Closed(Option<u16>),
    /// It broke.
    Lost(String),
    /// The customer did not accept it.
    Refused(String),
    /// We were told to stop.
    Stopped,
}

/// Connects the call with its customer until either ends it, `stop` says so, or a fault does.
pub async fn run(app: &App, call: &Call, plan: Plan, stop: watch::Receiver<bool>) -> StreamEnd {
    let Plan { url, headers, mut dialect } = plan;
    call.note(app, "stream connecting");
    call.note_time("stream_connecting");
    let mut faults = call.media_fault.subscribe();
    faults.mark_unchanged();
    let connect = async {
        let mut request = url.as_str().into_client_request().map_err(|error| error.to_string())?;
        for (name, value) in headers {
            let value = HeaderValue::from_str(&value).map_err(|error| error.to_string())?;
            request.headers_mut().insert(name, value);
        }
        let config = WebSocketConfig::default().max_message_size(Some(4 << 20));
        let (socket, _) = connect_async_with_config(request, Some(config), true)
            .await
            .map_err(|error| error.to_string())?;
        Ok::<_, String>(socket)
    };
    let mut socket = match timeout(CONNECT_LIMIT, connect).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(problem)) => return StreamEnd::Refused(problem),
        Err(_) => return StreamEnd::Refused(format!("not accepted within {CONNECT_LIMIT:?}")),
    };
    call.note(app, "stream connected");
    call.note_time("stream_connected");

    let (echo, mut echoes) = mpsc::channel(ECHOES_MAX);
    let (up, mut ups) = mpsc::channel(UP_MAX);
    let playout = Arc::new(Mutex::new(Playout::new(echo)));
    let _connected = Connected::new(call, playout.clone(), up);
    let mut to_wire = Converter::new(FORMAT, dialect.format());
    let mut from_wire = Converter::new(dialect.format(), FORMAT);
    let mut outgoing = dialect.open();
    let (mut stop, mut stop_in_stall) = (stop.clone(), stop);
    let mut stalled = false;
    loop {
        for message in outgoing.drain(..) {
            match timeout(SEND_LIMIT, socket.send(message)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return StreamEnd::Lost(error.to_string()),
                Err(_) => return StreamEnd::Lost("the customer does not read".into()),
            }
        }
        select! {
            biased;
            () = told(&mut stop) => {
                if !stalled {
                    let goodbye = async {
                        if let Some(message) = dialect.stop() {
                            socket.send(message).await?;
                        }
                        socket.close(None).await?;
                        while let Some(Ok(_)) = socket.next().await {}
                        Ok::<_, tokio_tungstenite::tungstenite::Error>(())
                    };
                    // A customer that is gone already needs no goodbye.
                    let _ = timeout(PARTING, goodbye).await;
                }
                return StreamEnd::Stopped;
            }
            Ok(()) = faults.changed() => {
                let fault = *faults.borrow_and_update();
                match fault {
                    MediaFault::None => {}
                    MediaFault::Drop => return StreamEnd::Lost("dropped on purpose".into()),
                    MediaFault::Close(code) => {
                        let frame = CloseFrame { code: code.into(), reason: "on purpose".into() };
                        // Whether it arrives is up to the customer.
                        let _ = timeout(PARTING, socket.close(Some(frame))).await;
                        return StreamEnd::Lost(format!("closed on purpose with {code}"));
                    }
                    MediaFault::Stall(time) => {
                        select! {
                            () = sleep(time) => {}
                            () = told(&mut stop_in_stall) => return StreamEnd::Stopped,
                        }
                    }
                    MediaFault::HalfOpen => stalled = true,
                }
            }
            Some(up) = async { if stalled { pending().await } else { ups.recv().await } } => {
                match up {
                    Up::Audio(frame) => {
                        let audio = to_wire.convert(&FORMAT.encode(&frame));
                        outgoing.extend(dialect.audio(&audio));
                    }
                    Up::Key(key) => outgoing.push(dialect.key(key)),
                }
            }
            Some(name) = async { if stalled { pending().await } else { echoes.recv().await } } => {
                outgoing.push(dialect.mark(&name));
            }
            message = async { if stalled { pending().await } else { socket.next().await } } => {
                let message = match message {
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                    Some(Ok(Message::Close(frame))) => {
                        // The answer to the close frame.
                        let _ = timeout(PARTING, socket.close(None)).await;
                        return StreamEnd::Closed(frame.map(|frame| frame.code.into()));
                    }
                    Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => message,
                    Some(Err(error)) => return StreamEnd::Lost(error.to_string()),
                    None => return StreamEnd::Lost("the connection ended".into()),
                };
                let down = dialect.read(&message);
                let playout = || playout.lock().unwrap_or_else(PoisonError::into_inner);
                match down {
                    Down::Audio(audio) => {
                        call.note_time("first_audio");
                        let samples = FORMAT.decode(&from_wire.convert(&audio));
                        call.line.with_handset(|handset| handset.receive(Some(&samples)));
                        playout().push(samples);
                    }
                    Down::Mark(name) => playout().mark(name),
                    Down::Clear => {
                        call.line.with_handset(|handset| handset.receive(None));
                        playout().clear();
                        outgoing.extend(dialect.cleared());
                    }
                    Down::Bad(problem, answer) => {
                        call.note(app, format!("bad message: {problem}"));
                        outgoing.extend(answer);
                    }
                }
            }
        }
    }
}

/// Resolves when it is time to stop; whoever could say so being gone is as good.
async fn told(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// The person's line is connected with the socket as long as this lives.
struct Connected<'a>(&'a Call);

impl<'a> Connected<'a> {
    fn new(call: &'a Call, playout: Arc<Mutex<Playout>>, up: mpsc::Sender<Up>) -> Self {
        call.line.connect(Source::Stream(playout), Sink::Stream(up));
        Self(call)
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.line.connect(Source::Silence, Sink::Nobody);
    }
}
