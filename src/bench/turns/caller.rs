//! One caller of the bench of turns: speaks its line to noise, does what it does over the answer,
//! and writes down when. No I/O and no clock of its own.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use offhook_media::AudioFormat;
use serde_json::{Value, json};

use super::{
    super::{clock::Moment, dice::Dice, phrase::FRAME},
    cases::Case,
    category::Over,
    ears::{Ears, Span},
    utterance::Utterance,
};

/// What all callers of a bench share.
#[derive(Debug)]
pub struct Conduct {
    pub format: AudioFormat,
    /// Numbers of an answer.
    pub answer_words: u32,
    /// The numbers as echo.
    pub echoes: Arc<[Vec<i16>]>,
    /// How likely the transcriber makes a word of one that came back.
    pub echo_words: f64,
    pub seed: u64,
}

/// Silence of the agent after which the caller takes it to be done.
const AGENT_DONE: Duration = Duration::from_millis(800);

/// Longest wait for the agent, for its greeting and for each answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long an agent that was silenced may take to go on before the caller gives it up; more than what
/// counts as in time.
const GIVES_UP: Duration = Duration::from_secs(5);

/// How long the caller listens to what it waited for, to see whether it stays.
const LISTENS: Duration = Duration::from_millis(600);

/// The longest call, whatever happens in it.
const CALL_MAX: Duration = Duration::from_secs(60);

/// The transcriber is told of a line this many frames before it begins.
const LEAD: u32 = 5;

/// When the caller said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    pub onset: Moment,
    /// Its last sound was sent; none where the call ended before.
    pub done: Option<Moment>,
}

/// What happened in a call, as its caller knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// The agent was audible.
    pub spans: Vec<Span>,
    /// Numbers that the agent said.
    pub words: Vec<(Moment, u32)>,
    pub ask: Option<Said>,
    pub over: Option<Said>,
    /// The server said that the agent was interrupted.
    pub told: Vec<Moment>,
}

/// What the caller does with the next 20 ms.
#[derive(Debug, PartialEq)]
pub enum Step {
    Send(Bytes),
    HangUp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Ask,
    Over,
}

enum Doing {
    /// Hears the agent's greeting out.
    Greeting,
    Waiting {
        frames: u32,
        part: Part,
    },
    Speaking {
        part: Part,
        at: usize,
    },
    Listening,
}

pub struct Caller {
    case: Arc<Case>,
    conduct: Arc<Conduct>,
    dice: Dice,
    began: Moment,
    /// Frames sent.
    frames: u32,
    doing: Doing,
    ears: Ears,
    /// Samples that still come back as echo, from the next frame on.
    echo: VecDeque<i16>,
    /// Lines of the script that the transcriber was not told.
    lines: Vec<Value>,
    timeline: Timeline,
}

impl Caller {
    pub fn new(case: Arc<Case>, conduct: Arc<Conduct>, now: Moment) -> Self {
        Self {
            dice: Dice::of(conduct.seed, u64::from(case.nth) + 3_000_000),
            began: now,
            frames: 0,
            doing: Doing::Greeting,
            ears: Ears::new(conduct.format, now),
            echo: VecDeque::new(),
            lines: Vec::new(),
            timeline: Timeline::default(),
            case,
            conduct,
        }
    }

    /// What to send at this moment; asked every 20 ms.
    pub fn step(&mut self, now: Moment) -> Step {
        let words = self.ears.listen(now);
        self.come_back(now, &words);
        self.decide(now);
        if self.is_over(now) {
            return Step::HangUp;
        }
        let samples = self.conduct.format.samples_in(FRAME) as usize;
        let mut frame = vec![0i32; samples];
        self.speak(now, &mut frame);
        let from = self.case.noise_from + self.frames as usize * samples;
        for (index, sample) in frame.iter_mut().enumerate() {
            let noise = self.case.noise[(from + index) % self.case.noise.len()];
            let echo = self.echo.pop_front().unwrap_or_default();
            *sample += (f32::from(noise) * self.case.noise_gain) as i32 + i32::from(echo);
        }
        self.frames += 1;
        let frame: Vec<i16> = frame
            .into_iter()
            .map(|sample| sample.clamp(i16::MIN.into(), i16::MAX.into()) as i16)
            .collect();
        Step::Send(self.conduct.format.encode(&frame))
    }

    /// Takes audio of the agent.
    pub fn hear(&mut self, now: Moment, audio: &[u8]) {
        let words = self.ears.hear(now, audio);
        self.come_back(now, &words);
    }

    /// The server says that the agent was interrupted: what has not been played is dropped.
    pub fn told_of_interruption(&mut self, now: Moment) {
        self.timeline.told.push(now);
        self.ears.clear(now);
    }

