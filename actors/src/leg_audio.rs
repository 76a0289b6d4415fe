//! The audio of a call's leg, shared by the actors that touch it.

use std::{
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use offhook_core::CallTime;
use offhook_media::{AudioFormat, AudioRing, Denoise, Playout, PlayoutOptions, RingRead};
use tokio::sync::Notify;

use crate::{News, NewsReader};

/// How long the agent's side is kept for recorder and listeners; they read several times a second.
const AGENT_RING: Duration = Duration::from_secs(4);

/// Both directions of a leg. Position 0 of both rings is the moment the leg connected.
pub struct LegAudio {
    format: AudioFormat,
    /// How much of the caller is kept.
    ring: Duration,
    connected_at: OnceLock<CallTime>,
    caller: Mutex<AudioRing>,
    /// What those hear who have to understand the caller, where that is not the same.
    cleaned: Option<Mutex<Cleaned>>,
    ahead_us: AtomicU64,
    /// There is more of what the caller says.
    heard: News,
    agent: Mutex<AudioRing>,
    playout: Mutex<Playout>,
    /// The transport has something to send or to clear before its next tick.
    playout_changed: Notify,
    /// Audio left the playout: a waiting voice may queue more.
    playout_room: Notify,
}

impl LegAudio {
    /// `denoise`: noise is taken out of what the caller says before anybody tries to understand it.
    pub fn new(
        format: AudioFormat,
        ring: Duration,
        playout: PlayoutOptions,
        denoise: bool,
    ) -> Self {
        Self {
            format,
            ring,
            connected_at: OnceLock::new(),
            caller: Mutex::new(AudioRing::new(format, ring)),
            cleaned: denoise.then(|| Mutex::new(Cleaned::new(format, ring))),
            ahead_us: AtomicU64::new(0),
            heard: News::default(),
            agent: Mutex::new(AudioRing::new(format, AGENT_RING)),
            playout: Mutex::new(Playout::new(format, playout)),
            playout_changed: Notify::new(),
            playout_room: Notify::new(),
        }
    }

    /// The leg of a call that another process began: it connected then, and its time line goes on.
    pub fn resumed(self, connected_at: CallTime, now: CallTime) -> Self {
        let leg_time = now.after(connected_at);
        let position = self.format.samples_in(leg_time);
        let ring =
            |capacity: Duration| AudioRing::starting_at(self.format, capacity, position).into();
        let capacity = self.ring;
        let cleaned = self.cleaned.map(|_| {
            let mut cleaned = Cleaned::new(self.format, capacity);
            cleaned.ring = AudioRing::starting_at(self.format, capacity, position);
            Mutex::new(cleaned)
        });
        lock(&self.playout).begin_at(leg_time);
        Self {
            connected_at: OnceLock::from(connected_at),
            caller: ring(capacity),
            cleaned,
            agent: ring(AGENT_RING),
            ..self
        }
    }

    pub fn format(&self) -> AudioFormat {
        self.format
    }

    /// Starts the leg's time line; false when it runs already.
    pub fn connect(&self, now: CallTime) -> bool {
        self.connected_at.set(now).is_ok()
    }

    /// When the leg connected, on the call's clock.
    pub fn connected_at(&self) -> Option<CallTime> {
        self.connected_at.get().copied()
    }

    /// Time since the leg connected; zero before.
    pub fn leg_time(&self, now: CallTime) -> Duration {
        self.connected_at().map_or(Duration::ZERO, |start| now.after(start))
    }

    /// The call's time of a position in the caller's audio: late bursts put the ring ahead of the
    /// wall, by as much as is taken off here.
    pub fn call_time(&self, in_audio: Duration) -> CallTime {
        let ahead = Duration::from_micros(self.ahead_us.load(Ordering::Acquire));
        self.connected_at().unwrap_or(CallTime::ZERO) + in_audio.saturating_sub(ahead)
    }

    /// Says how far the caller's audio is ahead of the wall.
    pub fn set_ahead(&self, ahead: Duration) {
        self.ahead_us.store(ahead.as_micros() as u64, Ordering::Release);
    }

    /// Appends what the caller said. Returns the un-transcribed audio that fell out of the ring.
    pub fn hear(&self, audio: Bytes) -> Duration {
        let mut ring = lock(&self.caller);
        let lost = ring.push(audio.clone());
        if let Some(cleaned) = &self.cleaned {
            lock(cleaned).push(self.format, &audio);
        }
        drop(ring);
        self.heard.tell();
        lost
    }

    /// The caller's audio for those who have to understand it, without the noise where the
    /// assistant wants that.
    pub fn read_speech(&self, from: u64, max: Duration) -> RingRead {
        match &self.cleaned {
            Some(cleaned) => lock(cleaned).ring.read(from, max),
            None => self.read_caller(from, max),
        }
    }

    /// Position behind the newest sample that [`LegAudio::read_speech`] has.
    pub fn speech_end(&self) -> u64 {
        self.cleaned.as_ref().map_or_else(|| self.caller_end(), |cleaned| lock(cleaned).ring.end())
    }

    /// The caller's audio as it came.
    pub fn read_caller(&self, from: u64, max: Duration) -> RingRead {
        lock(&self.caller).read(from, max)
    }

    pub fn caller_end(&self) -> u64 {
        lock(&self.caller).end()
    }

    /// Up to here the transcriber has final text.
    pub fn commit_caller(&self, until: u64) {
        lock(&self.caller).commit(until);
        if let Some(cleaned) = &self.cleaned {
            lock(cleaned).ring.commit(until);
        }
    }

    /// A signal that changes whenever [`LegAudio::read_speech`] has more.
    pub fn speech_news(&self) -> NewsReader {
        self.heard.reader()
    }

    /// Appends what the caller heard of the agent.
    pub fn spoke(&self, audio: Bytes) {
        if audio.is_empty() {
            return;
        }
        let mut ring = lock(&self.agent);
        ring.push(audio);
        let end = ring.end();
        ring.commit(end);
    }

    pub fn read_agent(&self, from: u64, max: Duration) -> RingRead {
        lock(&self.agent).read(from, max)
    }

    pub fn agent_end(&self) -> u64 {
        lock(&self.agent).end()
    }

    /// Does something with the playout and wakes the transport.
    pub fn with_playout<T>(&self, act: impl FnOnce(&mut Playout) -> T) -> T {
        let result = act(&mut lock(&self.playout));
        self.playout_changed.notify_one();
        result
    }

    /// Does something with the playout as the transport, and wakes a voice that waits for room.
    pub fn drain_playout<T>(&self, act: impl FnOnce(&mut Playout) -> T) -> T {
        let result = act(&mut lock(&self.playout));
        self.playout_room.notify_waiters();
        result
    }

    pub async fn playout_changed(&self) {
        self.playout_changed.notified().await;
    }

    /// Waits until audio left the playout, at most `limit`.
    pub async fn playout_room(&self, limit: Duration) {
        let _ = tokio::time::timeout(limit, self.playout_room.notified()).await;
    }
}

/// The caller's audio without noise, at the same positions.
struct Cleaned {
    denoise: Denoise,
    ring: AudioRing,
}

impl Cleaned {
    fn new(format: AudioFormat, capacity: Duration) -> Self {
        Self {
            denoise: Denoise::new(format.sample_rate_hz),
            ring: AudioRing::new(format, capacity),
        }
    }

    /// Appends audio as it came.
    fn push(&mut self, format: AudioFormat, audio: &[u8]) {
        let clean = self.denoise.process(&format.decode(audio));
        self.ring.push(format.encode(&clean));
    }
}

/// A panic in one actor must not deafen the others; the values behind these locks are valid after
/// every step of their methods.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
