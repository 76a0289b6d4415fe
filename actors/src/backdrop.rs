//! Where the sound behind the agent's words comes from.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    time::Duration,
};

use offhook_api::BackgroundSound;
use offhook_media::{loop_of_wav, office};

use crate::{CallContext, Leaf};

/// The loop of a call, once it is there.
#[derive(Default)]
pub struct BackdropSlot(OnceLock<Arc<[i16]>>);

impl BackdropSlot {
    pub(crate) fn sound(&self) -> Option<&Arc<[i16]>> {
        self.0.get()
    }
}

/// Longest file that is fetched: a minute of stereo at 24 kHz is 6 MB.
const FILE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Longest wait for it. The call does not wait: the sound sets in when it is there.
const FETCH_TIMEOUT: Duration = Duration::from_secs(20);

/// Offices in use, by sample rate in Hz: calls of one rate share one of up to 2 MB, and it goes with
/// the last of them.
static OFFICES: Mutex<BTreeMap<u32, Weak<[i16]>>> = Mutex::new(BTreeMap::new());

/// Begins to fetch or to make what the assistant asks for, unless it is there already.
pub(crate) fn prepare(context: &Arc<CallContext>) -> Option<Leaf> {
    if context.slots.backdrop.sound().is_some() {
        return None;
    }
    match context.spec.assistant.sound().background {
        BackgroundSound::Off => None,
        BackgroundSound::Office => Some(Leaf::spawn(set_up(context.clone(), None))),
        BackgroundSound::Url(url) => Some(Leaf::spawn(set_up(context.clone(), Some(url)))),
    }
}

/// `None` for the address: our own office.
async fn set_up(context: Arc<CallContext>, url: Option<String>) {
    let rate = context.audio.format().sample_rate_hz;
    let made = match url {
        None => make(move || Ok(shared_office(rate))).await,
        Some(url) => match context.egress.fetch(&url, FILE_BYTES_MAX, FETCH_TIMEOUT).await {
            Ok(file) => make(move || Ok(loop_of_wav(&file, rate)?.into())).await,
            Err(error) => Err(format!("it cannot be fetched: {error}")),
        },
    };
    match made {
        Ok(sound) => {
            // Only a predecessor of this task can have been faster, with the same sound.
            let _ = context.slots.backdrop.0.set(sound);
        }
        Err(error) => {
            metrics::counter!("offhook_background_sounds_failed_total").increment(1);
            tracing::warn!(call = %context.spec.id, error, "the call goes on without its backgroundSound");
        }
    }
}

/// Decoding and synthesis take tens of milliseconds.
async fn make(
    sound: impl FnOnce() -> Result<Arc<[i16]>, String> + Send + 'static,
) -> Result<Arc<[i16]>, String> {
    let made = tokio::task::spawn_blocking(sound).await;
    made.unwrap_or_else(|_| Err("making it panicked".into()))
}

fn shared_office(rate_hz: u32) -> Arc<[i16]> {
    let mut offices = OFFICES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(office) = offices.get(&rate_hz).and_then(Weak::upgrade) {
        return office;
    }
    let made: Arc<[i16]> = office(rate_hz).into();
    offices.retain(|_, office| office.strong_count() > 0);
    offices.insert(rate_hz, Arc::downgrade(&made));
    made
}
