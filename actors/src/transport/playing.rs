//! What the caller hears, and what is known of it.

use std::{sync::Arc, time::Duration};

use offhook_core::{Event, SpeechId};
use offhook_media::{Backdrop, Notice, PlayoutAction};
use tokio::time::Instant;

use super::{
    LegEnd,
    pump::{Looked, Pump, Step},
    sockets::Parting,
};
use crate::{LegSocket, Outgoing, leg::ToLeg};

/// What was sent counts as heard no longer than this after the last sign of life: a ping, its way
/// there and back, and some.
const HEARING_TRUST: Duration = Duration::from_secs(1);

/// How often it is looked whether another word of a speech was heard. The conversation is told, which
/// is what a process that takes the call up knows of it: half a word's time, so that no more than
/// one word and the one that was cut off are said twice.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

impl Pump {
    /// Sends what is due, notes what was heard.
    pub(super) fn play(&mut self, socket: &mut LegSocket) {
        self.looked = Looked { at: Instant::now(), for_a_frame: false };
        let now = self.leg_time();
        if self.backdrop.is_none()
            && let Some(sound) = self.context.slots.backdrop.sound()
        {
            self.backdrop = Some(Backdrop::new(self.context.audio.format(), sound.clone()));
        }
        self.look_after_hold();
        let alive = now.saturating_sub(self.heard_peer.elapsed());
        let (actions, notices, played, sounding) = self.context.audio.drain_playout(|playout| {
            playout.trust(alive, HEARING_TRUST);
            let actions = playout.poll(now);
            let played = playout.played(now);
            (actions, playout.take_notices(), played, playout.sounding())
        });
        self.tell_progress(sounding);
        self.context.audio.spoke(played);
        for action in actions {
            let wire = match action {
                PlayoutAction::Send(audio) => {
                    let mixed = self.behind().map(|backdrop| backdrop.mix(now, &audio));
                    Some(socket.codec.audio(mixed.unwrap_or(audio)))
                }
                PlayoutAction::Mark(name) => socket.codec.mark(&name),
                PlayoutAction::Clear => {
                    self.context.turns().cleared(self.context.clock.now());
                    let clear = socket.codec.clear();
                    if let (Some(_), Some(backdrop)) = (&clear, self.behind()) {
                        backdrop.cleared(now);
                    }
                    clear
                }
            };
            if let Some(wire) = wire {
                socket.queue(Outgoing::Wire(wire));
            }
        }
        if let Some(backdrop) = self.behind() {
            for audio in backdrop.fill(now) {
                let wire = socket.codec.audio(audio);
                socket.queue(Outgoing::Wire(wire));
            }
        }
        self.tell_notices(notices);
    }

    /// What sounds behind the words: on hold that is music.
    fn behind(&mut self) -> Option<&mut Backdrop> {
        self.hold.as_mut().map(|(_, music)| music).or(self.backdrop.as_mut())
    }

    /// Takes note of whether the caller is on hold.
    fn look_after_hold(&mut self) {
        let sound = self.context.slots.hold.sound();
        let playing = self.hold.as_ref().map(|(sound, _)| sound);
        let is_same = match (&sound, playing) {
            (Some(sound), Some(playing)) => Arc::ptr_eq(sound, playing),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !is_same {
            let format = self.context.audio.format();
            self.hold = sound.map(|sound| (sound.clone(), Backdrop::new(format, sound)));
        }
    }

    pub(super) fn tell_client(&mut self, socket: &mut LegSocket) -> Step {
        while let Some(message) = self.context.leg.take_message() {
            match message {
                ToLeg::Message(message) => {
                    if let Some(wire) = socket.codec.event(&message) {
                        socket.queue(Outgoing::Wire(wire));
                    }
                }
                ToLeg::Close { code, reason } => {
                    socket.queue(Outgoing::Close { code, reason });
                    return Err(Parting::Over(LegEnd::Closed));
                }
            }
        }
        Ok(())
    }

    /// Tells the conversation what became of the speeches.
    pub(super) fn tell_notices(&self, notices: Vec<Notice>) {
        for notice in notices {
            match notice {
                Notice::Began { speech, .. } => {
                    self.context.tell(Event::SpeechBegan { speech: SpeechId(speech) });
                }
                Notice::Heard { speech, .. } => {
                    self.context.tell(Event::SpeechHeard { speech: SpeechId(speech) });
                }
                Notice::Underrun { .. } => {
                    metrics::counter!("offhook_playout_underruns_total").increment(1);
                }
            }
        }
    }

    /// Silence takes the place of what did not come.
    pub(super) fn pad(&mut self) {
        let missing = self.timeline.pad_due(self.leg_time());
        if missing > 0 {
            self.hear(self.context.audio.format().silence(missing));
        }
    }

    pub(super) fn hear(&self, audio: bytes::Bytes) {
        let lost = self.context.audio.hear(audio);
        if !lost.is_zero() {
            metrics::counter!("offhook_audio_ring_overflow_milliseconds_total")
                .increment(lost.as_millis() as u64);
        }
    }

    /// Tells now and then how far the speech that sounds was heard.
    fn tell_progress(&mut self, sounding: Option<(u32, u64)>) {
        let Some((speech, samples)) = sounding else { return };
        if self.looked_for_progress.elapsed() < PROGRESS_EVERY {
            return;
        }
        self.looked_for_progress = Instant::now();
        let (speech, heard) = (SpeechId(speech), self.context.audio.format().duration_of(samples));
        let progress = self.context.chars_heard(speech, heard).map(|chars| (speech, chars));
        if let Some((speech, chars)) = progress
            && self.told_progress != progress
        {
            self.told_progress = progress;
            self.context.tell(Event::SpeechProgress { speech, chars });
        }
    }
}
