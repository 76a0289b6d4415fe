//! Chance out of a seed.

use std::{
    f64::consts::TAU,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Random numbers out of a seed (splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom
/// number generators", 2014).
#[derive(Debug)]
pub struct Chance {
    state: AtomicU64,
}

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self { state: AtomicU64::new(seed) }
    }

    pub fn next(&self) -> u64 {
        let mut mixed = self.state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub fn between(&self, least: Duration, most: Duration) -> Duration {
        let span = most.saturating_sub(least).as_millis() as u64 + 1;
        least + Duration::from_millis(self.below(span))
    }

    pub fn pick<T: Copy>(&self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// True in so many of a hundred cases.
    pub fn percent(&self, share: u64) -> bool {
        self.below(100) < share
    }

    /// Standard normal, by Box and Muller.
    pub fn normal(&self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (TAU * self.unit()).cos()
    }

    /// An id that looks like those that providers give.
    pub fn id(&self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xFFFF,
            high & 0xFFF,
            low >> 52,
            low & 0xFFFF_FFFF_FFFF
        )
    }

    /// Above 0, at most 1.
    fn unit(&self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (one, two) = (Chance::new(1), Chance::new(1));
        assert_eq!([one.next(), one.next()], [two.next(), two.next()]);
        assert_ne!(one.next(), Chance::new(2).next());
        assert_eq!(one.id().len(), 36);
    }
}
