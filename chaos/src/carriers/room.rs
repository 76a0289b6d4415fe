//! People who hear one another: the two of a dialled call, or a conference.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Frames that may wait for somebody whose clock is behind: a second.
const QUEUED_MAX: usize = 50;

/// Frames that wait before the first is heard, and again when there was none: 160 ms, by which a busy
/// machine may be late without a hole in a word.
const QUEUED_FIRST: usize = 8;

#[derive(Default)]
pub struct Room {
    members: Mutex<HashMap<String, Member>>,
}

#[derive(Default)]
struct Member {
    /// What each other member said and this one has not heard.
    heard: HashMap<String, Queue>,
    is_muted: bool,
    is_held: bool,
    /// For somebody with whom the conference starts.
    is_waiting: bool,
    /// The conference is over when this one leaves.
    ends: bool,
}

#[derive(Default)]
struct Queue {
    frames: VecDeque<Vec<i16>>,
    is_filled: bool,
}

impl Queue {
    fn push(&mut self, frame: Vec<i16>) {
        if self.frames.len() == QUEUED_MAX {
            self.frames.pop_front();
        }
        self.frames.push_back(frame);
        self.is_filled |= self.frames.len() >= QUEUED_FIRST;
    }

    fn pop(&mut self) -> Option<Vec<i16>> {
        self.is_filled &= !self.frames.is_empty();
        if self.is_filled { self.frames.pop_front() } else { None }
    }
}

impl Room {
    pub fn enter(&self, id: &str) {
        self.lock().entry(id.to_owned()).or_default();
    }

    /// Enters a conference, which `starts` with this one or goes on already, and `ends` with it.
    pub fn join(&self, id: &str, starts: bool, ends: bool, is_muted: bool) {
        let mut members = self.lock();
        let goes_on = members.values().any(|member| !member.is_waiting);
        if starts {
            members.values_mut().for_each(|member| member.is_waiting = false);
        }
        let is_waiting = !starts && !goes_on;
        let member = Member { is_muted, is_waiting, ends, ..Member::default() };
        members.insert(id.to_owned(), member);
    }

    /// Leaves; returns whether that ends the conference for everybody else.
    pub fn leave(&self, id: &str) -> bool {
        let mut members = self.lock();
        let left = members.remove(id);
        for member in members.values_mut() {
            member.heard.remove(id);
        }
        left.is_some_and(|member| member.ends)
    }

    pub fn hold(&self, id: &str, is_held: bool) -> bool {
        self.lock().get_mut(id).map(|member| member.is_held = is_held).is_some()
    }

    pub fn mute(&self, id: &str, is_muted: bool) -> bool {
        self.lock().get_mut(id).map(|member| member.is_muted = is_muted).is_some()
    }

    /// Whether this one hears music and nobody else.
    pub fn has_music(&self, id: &str) -> bool {
        self.lock().get(id).is_some_and(|member| member.is_held || member.is_waiting)
    }

    /// Whether this one is on hold, and muted.
    pub fn state_of(&self, id: &str) -> Option<(bool, bool)> {
        self.lock().get(id).map(|member| (member.is_held, member.is_muted))
    }

    pub fn members(&self) -> Vec<String> {
        let mut members: Vec<String> = self.lock().keys().cloned().collect();
        members.sort();
        members
    }

    /// Says a frame to everybody else.
    pub fn say(&self, id: &str, frame: &[i16]) {
        let mut members = self.lock();
        let is_mute = |member: &Member| member.is_muted || member.is_held || member.is_waiting;
        if members.get(id).is_none_or(is_mute) {
            return;
        }
        for (_, member) in members.iter_mut().filter(|(other, _)| *other != id) {
            member.heard.entry(id.to_owned()).or_default().push(frame.to_vec());
        }
    }

    /// The next frame of everybody else together.
    pub fn hear(&self, id: &str, samples: usize) -> Vec<i16> {
        let mut mixed = vec![0_i16; samples];
        let mut members = self.lock();
        let Some(member) = members.get_mut(id) else { return mixed };
        for queue in member.heard.values_mut() {
            for (sample, other) in mixed.iter_mut().zip(queue.pop().unwrap_or_default()) {
                *sample = sample.saturating_add(other);
            }
        }
        if member.is_held { vec![0; samples] } else { mixed }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many frames as are waited for.
    fn talk(room: &Room, id: &str, frame: &[i16]) {
        (0..QUEUED_FIRST).for_each(|_| room.say(id, frame));
    }

    #[test]
    fn everybody_hears_everybody_else() {
        let room = Room::default();
        ["a", "b", "c"].iter().for_each(|id| room.enter(id));
        talk(&room, "a", &[1, 1]);
        talk(&room, "b", &[10, 10]);
        assert_eq!(room.hear("a", 2), [10, 10]);
        (0..QUEUED_FIRST).for_each(|_| assert_eq!(room.hear("c", 2), [11, 11]));
        assert_eq!(room.hear("c", 2), [0, 0]);
        assert!(room.hold("a", true));
        talk(&room, "a", &[1, 1]);
        talk(&room, "b", &[10, 10]);
        assert_eq!((room.hear("a", 2), room.hear("c", 2)), (vec![0, 0], vec![10, 10]));
        assert!(!room.leave("b"));
        assert!(!room.mute("b", true));
        assert_eq!(room.members(), ["a", "c"]);
    }

    #[test]
    fn whoever_is_late_is_waited_for_so_that_words_stay_whole() {
        let room = Room::default();
        ["a", "b"].iter().for_each(|id| room.enter(id));
        room.say("a", &[1]);
        assert_eq!(room.hear("b", 1), [0]);
        (2..=8).for_each(|sample| room.say("a", &[sample]));
        let heard: Vec<i16> = (0..8).flat_map(|_| room.hear("b", 1)).collect();
        assert_eq!(heard, [1, 2, 3, 4, 5, 6, 7, 8]);
        (0..60).for_each(|sample| room.say("a", &[sample]));
        assert_eq!(room.hear("b", 1), [10], "a second is kept");
    }

    #[test]
    fn a_conference_starts_with_one_and_ends_with_another() {
        let room = Room::default();
        room.join("caller", false, false, false);
        assert!(room.has_music("caller"));
        room.join("agent", true, true, false);
        assert!(!room.has_music("caller"));
        room.join("late", false, false, true);
        assert!(!room.has_music("late"));
        assert_eq!(room.state_of("late"), Some((false, true)));
        assert!(!room.leave("caller"));
        assert!(room.leave("agent"));
    }
}
