//! What a carrier was sent to be heard: played in real time, in order, and reported when it is.

use std::collections::VecDeque;

use tokio::sync::mpsc;

/// Longest audio that is kept, in samples at 8 kHz: a minute, as carriers have it. What comes after
/// it is dropped.
const SAMPLES_MAX: usize = 60 * 8_000;

pub struct Playout {
    items: VecDeque<Item>,
    samples: usize,
    /// Names of marks that were reached, or cleared.
    echo: mpsc::Sender<String>,
}

enum Item {
    Audio(VecDeque<i16>),
    Mark(String),
}

impl Playout {
    pub fn new(echo: mpsc::Sender<String>) -> Self {
        Self { items: VecDeque::new(), samples: 0, echo }
    }

    pub fn push(&mut self, samples: Vec<i16>) {
        if self.samples + samples.len() > SAMPLES_MAX {
            return;
        }
        self.samples += samples.len();
        self.items.push_back(Item::Audio(samples.into()));
    }

    pub fn mark(&mut self, name: String) {
        self.items.push_back(Item::Mark(name));
        // With nothing before it, it is reached at once.
        self.reach();
    }

    /// Forgets what was not played. Its marks are reported at once: a report does not prove that
    /// anything was heard.
    pub fn clear(&mut self) {
        self.samples = 0;
        for item in std::mem::take(&mut self.items) {
            match item {
                Item::Mark(name) => self.report(name),
                Item::Audio(_) => {}
            }
        }
    }

    /// The next samples, silence where there are none.
    pub fn play(&mut self, samples: usize) -> Vec<i16> {
        let mut played = Vec::with_capacity(samples);
        while played.len() < samples {
            match self.items.front_mut() {
                Some(Item::Audio(audio)) => {
                    let part = audio.len().min(samples - played.len());
                    played.extend(audio.drain(..part));
                    self.samples -= part;
                    if audio.is_empty() {
                        self.items.pop_front();
                    }
                }
                Some(Item::Mark(_)) => self.reach(),
                None => break,
            }
        }
        self.reach();
        played.resize(samples, 0);
        played
    }

    fn reach(&mut self) {
        while matches!(self.items.front(), Some(Item::Mark(_))) {
            if let Some(Item::Mark(name)) = self.items.pop_front() {
                self.report(name);
            }
        }
    }

    fn report(&self, name: String) {
        // A socket that takes no more reports is as good as gone.
        let _ = self.echo.try_send(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn playout() -> (Playout, mpsc::Receiver<String>) {
        let (echo, echoes) = mpsc::channel(16);
        (Playout::new(echo), echoes)
    }

    fn all(echoes: &mut mpsc::Receiver<String>) -> Vec<String> {
        std::iter::from_fn(|| echoes.try_recv().ok()).collect()
    }

    #[test]
    fn marks_come_back_when_what_was_before_them_is_played() {
        let (mut playout, mut echoes) = playout();
        playout.push(vec![1; 300]);
        playout.mark("a".into());
        playout.push(vec![2; 20]);
        playout.mark("b".into());
        assert_eq!(playout.play(160), [1; 160]);
        assert_eq!(all(&mut echoes), [""; 0]);
        assert_eq!(playout.play(160), [vec![1; 140], vec![2; 20]].concat());
        assert_eq!(all(&mut echoes), ["a", "b"]);
        assert_eq!(playout.play(160), [0; 160]);
    }

    #[test]
    fn a_mark_with_nothing_before_it_comes_back_at_once_and_clearing_brings_back_all() {
        let (mut playout, mut echoes) = playout();
        playout.mark("now".into());
        assert_eq!(all(&mut echoes), ["now"]);
        playout.push(vec![1; 1_000]);
        playout.mark("later".into());
        playout.clear();
        assert_eq!(all(&mut echoes), ["later"]);
        assert_eq!((playout.samples, playout.play(1)), (0, vec![0]));
    }

    #[test]
    fn more_than_a_minute_is_not_kept() {
        let (mut playout, _echoes) = playout();
        (0..70).for_each(|_| playout.push(vec![1; 8_000]));
        assert_eq!(playout.samples, SAMPLES_MAX);
    }
}
