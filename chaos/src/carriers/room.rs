//! People who hear one another: the two of a dialled call, or a conference.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Frames that may wait for somebody whose clock is behind.
const QUEUED_MAX: usize = 5;

#[derive(Default)]
pub struct Room {
    members: Mutex<HashMap<String, Member>>,
}

#[derive(Default)]
struct Member {
    /// What each other member said and this one has not heard.
    heard: HashMap<String, VecDeque<Vec<i16>>>,
    is_muted: bool,
    is_held: bool,
    /// For somebody with whom the conference starts.
    is_waiting: bool,
    /// The conference is over when this one leaves.
    ends: bool,
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
            let queue = member.heard.entry(id.to_owned()).or_default();
            if queue.len() == QUEUED_MAX {
                queue.pop_front();
            }
            queue.push_back(frame.to_vec());
        }
    }

    /// The next frame of everybody else together.
    pub fn hear(&self, id: &str, samples: usize) -> Vec<i16> {
        let mut mixed = vec![0_i16; samples];
        let mut members = self.lock();
        let Some(member) = members.get_mut(id) else { return mixed };
        for queue in member.heard.values_mut() {
            for (sample, other) in mixed.iter_mut().zip(queue.pop_front().unwrap_or_default()) {
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

    #[test]
    fn everybody_hears_everybody_else() {
        let room = Room::default();
        ["a", "b", "c"].iter().for_each(|id| room.enter(id));
        room.say("a", &[1, 1]);
        room.say("b", &[10, 10]);
        assert_eq!(room.hear("a", 2), [10, 10]);
        assert_eq!(room.hear("c", 2), [11, 11]);
        assert_eq!(room.hear("c", 2), [0, 0]);
        assert!(room.hold("a", true));
        room.say("a", &[1, 1]);
        room.say("b", &[10, 10]);
        assert_eq!((room.hear("a", 2), room.hear("c", 2)), (vec![0, 0], vec![10, 10]));
        assert!(!room.leave("b"));
        assert!(!room.mute("b", true));
        assert_eq!(room.members(), ["a", "c"]);
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
