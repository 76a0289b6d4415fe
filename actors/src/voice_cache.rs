//! What voices said before, for whoever asks for the same words again.
//!
//! First messages, tools' messages and goodbyes are the same in every call of an assistant; from the
//! second call on they cost nothing and sound at once. Only whole speeches of one piece are kept.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use offhook_media::AudioFormat;
use sha2::{Digest, Sha256};

/// Speech that is kept, whole, in a leg's format.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptSpeech {
    pub audio: Bytes,
    /// Words as the voice timed them, from the first sample on.
    pub words: Vec<(String, Duration, Duration)>,
}

/// Longest text of one speech that is kept, in bytes: half a minute of speech. What is longer was
/// hardly written by hand.
pub(crate) const TEXT_MAX: usize = 500;

/// Most audio of one speech that is kept: half a minute at 48 kHz.
pub(crate) const AUDIO_MAX: usize = 3 * 1024 * 1024;

/// What one entry costs besides its audio, about: its key, its places, its words.
const ENTRY_BYTES: usize = 512;

/// The speeches of a node that were last used.
#[derive(Clone, Default)]
pub struct VoiceCache(Arc<Shared>);

#[derive(Default)]
struct Shared {
    capacity: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    entries: HashMap<VoiceKey, Entry>,
    /// Keys by their last use, oldest first.
    by_use: BTreeMap<u64, VoiceKey>,
    uses: u64,
    bytes: usize,
    /// What is being made, so that a hundred calls do not make it a hundred times.
    claimed: HashSet<VoiceKey>,
}

/// The right to make a speech, until it is dropped.
pub(crate) struct Claim {
    key: VoiceKey,
    cache: VoiceCache,
}

impl Claim {
    pub fn key(&self) -> VoiceKey {
        self.key
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.cache.kept().claimed.remove(&self.key);
    }
}

struct Entry {
    speech: KeptSpeech,
    used: u64,
}

/// Everything that decides how a text sounds, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VoiceKey([u8; 32]);

impl VoiceKey {
    /// `settings` are the parts of the document that shape the voice.
    pub fn new(org: &str, provider: &str, settings: &str, format: AudioFormat, text: &str) -> Self {
        let mut hash = Sha256::new();
        let format = format!("{format:?}");
        for part in [org, provider, settings, &format, text] {
            // The length keeps two parts from passing for two others.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

impl VoiceCache {
    /// Keeps up to `capacity` bytes; 0 keeps nothing.
    pub fn new(capacity: u64) -> Self {
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        Self(Arc::new(Shared { capacity, kept: Mutex::default() }))
    }

    pub fn is_off(&self) -> bool {
        self.0.capacity == 0
    }

    /// Takes it upon the caller to make a speech that is not there; `None`: it is, or somebody is at
    /// it already.
    pub(crate) fn claim(&self, key: VoiceKey) -> Option<Claim> {
        let mut kept = self.kept();
        let is_wanted = !kept.entries.contains_key(&key) && kept.claimed.insert(key);
        is_wanted.then(|| Claim { key, cache: self.clone() })
    }

    pub fn contains(&self, key: &VoiceKey) -> bool {
        self.kept().entries.contains_key(key)
    }

    pub fn get(&self, key: &VoiceKey) -> Option<KeptSpeech> {
        let mut kept = self.kept();
        kept.uses += 1;
        let now = kept.uses;
        let entry = kept.entries.get_mut(key)?;
        let (speech, before) = (entry.speech.clone(), std::mem::replace(&mut entry.used, now));
        kept.by_use.remove(&before);
        kept.by_use.insert(now, *key);
        Some(speech)
    }

    /// Keeps a speech, and forgets those that were not used for longest where there is no room.
    pub fn keep(&self, key: VoiceKey, speech: KeptSpeech) {
        let bytes = cost(&speech);
        if bytes > self.0.capacity {
            return;
        }
        let mut kept = self.kept();
        kept.uses += 1;
        let used = kept.uses;
        kept.bytes += bytes;
        kept.by_use.insert(used, key);
        if let Some(before) = kept.entries.insert(key, Entry { speech, used }) {
            kept.bytes -= cost(&before.speech);
            kept.by_use.remove(&before.used);
        }
        while kept.bytes > self.0.capacity
            && let Some((_, oldest)) = kept.by_use.pop_first()
        {
            if let Some(forgotten) = kept.entries.remove(&oldest) {
                kept.bytes -= cost(&forgotten.speech);
            }
        }
        metrics::gauge!("offhook_voice_cache_bytes").set(kept.bytes as f64);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cost(speech: &KeptSpeech) -> usize {
    ENTRY_BYTES + speech.audio.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> VoiceKey {
        VoiceKey::new("org", "local", "{}", AudioFormat::mulaw(), text)
    }

    fn speech(bytes: usize) -> KeptSpeech {
        KeptSpeech { audio: vec![7; bytes].into(), words: Vec::new() }
    }

    #[test]
    fn what_was_not_used_for_longest_is_forgotten_first() {
        let cache = VoiceCache::new(2 * (1_000 + ENTRY_BYTES as u64));
        cache.keep(key("a"), speech(1_000));
        cache.keep(key("b"), speech(1_000));
        assert_eq!(cache.get(&key("a")), Some(speech(1_000)));
        cache.keep(key("c"), speech(1_000));
        assert_eq!(["a", "b", "c"].map(|text| cache.contains(&key(text))), [true, false, true]);
    }

    #[test]
    fn what_somebody_makes_nobody_else_does_until_they_give_it_up() {
        let cache = VoiceCache::new(10_000);
        let claim = cache.claim(key("a")).unwrap();
        assert!(cache.claim(key("a")).is_none() && cache.claim(key("b")).is_some());
        drop(claim);
        let claim = cache.claim(key("a")).unwrap();
        cache.keep(claim.key(), speech(10));
        drop(claim);
        assert!(cache.claim(key("a")).is_none(), "it is there");
    }

    #[test]
    fn a_speech_kept_twice_counts_once() {
        let cache = VoiceCache::new(2 * (1_000 + ENTRY_BYTES as u64));
        for _ in 0..5 {
            cache.keep(key("a"), speech(1_000));
            cache.keep(key("b"), speech(900));
        }
        assert_eq!(["a", "b"].map(|text| cache.contains(&key(text))), [true, true]);
        assert_eq!(cache.kept().bytes, 1_900 + 2 * ENTRY_BYTES);
    }

    #[test]
    fn what_is_larger_than_the_cache_is_not_kept_and_nothing_else_forgotten() {
        let cache = VoiceCache::new(2_000);
        cache.keep(key("a"), speech(1_000));
        cache.keep(key("b"), speech(5_000));
        assert_eq!(["a", "b"].map(|text| cache.contains(&key(text))), [true, false]);
        assert!(VoiceCache::new(0).is_off());
    }

    #[test]
    fn whatever_shapes_the_sound_makes_another_key() {
        let format = AudioFormat::mulaw();
        let keys = [
            VoiceKey::new("a", "local", "{}", format, "Hello."),
            VoiceKey::new("b", "local", "{}", format, "Hello."),
            VoiceKey::new("a", "loca", "l{}", format, "Hello."),
            VoiceKey::new("a", "local", "{}", AudioFormat::pcm16(8_000), "Hello."),
            VoiceKey::new("a", "local", "{}", format, "Hello"),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert_eq!(keys.iter().position(|other| other == key), Some(index));
        }
    }
}
