//! When each turn passed the fakes, in nanoseconds of `CLOCK_MONOTONIC`: the clock that all
//! processes of a machine share.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use serde_json::{Value, json};

/// Turns that are kept; the oldest go first. Some 100 bytes each.
const TURNS_MAX: usize = 200_000;

/// Timers whose lag is kept; the oldest go first.
const LAGS_MAX: usize = 65_536;

/// The numbers of a caller and of his turn, which are the first two words of what he says and of
/// what is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TurnKey(pub u32, pub u32);

/// A time of a turn that is known when something leaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mark {
    /// The final text, of sound that ended at this time.
    Final {
        turn: TurnKey,
        speech_end: u64,
    },
    FirstToken(TurnKey),
    /// The end of the reply, behind its last token.
    ReplyEnd(TurnKey),
    FirstAudio(TurnKey),
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Turn {
    caller: u32,
    turn: u32,
    speech_end: Option<u64>,
    final_sent: Option<u64>,
    request: Option<u64>,
    first_token: Option<u64>,
    reply_end: Option<u64>,
    text: Option<u64>,
    first_audio: Option<u64>,
}

/// What a provider was asked for.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Counts {
    /// Websockets that were accepted.
    pub connections: u64,
    /// Plain requests.
    pub requests: u64,
    /// Websockets and answers under way.
    pub open: u64,
    /// Answers that the client did not wait for.
    pub cancelled: u64,
    /// Connections and requests that were refused.
    pub refused: u64,
}

#[derive(Debug, Default)]
pub struct Report {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    turns: VecDeque<Turn>,
    /// Turns that were forgotten: what to take off an index.
    forgotten: u64,
    /// The latest turn with a key, counted from the first that ever was.
    latest: HashMap<TurnKey, u64>,
    counts: BTreeMap<&'static str, Counts>,
    lags_us: VecDeque<u32>,
}

/// Now, in nanoseconds of `CLOCK_MONOTONIC`.
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

impl Report {
    /// Something leaves now.
    pub fn mark(&self, mark: Mark) {
        let now = Some(monotonic_ns());
        let mut state = self.state();
        match mark {
            Mark::Final { turn: key, speech_end } => {
                // A request that came on suspicion has begun the turn already.
                if state.latest(key).is_none_or(|turn| turn.final_sent.is_some()) {
                    state.begin(key);
                }
                if let Some(turn) = state.latest(key) {
                    (turn.speech_end, turn.final_sent) = (Some(speech_end), now);
                }
            }
            Mark::FirstToken(key) => {
                if let Some(turn) = state.latest(key) {
                    turn.first_token = turn.first_token.or(now);
                }
            }
            Mark::ReplyEnd(key) => {
                if let Some(turn) = state.latest(key) {
                    turn.reply_end = turn.reply_end.or(now);
                }
            }
            Mark::FirstAudio(key) => {
                if let Some(turn) = state.latest(key) {
                    turn.first_audio = turn.first_audio.or(now);
                }
            }
        }
    }

    /// A model is asked for the answer of a turn.
    pub fn request(&self, key: TurnKey) {
        let mut state = self.state();
        if state.latest(key).is_none() {
            state.begin(key);
        }
        if let Some(turn) = state.latest(key) {
            turn.request = turn.request.or(Some(monotonic_ns()));
        }
    }

    /// A voice is given its first text, at `at`: says whether that is the beginning of this turn's
    /// answer, which a voice without contexts cannot tell from the numbers alone.
    pub fn text(&self, key: TurnKey, at: u64) -> bool {
        let mut state = self.state();
        let turn = state.latest(key).filter(|turn| turn.request.is_some() && turn.text.is_none());
        turn.map(|turn| turn.text = Some(at)).is_some()
    }

    pub fn count(&self, provider: &'static str, change: impl FnOnce(&mut Counts)) {
        change(self.state().counts.entry(provider).or_default());
    }

    /// How late a timer of ours was.
    pub fn lag(&self, lag: Duration) {
        let mut state = self.state();
        if state.lags_us.len() == LAGS_MAX {
            state.lags_us.pop_front();
        }
        state.lags_us.push_back(u32::try_from(lag.as_micros()).unwrap_or(u32::MAX));
    }

    /// The document of `GET /fakes/report`: `turns` (oldest first), `providers`, `timer_lag_us`.
    pub fn document(&self) -> Value {
        let (turns, counts, lags) = {
            let state = self.state();
            (state.turns.clone(), state.counts.clone(), state.lags_us.clone())
        };
        let mut lags = Vec::from(lags);
        lags.sort_unstable();
        let at = |share: f64| lags.get(((lags.len() as f64 - 1.0) * share) as usize).copied();
        json!({
            "turns": turns,
            "providers": counts,
            "timer_lag_us":
                {"samples": lags.len(), "p50": at(0.5), "p99": at(0.99), "max": lags.last()},
        })
    }

