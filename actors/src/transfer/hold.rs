//! What a caller hears while somebody is called who is to take them.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use offhook_media::{hold_music, hold_of_wav};

use crate::{CallContext, Leaf};

/// Longest file that is fetched: a minute of stereo at 24 kHz is 6 MB.
const FILE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Longest wait for it; our own music is heard until then.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// What is heard on hold, while somebody is.
#[derive(Default)]
pub struct HoldSlot(Mutex<Option<Arc<[i16]>>>);

impl HoldSlot {
    /// The loop to play; `None`: nobody is on hold.
    pub(crate) fn sound(&self) -> Option<Arc<[i16]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, sound: Option<Arc<[i16]>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = sound;
    }
}

/// Keeps the caller on hold until it is dropped.
pub(super) struct Hold {
    context: Arc<CallContext>,
    _fetching: Option<Leaf>,
}

impl Hold {
    /// `url` is the music that the plan wants in place of ours.
    pub(super) fn begin(context: &Arc<CallContext>, url: Option<&str>) -> Self {
        let rate = context.audio.format().sample_rate_hz;
        context.slots.hold.set(Some(hold_music(rate).into()));
        let fetching = url.map(|url| Leaf::spawn(fetch(context.clone(), url.to_owned(), rate)));
        Self { context: context.clone(), _fetching: fetching }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // What is being fetched ends first: it would put its sound back.
        self._fetching = None;
        self.context.slots.hold.set(None);
    }
}

async fn fetch(context: Arc<CallContext>, url: String, rate: u32) {
    let file = context.egress.fetch(&url, FILE_BYTES_MAX, FETCH_TIMEOUT).await;
    let made = match file {
        Ok(file) => tokio::task::spawn_blocking(move || hold_of_wav(&file, rate))
            .await
            .unwrap_or_else(|_| Err("reading it panicked".into())),
        Err(error) => Err(format!("it cannot be fetched: {error}")),
    };
    match made {
        Ok(sound) => context.slots.hold.set(Some(sound.into())),
        Err(error) => {
            tracing::warn!(call = %context.spec.id, error, "our own music is played in place of holdAudioUrl");
        }
    }
}
