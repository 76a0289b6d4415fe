//! Listening in on a call (`monitor.listenUrl`).

use std::{sync::Arc, time::Duration};

use offhook_media::AudioFormat;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::CallContext;

/// Both sides of a call mixed to mono, from the moment of listening on.
pub struct Listener {
    context: Arc<CallContext>,
    cursor: u64,
    tick: Interval,
}

/// How often a listener is given audio.
const STEP: Duration = Duration::from_millis(100);

/// Most audio given at once.
const STEP_MAX: Duration = Duration::from_secs(2);

impl Listener {
    pub fn new(context: Arc<CallContext>) -> Self {
        let cursor = context.audio.caller_end().min(context.audio.agent_end());
        let mut tick = interval(STEP);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { context, cursor, tick }
    }

    /// The format of what [`Listener::next`] gives: 16-bit PCM at the leg's rate.
    pub fn format(&self) -> AudioFormat {
        AudioFormat::pcm16(self.context.audio.format().sample_rate_hz)
    }

    /// The next piece of both sides; `None` when the call is over. Waits at most 100 ms.
    pub async fn next(&mut self) -> Option<Vec<i16>> {
        self.tick.tick().await;
        if self.context.ending().is_some() {
            return None;
        }
        let audio = &self.context.audio;
        let format = audio.format();
        let until = audio.caller_end().min(audio.agent_end());
        let samples = until.saturating_sub(self.cursor).min(format.samples_in(STEP_MAX));
        let length = format.duration_of(samples);
        let caller = audio.read_caller(self.cursor, length);
        let agent = audio.read_agent(self.cursor, length);
        self.cursor += samples;
        let (caller, agent) = (format.decode(&caller.audio), format.decode(&agent.audio));
        let mixed = (0..samples as usize).map(|at| {
            let sum = caller.get(at).map_or(0, |s| i32::from(*s))
                + agent.get(at).map_or(0, |s| i32::from(*s));
            sum.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
        });
        Some(mixed.collect())
    }
}
