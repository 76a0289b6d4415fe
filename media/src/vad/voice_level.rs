/// How fast the level rises towards a louder voice, by frame: half way in 70 ms.
const RISE: f32 = 0.15;

/// How fast it forgets a louder voice, in dB a frame: 20 dB a minute, for a caller who hands the
/// phone to somebody quieter.
const FALL_DB: f32 = 0.005;

/// How loud the voice is that speaks into the phone: whoever is much quieter is somebody behind it,
/// or comes out of its loudspeaker.
#[derive(Default)]
pub(super) struct VoiceLevel {
    loudest_db: Option<f32>,
}

impl VoiceLevel {
    /// Takes the smoothed level of a frame, where it has a voice in it.
    pub(super) fn follow(&mut self, level_db: f32, is_voice: bool) {
        match &mut self.loudest_db {
            None if is_voice => self.loudest_db = Some(level_db),
            Some(loudest) if is_voice && level_db > *loudest => {
                *loudest += (level_db - *loudest) * RISE;
            }
            Some(loudest) => *loudest -= FALL_DB,
            None => {}
        }
    }

    /// The level of its loud syllables, as low as can be before there was a voice.
    pub(super) fn db(&self) -> f32 {
        self.loudest_db.unwrap_or(f32::MIN)
    }
}