    /// What the transcriber has to be told, for `POST /fakes/scripts`.
    pub fn lines(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.lines)
    }

    /// What happened, once the call is over.
    pub fn timeline(mut self) -> Timeline {
        self.timeline.spans = self.ears.spans;
        self.timeline.words = self.ears.words;
        self.timeline
    }

    fn utterance(&self, part: Part) -> Arc<Utterance> {
        match (part, &self.case.over) {
            (Part::Over, Some(over)) => over.utterance.clone(),
            (Part::Ask | Part::Over, _) => self.case.ask.clone(),
        }
    }

    fn decide(&mut self, now: Moment) {
        let over = self.case.over.as_ref();
        match self.doing {
            Doing::Greeting if self.ears.quiet(now).is_some_and(|quiet| quiet > AGENT_DONE) => {
                let thinks = (self.case.thinks.as_millis() / FRAME.as_millis()) as u32;
                self.doing = Doing::Waiting { frames: thinks.max(LEAD), part: Part::Ask };
            }
            Doing::Listening if self.timeline.over.is_none() => {
                if over.is_some_and(|over| self.answer_words() >= over.after_words) {
                    self.doing = Doing::Waiting { frames: LEAD, part: Part::Over };
                }
            }
            Doing::Greeting | Doing::Waiting { .. } | Doing::Speaking { .. } | Doing::Listening => {
            }
        }
        if let Doing::Waiting { frames, part } = &mut self.doing {
            let (left, part) = (*frames, *part);
            *frames = left.saturating_sub(1);
            if left == LEAD {
                self.tell(now, part);
            }
            if left == 0 {
                self.doing = Doing::Speaking { part, at: 0 };
                let said = Some(Said { onset: now, done: None });
                match part {
                    Part::Ask => self.timeline.ask = said,
                    Part::Over => self.timeline.over = said,
                }
            }
        }
    }

    /// Tells the transcriber of a line that begins in [`LEAD`] frames.
    fn tell(&mut self, now: Moment, part: Part) {
        let begins = now + FRAME * LEAD;
        self.lines.push(json!({
            "script": self.case.script(),
            "at_ms": (FRAME * (self.frames + LEAD)).as_millis() as u64,
            "at_ns": begins.0,
            "words": self.utterance(part).json(),
        }));
    }

    fn speak(&mut self, now: Moment, frame: &mut [i32]) {
        let Doing::Speaking { part, at } = self.doing else { return };
        let utterance = self.utterance(part);
        let rest = &utterance.samples[at..];
        for (sample, said) in frame.iter_mut().zip(rest) {
            *sample = i32::from(*said);
        }
        if rest.len() > frame.len() {
            self.doing = Doing::Speaking { part, at: at + frame.len() };
            return;
        }
        self.doing = Doing::Listening;
        let said = match part {
            Part::Ask => &mut self.timeline.ask,
            Part::Over => &mut self.timeline.over,
        };
        if let Some(said) = said {
            said.done = Some(now);
        }
    }

    /// Numbers of the answer so far.
    fn answer_words(&self) -> u32 {
        let Some(done) = self.timeline.ask.and_then(|ask| ask.done) else { return 0 };
        self.ears.words.iter().filter(|(at, _)| *at >= done).count() as u32
    }

    /// The agent's words come back, 20 dB down: as words of a voice, as no detector takes the tones of
    /// the fake voice for one.
    fn come_back(&mut self, now: Moment, words: &[u32]) {
        if !self.case.echoes {
            return;
        }
        for number in words {
            let index = (*number as usize).checked_sub(1);
            let Some(spoken) = index.and_then(|index| self.conduct.echoes.get(index)) else {
                continue;
            };
            for (index, sample) in spoken.iter().enumerate() {
                match self.echo.get_mut(index) {
                    Some(before) => *before = before.saturating_add(*sample),
                    None => self.echo.push_back(*sample),
                }
            }
            if self.dice.share() < self.conduct.echo_words {
                let ms = self.conduct.format.duration_of(spoken.len() as u64).as_millis() as u64;
                let word = json!({"text": number.to_string(), "start_ms": 0, "end_ms": ms});
                self.lines.push(json!({
                    "script": self.case.script(),
                    "at_ms": (FRAME * self.frames).as_millis() as u64,
                    "at_ns": now.0,
                    "words": [word],
                }));
            }
        }
    }

    fn is_over(&self, now: Moment) -> bool {
        let age = now.since(self.began);
        let (Doing::Listening, Some(done)) =
            (&self.doing, self.timeline.ask.and_then(|ask| ask.done))
        else {
            let in_vain = matches!(self.doing, Doing::Greeting) && self.ears.spans.is_empty();
            return age > CALL_MAX || (in_vain && age > PATIENCE);
        };
        let answered = |since: Moment| {
            let first = self.ears.spans.iter().find(|span| span.from >= since);
            first.is_some_and(|span| now.since(span.from) > LISTENS)
        };
        let unanswered = !self.ears.spans.iter().any(|span| span.to > done);
        if age > CALL_MAX || (unanswered && now.since(done) > PATIENCE) {
            return true;
        }
        let over_done = self.timeline.over.and_then(|over| over.done);
        let quiet = self.ears.quiet(now).unwrap_or_default();
        let is_complete =
            self.ears.words.last().is_some_and(|(_, last)| *last == self.conduct.answer_words);
        match (&self.case.over, over_done) {
            (None, _) if !self.case.echoes => answered(done),
            (Some(over), Some(over_done)) if over.kind == Over::Words => {
                answered(over_done) || now.since(over_done.max(done)) > PATIENCE
            }
            (Some(_) | None, _) => {
                let heard_out = is_complete && quiet > AGENT_DONE;
                heard_out || (!unanswered && quiet > GIVES_UP)
            }
        }
    }
}
