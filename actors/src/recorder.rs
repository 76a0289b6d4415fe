//! The actor that records the call: a stereo WAV, the caller left, the agent right.
//!
//! The file lies in the slot and its header is kept valid as it grows, so that neither this actor's
//! death nor the process's takes what was recorded.

use std::{
    fs::File,
    io::{BufWriter, ErrorKind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use offhook_media::{StereoWav, mono_of};
use ractor::ActorProcessingErr;
use tokio::{
    sync::Semaphore,
    time::{MissedTickBehavior, interval},
};

use crate::{CallContext, Leaf, Port, Role};

/// The recorder of a call.
pub struct RecorderActor {
    _media: Option<Leaf>,
}

/// What the recorder is told.
#[derive(Clone, Debug)]
pub enum RecorderInput {
    /// The media task ended; `None`: it panicked.
    MediaEnded(Option<()>),
}

/// What a successor goes on from.
#[derive(Default)]
pub struct RecorderSlot(Arc<Mutex<Tape>>);

#[derive(Default)]
struct Tape {
    wav: Option<StereoWav<File>>,
    /// Position in both rings up to which the tape is written.
    cursor: u64,
    finished: bool,
    /// A former process began it.
    resumes: bool,
    /// The disk refused; the call goes on without a recording.
    failed: bool,
}

impl RecorderSlot {
    /// Goes on behind what a former process recorded; where it recorded nothing, begins at
    /// `position`.
    pub(crate) fn resume_at(&self, position: u64) {
        let mut tape = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (tape.resumes, tape.cursor) = (true, position);
    }
}

/// How often the tape is written: well within what the rings keep behind their readers.
const WRITE_EVERY: Duration = Duration::from_millis(500);

/// Recordings written at once. The threads that block on the disk are those that resolve names: a
/// disk that hangs must leave some.
static WRITERS: Semaphore = Semaphore::const_new(32);

/// Most audio written in one step.
const STEP_MAX: Duration = Duration::from_secs(2);

impl Role for RecorderActor {
    const NAME: &'static str = "recorder";
    type Input = RecorderInput;

    fn port(context: &CallContext) -> &Port<RecorderInput> {
        &context.ports.recorder
    }

    fn start(context: Arc<CallContext>) -> Result<Self, ActorProcessingErr> {
        let media = context.spec.recording.is_some().then(|| {
            let port = context.ports.recorder.clone();
            Leaf::watched(port, record(context), RecorderInput::MediaEnded)
        });
        Ok(Self { _media: media })
    }

    fn handle(&mut self, input: RecorderInput) -> Result<(), ActorProcessingErr> {
        match input {
            RecorderInput::MediaEnded(Some(())) => Ok(()),
            RecorderInput::MediaEnded(None) => {
                Err("the media task of the recorder panicked".into())
            }
        }
    }
}

async fn record(context: Arc<CallContext>) {
    let mut tick = interval(WRITE_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if context.audio.connected_at().is_some() && !write(&context, false).await {
            return;
        }
    }
}

/// Writes what both sides have; at the end of the call, what either side has. False: it is over.
async fn write(context: &Arc<CallContext>, last: bool) -> bool {
    let Ok(writer) = WRITERS.acquire().await else { return false };
    let (tape, id) = (context.slots.recorder.0.clone(), context.spec.id);
    let context = context.clone();
    let written = tokio::task::spawn_blocking(move || {
        let _writer = writer;
        let mut tape = tape.lock().unwrap_or_else(PoisonError::into_inner);
        if tape.finished || tape.failed {
            return false;
        }
        match tape.write(&context, last) {
            Ok(()) => true,
            Err(error) => {
                tape.failed = true;
                metrics::counter!("offhook_recordings_failed_total").increment(1);
                tracing::error!(call = %context.spec.id, %error, "recording stopped");
                false
            }
        }
    });
    written.await.unwrap_or_else(|_| {
        metrics::counter!("offhook_recordings_failed_total").increment(1);
        tracing::error!(call = %id, "recording stopped, writing it panicked");
        false
    })
}

/// Ends the recording and mixes the mono file beside it. Returns both paths, stereo first; `None`
/// when there is no recording.
pub async fn finish(context: &Arc<CallContext>) -> Option<(PathBuf, PathBuf)> {
    let stereo = context.spec.recording.as_ref()?.path.clone();
    if context.audio.connected_at().is_none() || !write(context, true).await {
        return None;
    }
    let tape = context.slots.recorder.0.clone();
    let mono = stereo.with_extension("mono.wav");
    let (from, to) = (stereo.clone(), mono.clone());
    let writer = WRITERS.acquire().await.ok()?;
    let done = tokio::task::spawn_blocking(move || {
        let _writer = writer;
        let mut tape = tape.lock().unwrap_or_else(PoisonError::into_inner);
        tape.finished = true;
        tape.wav.take().map(StereoWav::finalize).transpose()?;
        mono_of(File::open(from)?, BufWriter::new(File::create(to)?))
    })
    .await;
    match done {
        Ok(Ok(())) => Some((stereo, mono)),
        Ok(Err(error)) => {
            tracing::error!(call = %context.spec.id, %error, "recording not finished");
            None
        }
        Err(_) => None,
    }
}

impl Tape {
    fn write(&mut self, context: &CallContext, last: bool) -> std::io::Result<()> {
        let format = context.audio.format();
        if self.wav.is_none() {
            let Some(plan) = &context.spec.recording else { return Ok(()) };
            if let Some(folder) = plan.path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let earlier = match self.resumes {
                true => appended(&plan.path)?,
                false => None,
            };
            if let Some(earlier) = &earlier {
                // The rings have nothing from in between: silence.
                self.cursor = earlier.frames();
            }
            self.wav = Some(match earlier {
                Some(earlier) => earlier,
                None => StereoWav::create(File::create(&plan.path)?, format.sample_rate_hz)?,
            });
        }
        let (caller, agent) = (context.audio.caller_end(), context.audio.agent_end());
        let until = if last { caller.max(agent) } else { caller.min(agent) };
        while self.cursor < until {
            let step = (until - self.cursor).min(format.samples_in(STEP_MAX));
            let length = format.duration_of(step);
            let left =
                aligned(context.audio.read_caller(self.cursor, length), format, self.cursor, step);
            let right =
                aligned(context.audio.read_agent(self.cursor, length), format, self.cursor, step);
            if let Some(wav) = &mut self.wav {
                wav.write(&left, &right)?;
            }
            self.cursor += step;
        }
        match &mut self.wav {
            Some(wav) => wav.flush(),
            None => Ok(()),
        }
    }
}

/// The recording that a former process left, if it left one.
fn appended(path: &Path) -> std::io::Result<Option<StereoWav<File>>> {
    match StereoWav::append(path) {
        Ok(wav) => Ok(Some(wav)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Exactly `samples` samples from `from` on: what the ring no longer or not yet has is silence.
fn aligned(
    read: offhook_media::RingRead,
    format: offhook_media::AudioFormat,
    from: u64,
    samples: u64,
) -> Vec<i16> {
    let mut out = vec![0; (read.at - from).min(samples) as usize];
    out.extend(format.decode(&read.audio));
    out.resize(samples as usize, 0);
    out
}
