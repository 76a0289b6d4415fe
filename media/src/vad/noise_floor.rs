use std::collections::VecDeque;

/// Frames that one minimum is taken of: half a second.
const BLOCK_FRAMES: u32 = 31;

/// Minima that are remembered: three seconds together. Whoever speaks pauses more often than
/// that, if only for a consonant.
const BLOCKS: usize = 6;

/// Weight of a new frame in the smoothed level: about three frames, 50 ms, count.
const SMOOTHING: f32 = 0.4;

/// How far above the floor a noise must be to become the floor at once. A voice that is nearly drowned by
/// the noise around it is as steady as that noise, and less than this above it.
const RISE_DB: f32 = 12.0;

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

    /// A steady noise of this level has set in: it is the floor until something quieter comes.
    pub(super) fn rise_to(&mut self, level_db: f32) {
        let floor = self.smoothed_db.unwrap_or(level_db).min(level_db);
        if self.is_far_below(floor) {
            self.minima.clear();
            self.minima.push_back(floor);
        }
    }

    /// Whether a steady noise of this level would become the floor at once.
    pub(super) fn is_far_below(&self, level_db: f32) -> bool {
        level_db >= self.db() + RISE_DB
    }

    /// The level of the last 50 ms.
    pub(super) fn smoothed_db(&self) -> f32 {
        self.smoothed_db.unwrap_or(f32::MIN)
    }

    /// The floor, as low as can be before there was a frame.
    pub(super) fn db(&self) -> f32 {
        self.minima.iter().copied().reduce(f32::min).unwrap_or(f32::MIN)
    }
}
