//! A playout against a leg that plays what it is sent, sample by sample.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;

/// A carrier and its caller. Actions take `way_out` to it and echoes `way_back`, in order.
struct Leg {
    way_out: u64,
    way_back: u64,
    /// What is on the way, with the time it comes in, in milliseconds.
    incoming: VecDeque<(u64, PlayoutAction)>,
    echoes: VecDeque<(u64, String)>,
    buffer: VecDeque<Item>,
    /// What the caller heard, a sample for each tick.
    heard: Vec<u8>,
}

enum Item {
    Sample(u8),
    Mark(String),
}

impl Leg {
    fn send(&mut self, now: u64, actions: Vec<PlayoutAction>) {
        self.incoming.extend(actions.into_iter().map(|action| (now + self.way_out, action)));
    }

    /// Plays the millisecond from `now` on.
    fn play(&mut self, now: u64) {
        while self.incoming.front().is_some_and(|(at, _)| *at <= now) {
            match self.incoming.pop_front().unwrap().1 {
                PlayoutAction::Send(frame) => {
                    self.buffer.extend(frame.iter().map(|&sample| Item::Sample(sample)));
                }
                PlayoutAction::Mark(name) => self.buffer.push_back(Item::Mark(name)),
                PlayoutAction::Clear => {
                    for item in std::mem::take(&mut self.buffer) {
                        if let Item::Mark(name) = item {
                            self.echoes.push_back((now + self.way_back, name));
                        }
                    }
                }
            }
        }
        for _ in 0..8 {
            self.echo_marks(now);
            match self.buffer.pop_front() {
                Some(Item::Sample(sample)) => self.heard.push(sample),
                Some(Item::Mark(_)) | None => self.heard.push(SILENCE),
            }
        }
    }

    fn echo_marks(&mut self, now: u64) {
        while let Some(Item::Mark(name)) = self.buffer.front() {
            self.echoes.push_back((now + self.way_back, name.clone()));
            self.buffer.pop_front();
        }
    }

    /// Samples of a speech in what was heard.
    fn heard_of(&self, speech: u32) -> u64 {
        self.heard.iter().filter(|&&sample| u32::from(sample) == speech).count() as u64
    }
}

#[derive(Clone, Debug)]
enum Op {
    Queue { speech: u32, samples: usize },
    Finish { speech: u32 },
    Clear { speech: u32 },
}

/// What voices do, each after some milliseconds.
fn ops() -> impl Strategy<Value = Vec<(u64, Op)>> {
    let speech = 1u32..6;
    let op = prop_oneof![
        6 => (speech.clone(), 0usize..4_000)
            .prop_map(|(speech, samples)| Op::Queue { speech, samples }),
        2 => speech.clone().prop_map(|speech| Op::Finish { speech }),
        1 => speech.prop_map(|speech| Op::Clear { speech }),
    ];
    prop::collection::vec((0u64..250, op), 1..40)
}

struct World {
    playout: Playout,
    leg: Leg,
    now: u64,
    /// How late the transport wakes up.
    lateness: u64,
    queued: BTreeMap<u32, u64>,
    cleared: BTreeSet<u32>,
    told: BTreeSet<u32>,
    sent: u64,
    played: Vec<u8>,
}

impl World {
    fn new(hearing: Hearing, way_out: u64, way_back: u64, lateness: u64) -> Self {
        Self {
            playout: playout(hearing),
            leg: Leg {
                way_out,
                way_back,
                incoming: VecDeque::new(),
                echoes: VecDeque::new(),
                buffer: VecDeque::new(),
                heard: Vec::new(),
            },
            now: 0,
            lateness,
            queued: BTreeMap::new(),
            cleared: BTreeSet::new(),
            told: BTreeSet::new(),
            sent: 0,
            played: Vec::new(),
        }
    }

    fn apply(&mut self, op: Op) {
        let now = ms(self.now);
        match op {
            Op::Queue { speech, samples } => {
                let over = self.cleared.contains(&speech) || self.told.contains(&speech);
                if self.playout.queue(speech, Bytes::from(vec![speech as u8; samples])) {
                    assert!(!over, "speech {speech} was over");
                    *self.queued.entry(speech).or_default() += samples as u64;
                }
            }
            Op::Finish { speech } => self.playout.finish(speech),
            Op::Clear { speech } => {
                let before = self.playout.heard_samples(now, speech);
                if let Some(cleared) = self.playout.clear(now, speech) {
                    assert_eq!(cleared.heard_samples, before);
                    self.cleared.insert(speech);
                } else if !self.queued.contains_key(&speech) {
                    self.cleared.insert(speech);
                }
            }
        }
        self.poll();
    }

