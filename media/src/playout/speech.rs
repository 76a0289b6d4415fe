use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::AudioFormat;

/// A speech that is not over.
pub(super) struct Speech {
    pub(super) id: u32,
    /// Samples of it that the caller heard.
    pub(super) heard: u64,
    /// Nothing more will be queued.
    pub(super) finished: bool,
    /// Position of its first sample in what was sent.
    pub(super) begin: Option<u64>,
    /// Position behind its last sample sent.
    pub(super) end: u64,
    /// Its beginning was told.
    pub(super) began: bool,
    /// The leg ran dry behind what was sent of it, and that was told.
    pub(super) in_gap: bool,
    /// The leg it sounded on is gone: nothing more of it is sent.
    pub(super) is_orphaned: bool,
    pieces: VecDeque<Bytes>,
    unsent: u64,
    sent: u64,
}

impl Speech {
    pub(super) fn new(id: u32) -> Self {
        Self {
            id,
            heard: 0,
            finished: false,
            begin: None,
            end: 0,
            began: false,
            in_gap: false,
            is_orphaned: false,
            pieces: VecDeque::new(),
            unsent: 0,
            sent: 0,
        }
    }

    /// Samples that wait to be sent.
    pub(super) fn unsent(&self) -> u64 {
        self.unsent
    }

    pub(super) fn append(&mut self, audio: Bytes, samples: u64) {
        if samples > 0 {
            self.pieces.push_back(audio);
            self.unsent += samples;
        }
    }

    /// Samples that can be sent in whole frames; the last frame of a finished speech is filled up.
    pub(super) fn sendable(&self, frame: u64) -> u64 {
        match self.finished {
            _ if self.is_orphaned => 0,
            true => self.unsent.next_multiple_of(frame),
            false => self.unsent - self.unsent % frame,
        }
    }

    /// All there will ever be was sent.
    pub(super) fn is_drained(&self) -> bool {
        self.finished && self.unsent == 0
    }

    /// All there will ever be was heard.
    pub(super) fn is_heard(&self) -> bool {
        self.is_drained() && self.heard == self.sent
    }

    /// All of it was heard, and the leg was alive to play it: it is over.
    pub(super) fn is_over(&self, certain: u64) -> bool {
        self.is_heard() && self.end <= certain
    }

    /// When the leg has nothing left, that is a gap in this speech which was not told yet.
    pub(super) fn runs_dry(&self) -> bool {
        !self.is_drained() && self.sent > 0 && !self.in_gap
    }

    /// Takes the next frame, which goes to this position of what is sent, and how many samples of
    /// it are speech. There must be some to take.
    pub(super) fn take_frame(
        &mut self,
        format: AudioFormat,
        frame: u64,
        position: u64,
    ) -> (Bytes, u64) {
        let voiced = self.unsent.min(frame);
        let frame_bytes = frame as usize * format.bytes_per_sample();
        let audio = match self.pieces.front_mut() {
            Some(piece) if piece.len() >= frame_bytes => piece.split_to(frame_bytes),
            Some(_) | None => {
                let mut audio = BytesMut::with_capacity(frame_bytes);
                while audio.len() < frame_bytes
                    && let Some(piece) = self.pieces.front_mut()
                {
                    let missing = piece.len().min(frame_bytes - audio.len());
                    audio.extend_from_slice(&piece.split_to(missing));
                    if piece.is_empty() {
                        self.pieces.pop_front();
                    }
                }
                audio.extend_from_slice(&format.silence(frame - voiced));
                audio.freeze()
            }
        };
        if self.pieces.front().is_some_and(Bytes::is_empty) {
            self.pieces.pop_front();
        }
        self.begin.get_or_insert(position);
        self.end = position + voiced;
        self.unsent -= voiced;
        self.sent += voiced;
        self.in_gap = false;
        (audio, voiced)
    }

    /// Drops what waits to be sent behind this many samples of the speech. Returns how many samples
    /// it has then: more, where they were sent.
    pub(super) fn truncate(&mut self, format: AudioFormat, samples: u64) -> u64 {
        let mut surplus = (self.sent + self.unsent).saturating_sub(samples).min(self.unsent);
        self.unsent -= surplus;
        while surplus > 0
            && let Some(mut last) = self.pieces.pop_back()
        {
            let length = format.samples_in_bytes(last.len());
            if length > surplus {
                let kept = (length - surplus) as usize * format.bytes_per_sample();
                last.truncate(kept);
                self.pieces.push_back(last);
            }
            surplus = surplus.saturating_sub(length);
        }
        self.sent + self.unsent
    }

    /// Puts audio that was sent and not heard in front of what waits.
    pub(super) fn take_back(&mut self, audio: Bytes, samples: u64) {
        self.pieces.push_front(audio);
        self.unsent += samples;
        self.sent -= samples;
        if self.sent == 0 {
            self.begin = None;
        }
    }
}
