//! One person's telephone line: where its sound comes from and goes to, frame by frame.

use std::{
    collections::VecDeque,
    f32::consts::TAU,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use offhook_testkit::tones::speak;
use tokio::sync::mpsc;

use super::{
    handset::{Deed, FORMAT, FRAME_SAMPLES, Handset},
    playout::Playout,
    room::Room,
};

/// What goes up the media socket.
pub enum Up {
    /// 20 ms at 8 kHz.
    Audio(Vec<i16>),
    Key(char),
}

/// What the person hears.
#[derive(Default)]
pub enum Source {
    #[default]
    Silence,
    /// Speech of the carrier's own.
    Speech(VecDeque<i16>),
    /// A sound file of the customer's, or the carrier's own.
    Music,
    Stream(Arc<Mutex<Playout>>),
    Room(Arc<Room>, String),
}

/// Who hears the person.
#[derive(Default)]
pub enum Sink {
    #[default]
    Nobody,
    Stream(mpsc::Sender<Up>),
    Room(Arc<Room>, String),
}

/// Silence before the carrier speaks, so that a word that it cuts off does not run into its own.
const BEFORE_SPEECH: Duration = Duration::from_millis(60);

pub struct Line {
    inner: Mutex<Inner>,
}

struct Inner {
    handset: Handset,
    source: Source,
    sink: Sink,
    /// Frames of the person that are lost next.
    lost: u32,
    music_at: u32,
}

impl Line {
    pub fn new(handset: Handset) -> Self {
        let inner =
            Inner { handset, source: Source::Silence, sink: Sink::Nobody, lost: 0, music_at: 0 };
        Self { inner: Mutex::new(inner) }
    }

    pub fn connect(&self, source: Source, sink: Sink) {
        let mut inner = self.lock();
        (inner.source, inner.sink) = (source, sink);
    }

    /// What the person hears, with whoever listened listening on.
    pub fn hear(&self, source: Source) {
        self.lock().source = source;
    }

    /// Says a text in the carrier's own voice; returns how long that takes.
    pub fn say(&self, text: &str) -> Duration {
        let mut samples = VecDeque::from(vec![0; FORMAT.samples_in(BEFORE_SPEECH) as usize]);
        samples.extend(speak(text, FORMAT.sample_rate_hz));
        let length = FORMAT.duration_of(samples.len() as u64);
        self.hear(Source::Speech(samples));
        length
    }

    /// Lets 20 ms pass; the reason when the person hung up.
    pub fn tick(&self, at: Duration) -> Option<&'static str> {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let heard = inner.hear();
        let (deed, key) = inner.handset.frame(at, &heard);
        if let (Some(key), Sink::Stream(up)) = (key, &inner.sink) {
            // A socket that takes nothing more loses it.
            let _ = up.try_send(Up::Key(key));
        }
        let spoken = match deed {
            Deed::Spoke(spoken) => spoken,
            Deed::HungUp(why) => return Some(why),
        };
        if inner.lost > 0 {
            inner.lost -= 1;
            return None;
        }
        match &inner.sink {
            Sink::Stream(up) => {
                let _ = up.try_send(Up::Audio(spoken));
            }
            Sink::Room(room, id) => room.say(id, &spoken),
            Sink::Nobody => {}
        }
        None
    }

    pub fn with_handset<T>(&self, act: impl FnOnce(&mut Handset) -> T) -> T {
        act(&mut self.lock().handset)
    }

    /// Loses the person's next frames on the way.
    pub fn lose(&self, frames: u32) {
        self.lock().lost = frames;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn hear(&mut self) -> Vec<i16> {
        match &mut self.source {
            Source::Silence => vec![0; FRAME_SAMPLES],
            Source::Speech(samples) => {
                let part = samples.len().min(FRAME_SAMPLES);
                let mut frame: Vec<i16> = samples.drain(..part).collect();
                frame.resize(FRAME_SAMPLES, 0);
                frame
            }
            Source::Stream(playout) => {
                playout.lock().unwrap_or_else(PoisonError::into_inner).play(FRAME_SAMPLES)
            }
            Source::Room(room, id) => {
                let heard = room.hear(id, FRAME_SAMPLES);
                if room.has_music(id) { self.music() } else { heard }
            }
            Source::Music => self.music(),
        }
    }

    fn music(&mut self) -> Vec<i16> {
        self.music_at = (self.music_at + FRAME_SAMPLES as u32) % FORMAT.sample_rate_hz;
        music(self.music_at)
    }
}

/// Music of those who wait: a tone that is no word.
fn music(at: u32) -> Vec<i16> {
    const HZ: f32 = 330.0;
    let sample = |n: u32| {
        let time = (at + n) as f32 / FORMAT.sample_rate_hz as f32;
        (1_200.0 * (TAU * HZ * time).sin()) as i16
    };
    (0..FRAME_SAMPLES as u32).map(sample).collect()
}