    fn poll(&mut self) {
        let actions = self.playout.poll(ms(self.now));
        for action in &actions {
            match action {
                PlayoutAction::Send(frame) => {
                    assert_eq!(frame.len(), 160);
                    self.sent += 160;
                    for speech in &self.cleared {
                        assert!(!frame.contains(&(*speech as u8)), "{speech} was cleared");
                    }
                }
                PlayoutAction::Mark(_) | PlayoutAction::Clear => {}
            }
        }
        assert!(self.playout.playhead.ahead() <= 600 * 8);
        self.leg.send(self.now, actions);
        for notice in self.playout.take_notices() {
            if let Notice::Heard { speech, at } = notice {
                assert!(at <= ms(self.now));
                assert!(self.told.insert(speech), "{speech} was told twice");
                assert!(!self.cleared.contains(&speech), "{speech} was cleared");
                let queued = self.queued.get(&speech).copied().unwrap_or(0);
                assert_eq!(self.playout.heard_samples(ms(self.now), speech), queued);
            }
        }
    }

    /// Lets a millisecond pass.
    fn step(&mut self, reads: bool) {
        while self.leg.echoes.front().is_some_and(|(at, _)| *at <= self.now) {
            let (_, name) = self.leg.echoes.pop_front().unwrap();
            self.playout.mark_played(ms(self.now), &name);
            self.poll();
        }
        let due = self.playout.next_due(ms(self.now.saturating_sub(self.lateness)));
        if due.is_some_and(|due| due <= ms(self.now.saturating_sub(self.lateness))) {
            self.poll();
        }
        self.leg.play(self.now);
        self.now += 1;
        if reads && self.now.is_multiple_of(70) {
            self.played.extend_from_slice(&self.playout.played(ms(self.now)));
        }
    }

    /// Runs the voices, then finishes what is left and waits until nothing is due.
    fn run(&mut self, ops: Vec<(u64, Op)>, mut check: impl FnMut(&mut Self)) {
        let finish = (1..6).map(|speech| (0, Op::Finish { speech }));
        for (wait, op) in ops.into_iter().chain(finish) {
            for _ in 0..wait {
                self.step(true);
                check(self);
            }
            self.apply(op);
        }
        let limit = self.now + 120_000;
        while self.playout.next_due(ms(self.now)).is_some() || !self.leg.buffer.is_empty() {
            assert!(self.now < limit, "not done after two minutes");
            self.step(true);
            check(self);
        }
        // What marks held back for a moment may still wait for its time on the tape.
        for _ in 0..2_000 {
            self.step(true);
        }
        self.played.extend_from_slice(&self.playout.played(ms(self.now)));
        for (speech, samples) in &self.queued {
            assert!(self.told.contains(speech) || self.cleared.contains(speech), "{speech} lost");
            if self.told.contains(speech) {
                assert_eq!(self.playout.heard_samples(ms(self.now), *speech), *samples);
            }
        }
    }

    fn heard(&self, speech: u32) -> u64 {
        self.playout.heard_samples(ms(self.now), speech)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn by_the_clock_the_playout_knows_exactly_what_the_caller_heard(
        ops in ops(),
        lateness in 0u64..30,
    ) {
        let mut world = World::new(Hearing::Clock, 0, 0, lateness);
        let mut last = [0; 6];
        world.run(ops, |world| {
            for speech in 1..6 {
                let heard = world.heard(speech);
                assert!(heard >= last[speech as usize]);
                last[speech as usize] = heard;
            }
        });
        for speech in 1..6 {
            prop_assert_eq!(world.heard(speech), world.leg.heard_of(speech));
        }
        prop_assert_eq!(&world.played, &world.leg.heard);
    }

    #[test]
    fn with_marks_the_playout_never_claims_more_than_the_way_to_the_leg_holds(
        ops in ops(),
        lateness in 0u64..30,
        way_out in 0u64..200,
        way_back in 0u64..200,
    ) {
        let mut world = World::new(Hearing::Marks, way_out, way_back, lateness);
        let mut last = [0; 6];
        let mut checks = 0;
        world.run(ops, |world| {
            checks += 1;
            for speech in 1..6 {
                let heard = world.heard(speech);
                assert!(heard >= last[speech as usize]);
                assert!(heard <= world.sent);
                last[speech as usize] = heard;
                if checks % 20 == 0 {
                    let truth = world.leg.heard_of(speech);
                    assert!(heard <= truth + way_out * 8 + 160, "{heard} of {speech}, not {truth}");
                }
            }
        });
        for speech in 1..6 {
            let taped = world.played.iter().filter(|&&sample| sample == speech as u8).count();
            prop_assert_eq!(world.heard(speech), taped as u64);
        }
        prop_assert_eq!(world.played.len(), world.now as usize * 8);
    }
}
