//! One session with a worker: two directions that run side by side, and whoever ends first decides.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use offhook_core::FailureClass;
use tokio::{process::ChildStdin, sync::mpsc, time::timeout};

use super::super::{SttEvent, SttInput, SttSession};
use crate::{
    ProviderError,
    worker::{
        Reply,
        child::{self, Child, Worker},
        frame::{BODY_MAX, Frame},
        pocketsphinx::{self, Heard, Order, Settings},
    },
};

/// Audio messages that wait for the worker; a second of 20 ms frames.
const AUDIO_QUEUE: usize = 50;

/// Events that wait to be read. The worker makes at most about a dozen a second.
const EVENT_QUEUE: usize = 64;

/// Longest wait for the last final once no audio will come: a full utterance heard twice over.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

pub(super) async fn open(
    program: &Path,
    settings: &Settings,
) -> Result<SttSession, ProviderError> {
    let worker = Worker::start(program, pocketsphinx::NAME, settings).await?;
    let (audio, input) = mpsc::channel(AUDIO_QUEUE);
    let (output, events) = mpsc::channel(EVENT_QUEUE);
    tokio::spawn(run(worker, input, output));
    Ok(SttSession { audio, events })
}

async fn run(
    worker: Worker,
    input: mpsc::Receiver<SttInput>,
    output: mpsc::Sender<Result<SttEvent, ProviderError>>,
) {
    let (mut child, stdin) = worker.split();
    let ended = tokio::select! {
        // The child is killed as it goes out of scope.
        () = output.closed() => return,
        ended = drive(&mut child, stdin, input, &output) => ended,
    };
    if let Err(error) = ended {
        // Nobody may be left to read it.
        let _ = output.send(Err(error)).await;
    }
}

async fn drive(
    child: &mut Child,
    stdin: ChildStdin,
    input: mpsc::Receiver<SttInput>,
    output: &mpsc::Sender<Result<SttEvent, ProviderError>>,
) -> Result<(), ProviderError> {
    let all_was_fed = {
        let listening = listen(child, output);
        tokio::pin!(listening);
        let fed = tokio::select! {
            // The worker's own account of its end is better than that of a broken pipe.
            biased;
            ended = &mut listening => ended.map(|()| None)?,
            fed = feed(stdin, input) => Some(fed),
        };
        match fed {
            None => false,
            Some(Err(error)) if error.class != FailureClass::Closed => return Err(error),
            Some(fed) => {
                match timeout(DRAIN_LIMIT, listening).await {
                    Ok(ended) => ended?,
                    Err(_) => {
                        let detail = "a worker did not end its last utterance";
                        return Err(ProviderError::new(FailureClass::Stalled, detail));
                    }
                }
                fed.is_ok()
            }
        }
    };
    match child.exited().await? {
        (status, _) if status.success() && all_was_fed => Ok(()),
        (_, obituary) => Err(ProviderError::new(FailureClass::Closed, obituary)),
    }
}

async fn feed(
    mut stdin: ChildStdin,
    mut input: mpsc::Receiver<SttInput>,
) -> Result<(), ProviderError> {
    while let Some(message) = input.recv().await {
        match message {
            SttInput::Audio(audio) => {
                for piece in pieces(&audio) {
                    child::send(&mut stdin, &Frame::Audio(piece)).await?;
                }
            }
            SttInput::Finalize => child::send(&mut stdin, &Frame::json(&Order::Finalize)).await?,
            SttInput::KeepAlive => {}
        }
    }
    Ok(())
}

/// A frame holds so much and no more, whoever sends it.
fn pieces(audio: &Bytes) -> impl Iterator<Item = Bytes> {
    (0..audio.len())
        .step_by(BODY_MAX)
        .map(|start| audio.slice(start..audio.len().min(start + BODY_MAX)))
}

async fn listen(
    child: &mut Child,
    output: &mpsc::Sender<Result<SttEvent, ProviderError>>,
) -> Result<(), ProviderError> {
    while let Some(frame) = child::receive(child).await? {
        let event = match child::reply(child, &frame)? {
            Reply::Event(heard) => event(heard),
            Reply::Failed(failed) => return Err(ProviderError::new(failed.class, failed.detail)),
            Reply::Ready => {
                let detail = format!("{} was ready twice", child.name());
                return Err(ProviderError::new(FailureClass::Protocol, detail));
            }
        };
        if output.send(Ok(event)).await.is_err() {
            break;
        }
    }
    Ok(())
}

fn event(heard: Heard) -> SttEvent {
    match heard {
        Heard::SpeechStarted { at_ms } => {
            SttEvent::SpeechStarted { at: Duration::from_millis(at_ms) }
        }
        Heard::Partial { text } => SttEvent::Partial { text },
        Heard::Final { text, until_ms } => {
            SttEvent::Final { text, until: Duration::from_millis(until_ms) }
        }
    }
}
