//! One caller: speaks its turns in real time, listens, interrupts, gives up waiting. No I/O and no
//! clock of its own, so that what it measures can be tested.

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use offhook_media::AudioFormat;

use super::{
    answer::{Answer, Wrong},
    clock::Moment,
    dice::Dice,
    hearing::{Heard, Hearing},
    phrase::{FRAME, Phrase, Speech},
    playback::{GAP, Playback},
    samples::Samples,
};

/// What every caller of a bench does.
#[derive(Clone, Debug)]
pub struct Conduct {
    pub format: AudioFormat,
    pub speech: Speech,
    /// Turns of a call.
    pub turns: u32,
    /// Share of the answers that are interrupted.
    pub barge_in: f64,
    /// Words of an answer behind the caller's numbers.
    pub words: u32,
    /// Longest wait for an answer.
    pub patience: Duration,
    /// The agent speaks first, and is heard out.
    pub is_greeted: bool,
    pub seed: u64,
}

/// How long a caller thinks before it speaks: callers of one bench shall not speak in step.
const PAUSE_LEAST: Duration = Duration::from_millis(200);
const PAUSE_MOST: Duration = Duration::from_millis(900);

/// How long a caller listens to an answer that it interrupts: two or three words.
const INTERRUPTS_AFTER: Duration = Duration::from_millis(600);

/// Silence after which an answer is over, if its last word did not come: longer than voices pause
/// between sentences.
const ANSWER_OVER: Duration = Duration::from_secs(1);

/// Silence after which a greeting is over.
const GREETING_OVER: Duration = Duration::from_millis(300);

/// Callers have numbers from here on: above what answers count to, and below what makes the fake
/// model call a tool.
const CALLERS_FROM: u32 = 100;
const CALLERS: u32 = 1_800;

/// Turns have numbers from here on: above what answers count to, below the callers'.
const TURNS_FROM: u32 = 20;
const TURNS: u32 = CALLERS_FROM - TURNS_FROM;

/// The most words of an answer, so that its numbers are nobody's turn.
pub const WORDS_MAX: u32 = TURNS_FROM - 1;

/// What a caller asked and heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// What the caller says first in it, by which fakes know it.
    pub caller: u32,
    pub number: u32,
    /// The first audible sample was sent.
    pub onset: Moment,
    /// The last one was sent.
    pub speech_end: Option<Moment>,
    /// The first audible sample of the answer arrived.
    pub answered: Option<Moment>,
    /// The caller waited in vain.
    pub lost: bool,
}

/// An interruption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BargeIn {
    /// The caller's first audible sample was sent.
    pub onset: Moment,
    /// The server said that the agent was interrupted.
    pub told: Option<Moment>,
    /// The agent's last audible sample was played; none where it spoke on.
    pub silent: Option<Moment>,
}

/// Everything that one caller measured.
#[derive(Debug, Default)]
pub struct Measured {
    /// The first audible sample of the greeting arrived.
    pub greeted: Option<Moment>,
    pub turns: Vec<Turn>,
    pub barge_ins: Vec<BargeIn>,
    pub wrong: Wrong,
    pub gaps: Vec<Duration>,
    pub ahead: Samples,
}

/// What the caller does with the next 20 ms.
#[derive(Debug, PartialEq)]
pub enum Step {
    Send(Bytes),
    HangUp,
}

pub struct Caller {
    conduct: Arc<Conduct>,
    silence: Bytes,
    dice: Dice,
    number: u32,
    /// Turns that were begun.
    begun: u32,
    doing: Doing,
    playback: Playback,
    /// None where the agent does not speak in tones.
    hearing: Option<Hearing>,
    listening: Listening,
    measured: Measured,
}

enum Doing {
    /// Hears the greeting.
    Answered {
        at: Moment,
    },
    Pausing {
        frames: u32,
    },
    Speaking {
        phrase: Phrase,
        at: usize,
    },
    Listening {
        interrupts: bool,
    },
    Done,
}

/// Where the ear is in the answers.
#[derive(Default)]
struct Listening {
    /// The answer that is being heard; of the turn before, while the caller interrupts it.
    answer: Option<Answer>,
    /// The caller's own number, heard while its answer is awaited.
    opening: Option<Heard>,
}

