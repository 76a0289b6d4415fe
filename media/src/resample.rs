//! From one sample rate to another, in a stream.

use rubato::{
    Async, FixedAsync, Resampler as _, SincInterpolationParameters, SincInterpolationType,
    WindowFunction, audioadapter_buffers::direct::InterleavedSlice,
};

/// Length of the filter in samples of the lower rate: its delay is half of it, 4 ms at 8 kHz, and it
/// passes up to nine tenths of the band.
const FILTER_SAMPLES: usize = 64;

/// Input is worked on in pieces of this part of a second (5 ms), so that filter and collecting together
/// delay by less than 10 ms. Frames of 10 and 20 ms are whole pieces.
const PIECES_PER_SECOND: u32 = 200;

/// The filter is computed for every place between two input samples that an output sample can have, up
/// to this many: all pairs of customary rates up to 48 kHz stay below, the worst at 160 kB.
const PLACES_MAX: usize = 640;

/// Changes the rate of one stream of samples. It keeps its state through the whole stream; the output is
/// in time with the input: sample `n` of one rate lies where sample `n` times the ratio of the other does.
pub struct Resampler {
    from_hz: u32,
    to_hz: u32,
    filter: Option<Filter>,
}

struct Filter {
    inner: Async<f32>,
    /// Input that does not make a whole piece yet.
    pending: Vec<f32>,
    output: Vec<f32>,
    /// Output samples still to be dropped: the filter's delay.
    delay: usize,
    taken: u64,
    given: u64,
}

impl Resampler {
    /// Rates are at least 1 Hz; equal rates pass samples on as they are.
    pub fn new(from_hz: u32, to_hz: u32) -> Self {
        let filter = (from_hz != to_hz).then(|| Filter::new(from_hz, to_hz));
        Self { from_hz, to_hz, filter }
    }

    /// Takes samples, any number of them, and returns what is ready.
    pub fn process(&mut self, samples: &[i16]) -> Vec<i16> {
        let Some(filter) = &mut self.filter else { return samples.to_vec() };
        filter.taken += samples.len() as u64;
        let mut ready = Vec::with_capacity(filter.expected(samples.len()));
        filter.push(samples.iter().map(|&sample| f32::from(sample)), &mut ready);
        filter.given += ready.len() as u64;
        ready
    }

    /// Returns what is still in the filter, and begins a new stream. In all, as many samples come out as
    /// the input had in time, rounded up.
    pub fn flush(&mut self) -> Vec<i16> {
        let Some(filter) = &mut self.filter else { return Vec::new() };
        let total = (filter.taken * u64::from(self.to_hz)).div_ceil(u64::from(self.from_hz));
        let missing = total.saturating_sub(filter.given) as usize;
        let mut ready = Vec::with_capacity(missing);
        while ready.len() < missing {
            let piece = filter.inner.input_frames_next();
            filter.push(std::iter::repeat_n(0.0, piece), &mut ready);
        }
        ready.truncate(missing);
        *self = Self::new(self.from_hz, self.to_hz);
        ready
    }
}

impl Filter {
    fn new(from_hz: u32, to_hz: u32) -> Self {
        assert!(from_hz > 0 && to_hz > 0, "a sample rate is at least 1 Hz");
        let ratio = f64::from(to_hz) / f64::from(from_hz);
        let length = (FILTER_SAMPLES as f64 * (1.0 / ratio).max(1.0)) as usize;
        let divisor = greatest_common_divisor(from_hz, to_hz);
        let (from, to) = ((from_hz / divisor) as usize, (to_hz / divisor) as usize);
        let (places, interpolation) = match to {
            exact @ ..=PLACES_MAX => (exact, SincInterpolationType::Nearest),
            _ => (PLACES_MAX, SincInterpolationType::Linear),
        };
        let parameters = SincInterpolationParameters::new(length, WindowFunction::Blackman)
            .oversampling_factor(places)
            .interpolation(interpolation);
        let piece = (from_hz / PIECES_PER_SECOND).max(1) as usize;
        let inner = Async::new_sinc(ratio, 1.0, &parameters, piece, 1, FixedAsync::Input)
            .expect("a finite ratio and a piece of at least one sample are always accepted");

        // Output `n` lies at input `(n + 1) * from / to - middle + 1 / to`, where `middle` is half of
        // the filter. Some silence before the first sample moves one of them onto it.
        let middle = length.next_multiple_of(8) / 2;
        // Between interpolated places half a sample is as near as it gets.
        let fits = |silence: &usize| to > PLACES_MAX || (middle + silence) * to % from == 1 % from;
        let silence = (0..from).find(fits).unwrap_or(0);
        let mut filter = Self {
            output: vec![0.0; inner.output_frames_max()],
            delay: ((middle + silence) * to - 1) / from - 1,
            inner,
            pending: Vec::with_capacity(piece),
            taken: 0,
            given: 0,
        };
        filter.push(std::iter::repeat_n(0.0, silence), &mut Vec::new());
        filter
    }

    fn push(&mut self, samples: impl Iterator<Item = f32>, ready: &mut Vec<i16>) {
        let piece = self.inner.input_frames_max();
        for sample in samples {
            self.pending.push(sample);
            if self.pending.len() == piece {
                self.run(ready);
                self.pending.clear();
            }
        }
    }

    fn run(&mut self, ready: &mut Vec<i16>) {
        let room = self.output.len();
        let input = InterleavedSlice::new(&self.pending, 1, self.pending.len())
            .expect("one channel is as long as its slice");
        let mut output = InterleavedSlice::new_mut(&mut self.output, 1, room)
            .expect("one channel is as long as its slice");
        let (_, written) = self
            .inner
            .process_into_buffer(&input, &mut output, None)
            .expect("the piece has the length asked for and the output has room for it");
        let dropped = self.delay.min(written);
        self.delay -= dropped;
        // A float outside of the range is taken to its end: loud edges overshoot in any filter.
        ready.extend(self.output[dropped..written].iter().map(|sample| sample.round() as i16));
    }

    fn expected(&self, samples: usize) -> usize {
        (samples as f64 * self.inner.resample_ratio()) as usize + self.output.len()
    }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests;
