//! When the caller speaks: decided once a frame, from what the loudspeaker played.

use std::collections::VecDeque;
use std::time::Duration;

use offhook_media::AudioFormat;

use super::{CallerOptions, Line, Spoken, TurnTiming, level};

/// The length of a frame: what a carrier sends in one packet.
pub const FRAME: Duration = Duration::from_millis(20);

/// Silence after which sound is the beginning of another speech. Longer than the closure of a
/// plosive, shorter than the pause of a reply that starts anew.
const ONSET_GAP: Duration = Duration::from_millis(200);

/// What the microphone does in a frame.
#[derive(Debug, PartialEq)]
pub enum Mic {
    Frame(Vec<i16>),
    /// The script is at its end.
    HangUp,
    /// The agent did not answer.
    GiveUp,
}

pub struct Script {
    format: AudioFormat,
    lines: VecDeque<Line>,
    patience: Duration,
    turn_gap: Duration,
    state: State,
    agent: Agent,
    /// The line that waits for an answer: its label, and the end of its last sound.
    asked: Option<(String, Duration)>,
    turns: Vec<TurnTiming>,
}

enum State {
    /// Waiting for the agent; so long it has been silent meanwhile.
    Listening {
        unanswered: Duration,
    },
    /// The next sample to speak.
    Speaking {
        spoken: Spoken,
        next: usize,
    },
    Pausing {
        left: Duration,
    },
}

/// What the caller knows of the agent's speech.
struct Agent {
    /// Since its last sound.
    quiet: Duration,
    /// Since its present speech began.
    speech: Duration,
    /// A speech of it began since the caller's last line began.
    began: bool,
    /// It spoke after the caller's last line ended, in a speech that is not older than the line.
    answered: bool,
}

impl Script {
    pub fn new(options: &mut CallerOptions) -> Self {
        Self {
            format: options.format,
            lines: std::mem::take(&mut options.lines).into(),
            patience: options.patience,
            turn_gap: options.turn_gap,
            state: State::Listening { unanswered: Duration::ZERO },
            agent: Agent {
                quiet: Duration::MAX,
                speech: Duration::ZERO,
                began: false,
                answered: options.speaks_first,
            },
            asked: None,
            turns: Vec::new(),
        }
    }

    /// Says what the microphone picks up while the loudspeaker plays `agent`, which began at `at`.
    pub fn frame(&mut self, at: Duration, agent: &[i16]) -> Mic {
        self.listen(at, agent);
        loop {
            match &mut self.state {
                State::Speaking { .. } => return Mic::Frame(self.speak(at, agent.len())),
                State::Pausing { left } if left.is_zero() => {
                    self.state = State::Listening { unanswered: Duration::ZERO };
                }
                State::Pausing { left } => {
                    *left = left.saturating_sub(FRAME);
                    return Mic::Frame(vec![0; agent.len()]);
                }
                State::Listening { .. } => {
                    if let Some(mic) = self.decide(agent.len()) {
                        return mic;
                    }
                }
            }
        }
    }

    /// The answers so far.
    pub fn into_turns(self) -> Vec<TurnTiming> {
        self.turns
    }

    fn listen(&mut self, at: Duration, frame: &[i16]) {
        let agent = &mut self.agent;
        if !level::is_voiced(frame) {
            agent.quiet = agent.quiet.saturating_add(FRAME);
            agent.speech += FRAME;
            return;
        }
        if agent.quiet >= ONSET_GAP {
            agent.speech = Duration::ZERO;
            agent.began = true;
        }
        agent.quiet = Duration::ZERO;
        agent.speech += FRAME;
        if matches!(self.state, State::Speaking { .. }) || !agent.began {
            return;
        }
        agent.answered = true;
        if let Some((label, caller_speech_end)) = self.asked.take() {
            let first = self.format.duration_of(level::sound_start(frame) as u64);
            let agent_first_audio = (at + first).max(caller_speech_end);
            self.turns.push(TurnTiming { label, caller_speech_end, agent_first_audio });
        }
    }

    /// Takes the next samples of the line; the line is over with the frame that holds its last.
    fn speak(&mut self, at: Duration, length: usize) -> Vec<i16> {
        let State::Speaking { spoken, next } = &mut self.state else { return vec![0; length] };
        let start = *next;
        let end = (start + length).min(spoken.samples.len());
        let mut frame = spoken.samples[start..end].to_vec();
        frame.resize(length, 0);
        *next = end;
        if (start..=end).contains(&spoken.sound_end) {
            let sound_end = self.format.duration_of((spoken.sound_end - start) as u64);
            self.asked = Some((spoken.label.clone(), at + sound_end));
        }
        if end == spoken.samples.len() {
            self.state = State::Listening { unanswered: Duration::ZERO };
        }
        frame
    }

    /// What to do while listening; `None` when the state is another one.
    fn decide(&mut self, length: usize) -> Option<Mic> {
        let agent = &self.agent;
        let turn_over = agent.answered && agent.quiet >= self.turn_gap;
        let due = match self.lines.front() {
            Some(Line::Wait(_) | Line::HangUp) => true,
            Some(Line::Say(_)) | None => turn_over,
            Some(Line::Interrupt { after, .. }) => {
                let speaking = agent.answered && agent.quiet < ONSET_GAP;
                turn_over || (speaking && agent.speech >= *after)
            }
        };
        if !due {
            return Some(self.wait(length));
        }
        match self.lines.pop_front() {
            Some(Line::Wait(left)) => self.state = State::Pausing { left },
            Some(Line::Say(spoken) | Line::Interrupt { spoken, .. }) => {
                self.agent.began = false;
                self.agent.answered = false;
                self.asked = None;
                self.state = State::Speaking { spoken, next: 0 };
            }
            Some(Line::HangUp) | None => return Some(Mic::HangUp),
        }
        None
    }

