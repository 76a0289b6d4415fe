//! Audio of one party, kept until everybody who needs it has read it.

use std::{collections::VecDeque, fmt, time::Duration};

use bytes::{Buf, Bytes, BytesMut};

use crate::AudioFormat;

/// What is kept behind the committed position, for readers slower than the transcriber (recorder,
/// listeners, speech detection): two seconds are a hundred frames of lateness, 32 kB at 8 kHz.
pub const COMMIT_GRACE: Duration = Duration::from_secs(2);

/// Pushed audio is collected into pieces of this length, so that a frame of 20 ms costs no
/// allocation of its own and a replay hands out few, long slices.
const SEGMENT: Duration = Duration::from_millis(500);

/// Audio of one party of a call in the leg's own format, written by the transport and read by
/// any number of readers, each with a cursor of its own.
///
/// Positions are samples since the leg began. The ring is trimmed at the committed position and
/// bounded by its capacity.
pub struct AudioRing {
    format: AudioFormat,
    capacity: u64,
    /// Position of the oldest sample kept.
    start: u64,
    end: u64,
    committed: u64,
    /// Full pieces, oldest first; the first may begin before `start`.
    segments: VecDeque<Segment>,
    /// The piece being filled; it ends at `end`.
    tail: BytesMut,
}

/// What a reader got.
#[derive(Clone, PartialEq, Eq)]
pub struct RingRead {
    /// Position of the first sample of `audio`; the next read goes on behind it.
    pub at: u64,
    /// Samples between the cursor and `at`, gone before they were read.
    pub skipped: u64,
    /// Whole samples, empty when there is nothing new.
    pub audio: Bytes,
}

struct Segment {
    at: u64,
    audio: Bytes,
}

impl AudioRing {
    /// Makes an empty ring that keeps at most `capacity` of audio.
    pub fn new(format: AudioFormat, capacity: Duration) -> Self {
        Self {
            format,
            capacity: format.samples_in(capacity),
            start: 0,
            end: 0,
            committed: 0,
            segments: VecDeque::new(),
            tail: BytesMut::new(),
        }
    }

    /// Makes an empty ring whose first sample has a later position than zero.
    pub fn starting_at(format: AudioFormat, capacity: Duration, position: u64) -> Self {
        let ring = Self::new(format, capacity);
        Self { start: position, end: position, committed: position, ..ring }
    }

    pub fn format(&self) -> AudioFormat {
        self.format
    }

    /// Position of the oldest sample that can still be read.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Position behind the newest sample: how many were ever pushed.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Appends whole samples. Returns how much audio that was not yet committed fell out at the
    /// other end, normally none.
    pub fn push(&mut self, mut audio: Bytes) -> Duration {
        let width = self.format.bytes_per_sample();
        debug_assert!(audio.len().is_multiple_of(width), "pushed audio ends within a sample");
        audio.truncate(audio.len() - audio.len() % width);

        let segment_bytes = self.format.bytes_in(SEGMENT).max(width);
        let mut lost = 0;
        while !audio.is_empty() {
            if self.tail.capacity() == 0 {
                self.tail.reserve(segment_bytes);
            }
            let piece = audio.split_to(audio.len().min(segment_bytes - self.tail.len()));
            self.tail.extend_from_slice(&piece);
            self.end += self.format.samples_in_bytes(piece.len());
            if self.tail.len() == segment_bytes {
                let at = self.tail_at();
                let audio = std::mem::take(&mut self.tail).freeze();
                self.segments.push_back(Segment { at, audio });
            }
            lost += self.trim_to(self.end.saturating_sub(self.capacity));
        }
        self.format.duration_of(lost)
    }

    /// Reads at most `max` of audio from a position on. One slice of kept audio is handed out as it
    /// is; audio from several, or from the newest half second, is copied together.
    pub fn read(&self, from: u64, max: Duration) -> RingRead {
        let at = from.max(self.start);
        let skipped = at - from;
        let until = self.end.min(at.saturating_add(self.format.samples_in(max)));
        if until <= at {
            return RingRead { at, skipped, audio: Bytes::new() };
        }
        let first = self.segments.partition_point(|segment| self.end_of(segment) <= at);
        if let Some(segment) = self.segments.get(first)
            && until <= self.end_of(segment)
        {
            let audio =
                segment.audio.slice(self.bytes(at - segment.at)..self.bytes(until - segment.at));
            return RingRead { at, skipped, audio };
        }
        let mut audio = BytesMut::with_capacity(self.bytes(until - at));
        let kept = self.segments.range(first..).map(|segment| (segment.at, &segment.audio[..]));
        for (begin, piece) in kept.chain([(self.tail_at(), &self.tail[..])]) {
            let end = begin + self.format.samples_in_bytes(piece.len());
            let (from, to) = (at.max(begin), until.min(end));
            if from < to {
                audio.extend_from_slice(&piece[self.bytes(from - begin)..self.bytes(to - begin)]);
            }
        }
        RingRead { at, skipped, audio: audio.freeze() }
    }

    /// Gives audio before a position free, less [`COMMIT_GRACE`]: the transcriber has its final
    /// text, or knows that it has none.
    pub fn commit(&mut self, until: u64) {
        self.committed = self.committed.max(until.min(self.end));
        self.trim_to(self.committed.saturating_sub(self.format.samples_in(COMMIT_GRACE)));
    }

    /// Drops what lies before a position. Returns how many samples of it were not committed.
    fn trim_to(&mut self, position: u64) -> u64 {
        let start = self.start.max(position);
        let lost = start.saturating_sub(self.start.max(self.committed));
        self.start = start;
        while self.segments.front().is_some_and(|segment| self.end_of(segment) <= start) {
            self.segments.pop_front();
        }
        // Only a capacity shorter than a segment reaches into the tail.
        if let Some(passed) = start.checked_sub(self.tail_at())
            && self.segments.is_empty()
        {
            self.tail.advance(self.bytes(passed));
        }
        lost
    }

    fn tail_at(&self) -> u64 {
        self.end - self.format.samples_in_bytes(self.tail.len())
    }

    fn end_of(&self, segment: &Segment) -> u64 {
        segment.at + self.format.samples_in_bytes(segment.audio.len())
    }

    fn bytes(&self, samples: u64) -> usize {
        samples as usize * self.format.bytes_per_sample()
    }
}

impl fmt::Debug for AudioRing {
    /// Shows positions only: what a caller said stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AudioRing")
            .field("format", &self.format)
            .field("start", &self.start)
            .field("committed", &self.committed)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RingRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingRead")
            .field("at", &self.at)
            .field("skipped", &self.skipped)
            .field("bytes", &self.audio.len())
            .finish()
    }
}

#[cfg(test)]
mod tests;
