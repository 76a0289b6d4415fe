use offhook_core::CallTime;
use tokio::time::Instant;

/// The call's clock: monotonic since the call was created, and what the wall said then.
#[derive(Clone, Copy, Debug)]
pub struct CallClock {
    started: Instant,
    /// Wall time of the start, in milliseconds since the Unix epoch.
    pub epoch_ms: i64,
}

impl CallClock {
    pub fn start(epoch_ms: i64) -> Self {
        Self { started: Instant::now(), epoch_ms }
    }

    pub fn now(&self) -> CallTime {
        CallTime::from_duration(self.started.elapsed())
    }

    pub fn instant_of(&self, at: CallTime) -> Instant {
        self.started + at.as_duration()
    }

    /// Wall time of a moment of the call, by the call's own clock: jumps of the wall do not show.
    pub fn epoch_ms_of(&self, at: CallTime) -> i64 {
        self.epoch_ms + at.as_duration().as_millis() as i64
    }
}
