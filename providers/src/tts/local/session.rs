//! One session: a queue of sentences, spoken one after the other.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use offhook_core::FailureClass;
use offhook_media::AudioFormat;
use tokio::sync::mpsc;

use super::{
    super::{ContextId, TtsEvent, TtsInput, TtsSession, WordTiming},
    Engine, Spoken, text,
};
use crate::ProviderError;

/// Messages that wait for the session; it takes them at once.
const INPUT_QUEUE: usize = 32;

/// Events that wait to be read, 0.2 s of audio each: the voice is ahead by this much at most.
const EVENT_QUEUE: usize = 16;

/// Sentences that wait to be spoken. About half an hour of speech: more is a model gone astray.
const SENTENCES_MAX: usize = 256;

pub(super) fn open(engine: Engine) -> TtsSession {
    let (input, inputs) = mpsc::channel(INPUT_QUEUE);
    let (output, events) = mpsc::channel(EVENT_QUEUE);
    let format = engine.format();
    tokio::spawn(async move {
        let session = Session { format, sent: HashMap::new(), queue: VecDeque::new() };
        // The engine goes with the task, and its child with the engine.
        let ended = tokio::select! {
            () = output.closed() => return,
            ended = session.run(engine, inputs, &output) => ended,
        };
        if let Err(error) = ended {
            // Nobody may be left to read it.
            let _ = output.send(Err(error)).await;
        }
    });
    TtsSession { input, events }
}

struct Session {
    format: AudioFormat,
    /// How much of each context was sent, in samples.
    sent: HashMap<ContextId, u64>,
    queue: VecDeque<Item>,
}

enum Item {
    Sentence { context: ContextId, text: String },
    Done { context: ContextId },
}

impl Item {
    fn context(&self) -> ContextId {
        match self {
            Self::Sentence { context, .. } | Self::Done { context } => *context,
        }
    }
}

type Output = mpsc::Sender<Result<TtsEvent, ProviderError>>;

impl Session {
    async fn run(
        mut self,
        mut engine: Engine,
        mut inputs: mpsc::Receiver<TtsInput>,
        output: &Output,
    ) -> Result<(), ProviderError> {
        let mut is_open = true;
        loop {
            let Some(item) = self.queue.pop_front() else {
                if !is_open {
                    return Ok(());
                }
                match inputs.recv().await {
                    Some(input) => {
                        self.handle_input(input)?;
                    }
                    None => is_open = false,
                }
                continue;
            };
            let context = item.context();
            let is_last = matches!(item, Item::Done { .. });
            let mut sent = self.sent.remove(&context).unwrap_or_default();
            let is_cancelled = {
                let speaking = speak(&mut engine, item, self.format, &mut sent, output);
                tokio::pin!(speaking);
                loop {
                    tokio::select! {
                        biased;
                        input = inputs.recv(), if is_open => match input {
                            Some(input) => {
                                if self.handle_input(input)? == Some(context) {
                                    break true;
                                }
                            }
                            None => is_open = false,
                        },
                        spoken = &mut speaking => {
                            spoken?;
                            break false;
                        }
                    }
                }
            };
            if is_cancelled {
                engine.restart().await?;
            } else if !is_last {
                self.sent.insert(context, sent);
            }
        }
    }

    /// Takes a message; gives back the context that it cancelled.
    fn handle_input(&mut self, input: TtsInput) -> Result<Option<ContextId>, ProviderError> {
        match input {
            TtsInput::Text { context, text } => {
                let sentences = text::sentences(&text);
                self.queue.extend(
                    sentences.into_iter().map(|text| Item::Sentence { context, text }),
                );
                if self.queue.len() > SENTENCES_MAX {
                    return Err(ProviderError::new(
                        FailureClass::BadRequest,
                        format!("more than {SENTENCES_MAX} sentences wait to be spoken"),
                    ));
                }
                Ok(None)
            }
            TtsInput::Finish { context } => {
                self.queue.push_back(Item::Done { context });
                Ok(None)
            }
            TtsInput::Cancel { context } => {
                self.queue.retain(|item| item.context() != context);
                self.sent.remove(&context);
                Ok(Some(context))
            }
        }
    }
}

async fn speak(
    engine: &mut Engine,
    item: Item,
    format: AudioFormat,
    sent: &mut u64,
    output: &Output,
) -> Result<(), ProviderError> {
    let (context, text) = match item {
        Item::Sentence { context, text } => (context, text),
        Item::Done { context } => {
            let _ = output.send(Ok(TtsEvent::Done { context })).await;
            return Ok(());
        }
    };
    let offset = format.duration_of(*sent);
    engine.start(&text).await?;
    // Within a context the silence before a sentence is the pause between two.
    let mut lead = Lead { format, silence: 0, is_over: *sent > 0 };
    let mut words = Vec::new();
    while let Some(spoken) = engine.next().await? {
        let audio = match spoken {
            Spoken::Words(timed) => {
                words = timed;
                continue;
            }
            Spoken::Audio(audio) => lead.cut(audio),
        };
        if audio.is_empty() {
            continue;
        }
        if !words.is_empty() {
            let words = moved(std::mem::take(&mut words), offset, format.duration_of(lead.silence));
            // That nobody reads ends the session elsewhere; so for all sends here.
            let _ = output.send(Ok(TtsEvent::Words { context, words })).await;
        }
        *sent += format.samples_in_bytes(audio.len());
        let _ = output.send(Ok(TtsEvent::Audio { context, audio })).await;
    }
    Ok(())
}

/// Takes the silence off the front of a context's first audio: flite begins with 200 ms of it, and
/// the caller would wait through it in every turn.
struct Lead {
    format: AudioFormat,
    /// Samples taken off so far.
    silence: u64,
    is_over: bool,
}

/// Level below which a sample is silence: the noise of the voices is below 50.
const SILENCE_LEVEL: u16 = 100;

/// Kept in front of the first sound, so that it is not clipped.
const KEPT: Duration = Duration::from_millis(20);

impl Lead {
    fn cut(&mut self, audio: Bytes) -> Bytes {
        if self.is_over {
            return audio;
        }
        let samples = self.format.decode(&audio);
        let loud = samples.iter().position(|sample| sample.unsigned_abs() > SILENCE_LEVEL);
        self.is_over = loud.is_some();
        let kept = self.format.samples_in(KEPT) as usize;
        let quiet = loud.map_or(samples.len(), |at| at.saturating_sub(kept));
        self.silence += quiet as u64;
        audio.slice(quiet * self.format.bytes_per_sample()..)
    }
}

/// Word timings of a sentence whose audio begins `by` into its context, `cut` off its front.
fn moved(words: Vec<WordTiming>, by: Duration, cut: Duration) -> Vec<WordTiming> {
    words
        .into_iter()
        .map(|word| WordTiming {
            start: word.start.saturating_sub(cut) + by,
            end: word.end.saturating_sub(cut) + by,
            ..word
        })
        .collect()
}
