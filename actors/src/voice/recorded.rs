//! A recorded message: fetched when the call begins, played when its time has come.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use offhook_core::{Event, RECORDING_MAX, SpeechId};
use offhook_media::samples_of_wav;

use super::{VoiceActor, VoiceInput};
use crate::{CallContext, Leaf};

/// Longest file that is fetched: 50 s of stereo at 24 kHz and 16 bits are 5 MB.
const FILE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Longest wait for it. Only its own playing waits.
const FETCH_TIMEOUT: Duration = Duration::from_secs(20);

/// The recording of a call, as far as it is there.
#[derive(Default)]
pub(super) enum Recorded {
    #[default]
    Fetching,
    /// In the leg's format.
    Ready(Bytes),
    /// It cannot be had.
    Missing,
}

/// Begins to fetch the recording that the assistant may play.
pub(super) fn fetch(context: &Arc<CallContext>) -> Option<Leaf> {
    let url = context.spec.options.voicemail.as_ref()?.recording.clone()?;
    let port = context.ports.voice.clone();
    let context = context.clone();
    Some(Leaf::watched(port, async move { prepare(&context, &url).await }, VoiceInput::Fetched))
}

/// The audio; `None`, and a line in the log, where there is none.
async fn prepare(context: &CallContext, url: &str) -> Option<Bytes> {
    let format = context.audio.format();
    let made = match context.egress.fetch(url, FILE_BYTES_MAX, FETCH_TIMEOUT).await {
        // Decoding takes tens of milliseconds.
        Ok(file) => tokio::task::spawn_blocking(move || {
            let samples = samples_of_wav(&file, format.sample_rate_hz, RECORDING_MAX)?;
            Ok::<_, String>(format.encode(&samples))
        })
        .await
        .unwrap_or_else(|_| Err("decoding it panicked".into())),
        Err(error) => Err(format!("it cannot be fetched: {error}")),
    };
    match made {
        Ok(audio) => Some(audio),
        Err(error) => {
            metrics::counter!("offhook_voicemail_messages_failed_total").increment(1);
            tracing::warn!(call = %context.spec.id, error, "no recorded voicemailMessage");
            None
        }
    }
}

impl VoiceActor {
    /// Plays the recording as this speech, as soon as it is there.
    pub(super) fn play_recording(&mut self, speech: SpeechId) {
        let audio = {
            let mut voice = self.voice();
            match &voice.recorded {
                Recorded::Ready(audio) => Some(audio.clone()),
                Recorded::Missing => None,
                Recorded::Fetching => {
                    voice.recording_due = Some(speech);
                    return;
                }
            }
        };
        let is_queued = audio.is_some_and(|audio| {
            self.context.audio.with_playout(|playout| {
                let is_queued = playout.queue(speech.0, audio);
                playout.finish(speech.0);
                is_queued
            })
        });
        if !is_queued {
            self.context.tell(Event::SpeechCut { speech, heard: String::new() });
        }
    }

    /// The recording has come, or will not.
    pub(super) fn recording_fetched(&mut self, audio: Option<Bytes>) {
        let due = {
            let mut voice = self.voice();
            voice.recorded = audio.map_or(Recorded::Missing, Recorded::Ready);
            voice.recording_due.take()
        };
        if let Some(speech) = due {
            self.play_recording(speech);
        }
    }
}