impl Caller {
    /// The caller of the `nth` call of a bench.
    pub fn new(conduct: Arc<Conduct>, nth: u32, now: Moment) -> Self {
        let mut dice = Dice::of(conduct.seed, u64::from(nth));
        let format = conduct.format;
        Self {
            silence: format.silence(format.samples_in(FRAME)),
            number: CALLERS_FROM + nth % CALLERS,
            begun: 0,
            doing: match conduct.is_greeted {
                true => Doing::Answered { at: now },
                false => {
                    Doing::Pausing { frames: frames_in(dice.between(PAUSE_LEAST, PAUSE_MOST)) }
                }
            },
            playback: Playback::new(format, now),
            hearing: match conduct.speech {
                Speech::Tones { .. } => Some(Hearing::new(format)),
                Speech::Recordings(_) => None,
            },
            listening: Listening::default(),
            measured: Measured::default(),
            dice,
            conduct,
        }
    }

    /// What to send at this moment; asked every 20 ms.
    pub fn step(&mut self, now: Moment) -> Step {
        if let Doing::Listening { interrupts } = self.doing {
            self.listen(now, interrupts);
        }
        if let Doing::Answered { at } = self.doing {
            self.hear_greeting(now, at);
        }
        match &mut self.doing {
            Doing::Answered { .. } => Step::Send(self.silence.clone()),
            Doing::Pausing { frames: 0 } => Step::Send(self.speak(now)),
            Doing::Pausing { frames } => {
                *frames -= 1;
                Step::Send(self.silence.clone())
            }
            Doing::Speaking { .. } => Step::Send(self.go_on_speaking(now)),
            Doing::Listening { .. } => Step::Send(self.silence.clone()),
            Doing::Done => Step::HangUp,
        }
    }

    /// Takes audio of the agent.
    pub fn hear(&mut self, now: Moment, audio: &[u8]) {
        let samples = self.conduct.format.decode(audio);
        let was_dry = now.since(self.playback.plays_until()) > GAP;
        let audible = self.playback.receive(now, &samples);
        if matches!(self.doing, Doing::Answered { .. }) {
            if audible {
                self.measured.greeted.get_or_insert(now);
            }
            return;
        }
        if let Some(hearing) = &mut self.hearing {
            // A word that was cut off is none, and does not run into the next.
            let mut words = if was_dry { hearing.pause(now) } else { Vec::new() };
            words.extend(hearing.hear(now, audio));
            for word in words {
                self.hear_word(word);
            }
        } else if audible && let Some(turn) = self.awaited_turn() {
            turn.answered = Some(now);
        }
    }

    /// What came of the agent and was not played is forgotten: its carrier was told so.
    pub fn forget(&mut self, now: Moment) {
        self.playback.clear(now);
        self.told_of_interruption(now);
    }

    /// Whether the caller said and heard everything, and hung up.
    pub fn is_done(&self) -> bool {
        matches!(self.doing, Doing::Done)
    }

    /// The server says that the agent was interrupted.
    pub fn told_of_interruption(&mut self, now: Moment) {
        if let Some(barge_in) = self.measured.barge_ins.last_mut() {
            barge_in.told.get_or_insert(now);
        }
    }

    /// What was measured, once the call is over.
    pub fn measured(mut self) -> Measured {
        if let Some(answer) = self.listening.answer.take() {
            self.measured.wrong.add(answer.cut_off());
        }
        self.measured.gaps = self.playback.gaps;
        self.measured.ahead = self.playback.ahead;
        self.measured
    }

    /// Speaks after the greeting, and hangs up without one.
    fn hear_greeting(&mut self, now: Moment, answered: Moment) {
        let is_over = now >= self.playback.plays_until()
            && now.since(self.playback.audible_until()) > GREETING_OVER;
        match self.measured.greeted {
            Some(_) if is_over => self.think(),
            None if now.since(answered) > self.conduct.patience => self.doing = Doing::Done,
            Some(_) | None => {}
        }
    }

    /// Pauses before the next turn; after the last, the call is done.
    fn think(&mut self) {
        self.doing = match self.begun < self.conduct.turns {
            true => {
                Doing::Pausing { frames: frames_in(self.dice.between(PAUSE_LEAST, PAUSE_MOST)) }
            }
            false => Doing::Done,
        };
    }

    /// Begins the next turn.
    fn speak(&mut self, now: Moment) -> Bytes {
        let turn = TURNS_FROM + self.begun % TURNS;
        let phrase = self.conduct.speech.phrase(self.number, turn, self.begun, self.conduct.format);
        self.begun += 1;
        self.playback.caller_speaks();
        self.measured.turns.push(Turn {
            caller: self.number,
            number: turn,
            onset: now,
            speech_end: None,
            answered: None,
            lost: false,
        });
        self.doing = Doing::Speaking { phrase, at: 0 };
        self.go_on_speaking(now)
    }