    /// Forgets turns, lags, and counts of what is over.
    pub fn clear(&self) {
        let mut state = self.state();
        let open = |(name, counts): (&&'static str, &Counts)| {
            (*name, Counts { open: counts.open, ..Counts::default() })
        };
        let counts = state.counts.iter().map(open).collect();
        *state = State { counts, ..State::default() };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn begin(&mut self, key: TurnKey) {
        if self.turns.len() == TURNS_MAX {
            let first = self.turns.pop_front().map(|turn| TurnKey(turn.caller, turn.turn));
            if let Some(first) = first
                && self.latest.get(&first) == Some(&self.forgotten)
            {
                self.latest.remove(&first);
            }
            self.forgotten += 1;
        }
        self.latest.insert(key, self.forgotten + self.turns.len() as u64);
        self.turns.push_back(Turn { caller: key.0, turn: key.1, ..Turn::default() });
    }

    fn latest(&mut self, key: TurnKey) -> Option<&mut Turn> {
        let index = self.latest.get(&key)?.checked_sub(self.forgotten)?;
        self.turns.get_mut(index as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: TurnKey = TurnKey(17, 3);

    #[test]
    fn a_turn_s_times_follow_one_another() {
        let report = Report::default();
        report.mark(Mark::Final { turn: KEY, speech_end: monotonic_ns() });
        report.request(KEY);
        report.mark(Mark::FirstToken(KEY));
        report.mark(Mark::ReplyEnd(KEY));
        assert!(report.text(KEY, monotonic_ns()));
        report.mark(Mark::FirstAudio(KEY));
        let document = report.document();
        let turn = &document["turns"][0];
        assert_eq!((turn["caller"].as_u64(), turn["turn"].as_u64()), (Some(17), Some(3)));
        let times: Vec<u64> = [
            "speech_end",
            "final_sent",
            "request",
            "first_token",
            "reply_end",
            "text",
            "first_audio",
        ]
        .map(|name| turn[name].as_u64().unwrap())
        .to_vec();
        assert!(times.is_sorted(), "{times:?}");
    }

    #[test]
    fn numbers_that_come_again_are_another_turn_and_the_first_of_each_time_counts() {
        let report = Report::default();
        // Asked on suspicion, before the final text.
        report.request(KEY);
        report.mark(Mark::Final { turn: KEY, speech_end: 1 });
        report.mark(Mark::FirstToken(KEY));
        let first = report.document()["turns"][0]["first_token"].clone();
        report.mark(Mark::FirstToken(KEY));
        assert_eq!(report.document()["turns"][0]["first_token"], first);
        report.mark(Mark::Final { turn: KEY, speech_end: 2 });
        let turns = report.document()["turns"].as_array().unwrap().clone();
        assert_eq!(turns.len(), 2);
        assert!(turns[1]["request"].is_null());
    }

    #[test]
    fn a_text_in_the_middle_of_an_answer_begins_no_turn() {
        let report = Report::default();
        assert!(!report.text(KEY, 1));
        report.request(KEY);
        assert!(report.text(KEY, 1));
        assert!(!report.text(KEY, 2));
        assert_eq!(report.document()["turns"][0]["text"], 1);
    }

    #[test]
    fn the_oldest_turns_are_forgotten() {
        let report = Report::default();
        for turn in 0..TURNS_MAX as u32 + 2 {
            report.request(TurnKey(1, turn));
        }
        report.mark(Mark::FirstToken(TurnKey(1, 0)));
        report.mark(Mark::FirstToken(TurnKey(1, 2)));
        let state = report.state();
        assert_eq!((state.turns.len(), state.latest.len()), (TURNS_MAX, TURNS_MAX));
        assert_eq!(state.turns[0].turn, 2);
        assert!(state.turns[0].first_token.is_some());
        assert!(state.turns[1].first_token.is_none());
    }

    #[test]
    fn lags_are_summed_up() {
        let report = Report::default();
        (0..=100).for_each(|ms| report.lag(Duration::from_millis(ms)));
        let lag = &report.document()["timer_lag_us"];
        assert_eq!((lag["p50"].as_u64(), lag["p99"].as_u64()), (Some(50_000), Some(99_000)));
        assert_eq!(lag["max"], 100_000);
        report.clear();
        assert_eq!(report.document()["timer_lag_us"]["samples"], 0);
    }
}