    fn wait(&mut self, length: usize) -> Mic {
        let silent = !self.agent.answered && self.agent.quiet >= ONSET_GAP;
        if let State::Listening { unanswered } = &mut self.state
            && silent
        {
            *unanswered += FRAME;
            if *unanswered > self.patience {
                return Mic::GiveUp;
            }
        }
        Mic::Frame(vec![0; length])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: AudioFormat = AudioFormat::pcm16(8_000);
    const FRAME_SAMPLES: usize = 160;

    /// A sound of so many milliseconds.
    fn sound(ms: usize) -> Vec<i16> {
        vec![5_000; ms * 8]
    }

    fn say(label: &str, ms: usize) -> Line {
        Line::Say(Spoken::new(label, sound(ms)))
    }

    /// Plays agent speech at the given stretches of milliseconds, and writes down when the caller
    /// spoke, and when and why it hung up.
    fn run(lines: Vec<Line>, agent: &[(u64, u64)]) -> (Vec<String>, Vec<TurnTiming>) {
        let mut options = CallerOptions::new("", FORMAT, lines);
        options.patience = Duration::from_secs(5);
        let mut script = Script::new(&mut options);
        let mut log = Vec::new();
        let mut speaking = false;
        for ms in (0..60_000).step_by(20) {
            let voiced = agent.iter().any(|(from, to)| (*from..*to).contains(&ms));
            let frame = vec![if voiced { 3_000 } else { 0 }; FRAME_SAMPLES];
            match script.frame(Duration::from_millis(ms), &frame) {
                Mic::Frame(frame) => {
                    let sounds = level::is_voiced(&frame);
                    if sounds != speaking {
                        log.push(format!("{ms} {}", if sounds { "speaks" } else { "stops" }));
                    }
                    speaking = sounds;
                }
                end @ (Mic::HangUp | Mic::GiveUp) => {
                    log.push(format!("{ms} {end:?}"));
                    break;
                }
            }
        }
        (log, script.into_turns())
    }

    fn turn(label: &str, end_ms: u64, first_ms: u64) -> TurnTiming {
        TurnTiming {
            label: label.into(),
            caller_speech_end: Duration::from_millis(end_ms),
            agent_first_audio: Duration::from_millis(first_ms),
        }
    }

    #[test]
    fn a_line_follows_the_agents_turn_and_the_call_ends_after_the_last_answer() {
        let (log, turns) = run(vec![say("one", 500)], &[(500, 1_500), (3_000, 4_000)]);
        assert_eq!(log, ["2180 speaks", "2680 stops", "4680 HangUp"]);
        assert_eq!(turns, [turn("one", 2_680, 3_000)]);
    }

    #[test]
    fn a_short_pause_of_the_agent_is_not_the_end_of_its_turn() {
        let (log, _) = run(vec![say("one", 500)], &[(0, 1_000), (1_600, 2_000), (5_000, 5_500)]);
        assert_eq!(log[0], "2680 speaks");
    }

    #[test]
    fn an_interruption_speaks_over_the_agent_and_waits_for_another_speech() {
        let after = Duration::from_millis(400);
        let stop = Line::Interrupt { after, spoken: Spoken::new("stop", sound(300)) };
        let (log, turns) = run(vec![stop], &[(1_000, 1_820), (2_300, 2_600)]);
        assert_eq!(log, ["1380 speaks", "1680 stops", "3280 HangUp"]);
        assert_eq!(turns, [turn("stop", 1_680, 2_300)]);
    }

    #[test]
    fn an_interruption_of_an_agent_that_stopped_before_is_an_ordinary_line() {
        let after = Duration::from_secs(2);
        let stop = Line::Interrupt { after, spoken: Spoken::new("stop", sound(300)) };
        let (log, _) = run(vec![stop], &[(0, 400)]);
        assert_eq!(log[0], "1080 speaks");
    }

    #[test]
    fn an_agent_that_talks_into_the_line_and_on_has_answered_at_its_end() {
        let (log, turns) = run(vec![say("one", 1_000)], &[(0, 500), (1_500, 3_000)]);
        assert_eq!(log[..2], ["1180 speaks", "2180 stops"]);
        assert_eq!(turns, [turn("one", 2_180, 2_180)]);
    }

    #[test]
    fn a_caller_runs_out_of_patience_with_a_silent_agent() {
        assert_eq!(run(vec![say("one", 500)], &[]).0, ["5000 GiveUp"]);
        let (log, turns) = run(vec![say("one", 500)], &[(0, 500)]);
        assert_eq!(log[1..], ["1680 stops", "6680 GiveUp"]);
        assert_eq!(turns, []);
    }

    #[test]
    fn waiting_and_hanging_up_take_no_agent() {
        let lines = vec![Line::Wait(Duration::from_secs(3)), Line::HangUp];
        assert_eq!(run(lines, &[]).0, ["3000 HangUp"]);
    }
}