    fn go_on_speaking(&mut self, now: Moment) -> Bytes {
        let Doing::Speaking { phrase, at } = &mut self.doing else { return self.silence.clone() };
        let frame = phrase.frame(*at);
        let turn = self.measured.turns.last_mut().expect("speaking began a turn");
        if *at == phrase.first_audible {
            turn.onset = now;
            if let Some(barge_in) = self.measured.barge_ins.last_mut()
                && barge_in.onset == Moment::default()
            {
                barge_in.onset = now;
            }
        }
        if *at == phrase.last_audible {
            turn.speech_end = Some(now);
            self.stop_speaking(now);
        } else {
            *at += 1;
        }
        frame
    }

    fn stop_speaking(&mut self, now: Moment) {
        if let Some(barge_in) = self.measured.barge_ins.last_mut()
            && self.measured.turns.last().is_some_and(|turn| turn.onset == barge_in.onset)
            && self.playback.audible_until() <= now
        {
            barge_in.silent = Some(self.playback.audible_until().max(barge_in.onset));
        }
        self.playback.caller_speaks();
        let has_next = self.begun < self.conduct.turns;
        let interrupts = has_next && self.dice.share() < self.conduct.barge_in;
        self.doing = Doing::Listening { interrupts };
    }

    /// Decides whether it is the caller's turn again.
    fn listen(&mut self, now: Moment, interrupts: bool) {
        let turn = self.measured.turns.last_mut().expect("a turn is listened to");
        match (turn.speech_end, turn.answered) {
            (Some(asked), None) if now.since(asked) > self.conduct.patience => {
                turn.lost = true;
                self.conclude(now);
            }
            (_, Some(answered)) if interrupts && now.since(answered) >= INTERRUPTS_AFTER => {
                self.measured.barge_ins.push(BargeIn {
                    onset: Moment::default(),
                    told: None,
                    silent: None,
                });
                self.doing = Doing::Pausing { frames: 0 };
            }
            (_, Some(_)) if self.is_over(now) => self.conclude(now),
            (_, Some(_) | None) => {}
        }
    }

    fn is_over(&self, now: Moment) -> bool {
        let is_complete = self.listening.answer.as_ref().is_some_and(Answer::is_complete);
        let all_played = now >= self.playback.plays_until();
        all_played && (is_complete || now.since(self.playback.audible_until()) > ANSWER_OVER)
    }

    /// Ends a turn that was heard out, or lost.
    fn conclude(&mut self, now: Moment) {
        if let Some(hearing) = &mut self.hearing {
            for word in hearing.pause(now) {
                self.hear_word(word);
            }
        }
        let turn = self.measured.turns.last().expect("a turn is concluded");
        // The last word alone of a lost answer may have been what was waited for.
        if let Some(answer) = self.listening.answer.take_if(|_| !turn.lost) {
            self.measured.wrong.add(answer.heard_out());
        }
        self.think();
    }

    /// The turn whose answer has not begun.
    fn awaited_turn(&mut self) -> Option<&mut Turn> {
        let turn = self.measured.turns.last_mut()?;
        (turn.speech_end.is_some() && turn.answered.is_none() && !turn.lost).then_some(turn)
    }

    /// An answer begins with the caller's number and the turn's; either shows it.
    fn hear_word(&mut self, heard: Heard) {
        let (caller, words) = (self.number, self.conduct.words);
        let Some(turn) = self.awaited_turn() else { return self.go_on_hearing(heard) };
        let number = turn.number;
        if heard.number == Some(number) {
            let opening = self.listening.opening.take();
            let begins = opening.unwrap_or(heard).arrived;
            let mut answer = Answer::to(caller, number, words);
            if opening.is_some() {
                answer.hear(Some(caller));
            }
            answer.hear(heard.number);
            if let Some(turn) = self.awaited_turn() {
                turn.answered = Some(begins);
            }
            if let Some(before) = self.listening.answer.replace(answer) {
                self.measured.wrong.add(before.cut_off());
            }
            return;
        }
        if let Some(opening) = self.listening.opening.take() {
            self.go_on_hearing(opening);
        }
        if heard.number == Some(caller) {
            self.listening.opening = Some(heard);
        } else {
            self.go_on_hearing(heard);
        }
    }

    fn go_on_hearing(&mut self, heard: Heard) {
        match &mut self.listening.answer {
            Some(answer) => answer.hear(heard.number),
            None => self.measured.wrong.foreign += 1,
        }
    }
}

fn frames_in(time: Duration) -> u32 {
    (time.as_millis() / FRAME.as_millis()) as u32
}
