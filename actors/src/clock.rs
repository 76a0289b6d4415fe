use std::time::Duration;

use offhook_core::CallTime;
use tokio::time::Instant;

/// The call's clock: monotonic since the call was created, and what the wall said then.
#[derive(Clone, Copy, Debug)]
pub struct CallClock {
    started: Instant,
    /// The call's age when this process took it up.
    before: Duration,
    /// Wall time of the call's creation, in milliseconds since the Unix epoch.
    pub epoch_ms: i64,
}

impl CallClock {
    pub fn start(epoch_ms: i64) -> Self {
        Self { started: Instant::now(), before: Duration::ZERO, epoch_ms }
    }

    /// The clock of a call that another process began; it is of this age.
    pub fn resume(epoch_ms: i64, age: CallTime) -> Self {
        Self { before: age.as_duration(), ..Self::start(epoch_ms) }
    }

    pub fn now(&self) -> CallTime {
        CallTime::from_duration(self.before + self.started.elapsed())
    }

    /// How long this process has had the call.
    pub fn held_for(&self) -> Duration {
        self.started.elapsed()
    }

    pub fn instant_of(&self, at: CallTime) -> Instant {
        self.started + at.as_duration().saturating_sub(self.before)
    }

    /// Wall time of a moment of the call, by the call's own clock: jumps of the wall do not show.
    pub fn epoch_ms_of(&self, at: CallTime) -> i64 {
        self.epoch_ms + at.as_duration().as_millis() as i64
    }
}
