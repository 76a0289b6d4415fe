use std::collections::VecDeque;

/// Frames that one minimum is taken of: half a second.
const BLOCK_FRAMES: u32 = 31;

/// Minima that are remembered: three seconds together. Whoever speaks pauses more often than
/// that, if only for a consonant; a noise that sets in is the floor after this time.
const BLOCKS: usize = 6;

/// Weight of a new frame in the smoothed level: about three frames, 50 ms, count.
const SMOOTHING: f32 = 0.4;

/// The level of what is there when nobody speaks: the lowest smoothed level of the last seconds.
#[derive(Default)]
pub(super) struct NoiseFloor {
    smoothed_db: Option<f32>,
    minima: VecDeque<f32>,
    /// Frames in the newest block.
    frames: u32,
}

impl NoiseFloor {
    pub(super) fn follow(&mut self, level_db: f32) {
        let before = self.smoothed_db.unwrap_or(level_db);
        let smoothed = before + (level_db - before) * SMOOTHING;
        self.smoothed_db = Some(smoothed);
        if self.frames == 0 {
            if self.minima.len() == BLOCKS {
                self.minima.pop_front();
            }
            self.minima.push_back(smoothed);
        }
        if let Some(minimum) = self.minima.back_mut() {
            *minimum = minimum.min(smoothed);
        }
        self.frames = (self.frames + 1) % BLOCK_FRAMES;
    }

    /// The floor, as low as can be before there was a frame.
    pub(super) fn db(&self) -> f32 {
        self.minima.iter().copied().reduce(f32::min).unwrap_or(f32::MIN)
    }
}
