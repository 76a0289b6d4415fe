use offhook_testkit::tones;

use super::*;

/// An agent that is 500 ms away, and the time.
struct Line {
    caller: Caller,
    now_ms: u64,
    /// Frames of the agent that are due, and when.
    agent: Vec<(u64, Vec<u8>)>,
    spoken: Vec<u8>,
    is_over: bool,
}

const AGENT_MS: u64 = 500;

fn at(ms: u64) -> Moment {
    Moment(1_000_000_000 + ms * 1_000_000)
}

fn conduct(turns: u32, barge_in: f64) -> Conduct {
    Conduct {
        format: AudioFormat::mulaw(),
        speech: Speech::tones(AudioFormat::mulaw()),
        turns,
        barge_in,
        words: 8,
        patience: Duration::from_secs(3),
        is_greeted: false,
        seed: 1,
    }
}

impl Line {
    fn new(conduct: Conduct) -> Self {
        let caller = Caller::new(Arc::new(conduct), 0, at(0));
        Self { caller, now_ms: 0, agent: Vec::new(), spoken: Vec::new(), is_over: false }
    }

    /// Goes on for 20 ms.
    fn step(&mut self) {
        let due = self.agent.extract_if(.., |(due, _)| *due <= self.now_ms);
        for (due, audio) in due.collect::<Vec<_>>() {
            self.caller.hear(at(due), &audio);
        }
        match self.caller.step(at(self.now_ms)) {
            Step::Send(frame) => self.spoken.extend(&frame),
            Step::HangUp => self.is_over = true,
        }
        self.now_ms += 20;
    }

    /// Goes on until the caller has asked so many times; returns the end of its last speech.
    fn until_asked(&mut self, turns: usize) -> Moment {
        for _ in 0..1_000 {
            let asked = self.caller.measured.turns.get(turns - 1);
            if let Some(end) = asked.and_then(|turn| turn.speech_end) {
                return end;
            }
            self.step();
        }
        panic!("the caller did not ask {turns} times");
    }

    fn until_over(&mut self) {
        for _ in 0..1_000 {
            if self.is_over {
                return;
            }
            self.step();
        }
        panic!("the caller did not hang up");
    }

    /// The agent says this from half a second on, each frame in time.
    fn answer(&mut self, text: &str) {
        let format = AudioFormat::mulaw();
        let audio = format.encode(&tones::speak(text, 8_000));
        for (nth, frame) in audio.chunks(160).enumerate() {
            self.agent.push((self.now_ms + AGENT_MS + nth as u64 * 20, frame.to_vec()));
        }
    }

    fn measured(self) -> Measured {
        self.caller.measured()
    }
}

#[test]
fn a_caller_asks_hears_the_answer_out_and_hangs_up_after_its_last_turn() {
    let mut line = Line::new(conduct(2, 0.0));
    line.until_asked(1);
    line.answer("100 20 1 2 3 4 5 6 7 8.");
    let asked_at = line.now_ms;
    line.until_asked(2);
    assert!(line.now_ms >= asked_at + AGENT_MS + 2_000 + 200, "the answer was heard out");
    line.answer("100 21 1 2 3 4 5 6 7 8.");
    line.until_over();
    let words = tones::WireEar::new(AudioFormat::mulaw()).hear(&line.spoken);
    assert_eq!(tones::text_of(&words), "100 20 1901 1902 1903 100 21 1901 1902 1903");
    let measured = line.measured();
    assert_eq!(measured.wrong, Wrong::default());
    assert_eq!((measured.gaps.len(), measured.barge_ins.len()), (0, 0));
    for turn in &measured.turns {
        // The step that sent the last sample was 20 ms before the agent was told to answer.
        let latency = turn.answered.unwrap().since(turn.speech_end.unwrap());
        assert_eq!(latency, Duration::from_millis(AGENT_MS + 20));
        assert_eq!(turn.speech_end.unwrap().since(turn.onset), Duration::from_millis(1_140));
    }
}

#[test]
fn a_caller_who_is_greeted_hears_the_greeting_out_and_then_asks() {
    let mut line = Line::new(Conduct { is_greeted: true, ..conduct(1, 0.0) });
    line.answer("hello");
    let asked = line.until_asked(1);
    assert_eq!(line.caller.measured.greeted, Some(at(AGENT_MS)));
    assert!(asked.since(at(AGENT_MS)) > tones::WORD + GREETING_OVER + PAUSE_LEAST);
    line.answer("100 20 1 2 3 4 5 6 7 8.");
    line.until_over();
    assert!(line.caller.is_done());
    assert_eq!(line.measured().wrong, Wrong::default());
}

#[test]
fn a_caller_whom_nobody_greets_hangs_up() {
    let mut line = Line::new(Conduct { is_greeted: true, ..conduct(1, 0.0) });
    line.until_over();
    let measured = line.measured();
    assert_eq!((measured.greeted, measured.turns.len()), (None, 0));
}

#[test]
fn an_answer_that_does_not_come_is_lost_and_the_caller_asks_on() {
    let mut line = Line::new(conduct(2, 0.0));
    let asked = line.until_asked(1);
    let again = line.until_asked(2);
    assert!(again.since(asked) > Duration::from_secs(3));
    line.answer("100 21 1 2 3 4 5 6 7 8.");
    line.until_over();
    let measured = line.measured();
    assert_eq!(measured.turns.iter().map(|turn| turn.lost).collect::<Vec<_>>(), [true, false]);
    assert_eq!(measured.wrong, Wrong::default());
}

#[test]
fn words_that_are_left_out_or_come_twice_are_counted() {
    let mut line = Line::new(conduct(1, 0.0));
    line.until_asked(1);
    line.answer("100 20 1 2 2 3 6 7");
    line.until_over();
    assert_eq!(line.measured().wrong, Wrong { missing: 3, doubled: 1, foreign: 0 });
}

#[test]
fn an_answer_that_lacks_its_first_word_is_an_answer() {
    let mut line = Line::new(conduct(1, 0.0));
    line.until_asked(1);
    line.answer("20 1 2 3 4 5 6 7 8");
    line.until_over();
    let measured = line.measured();
    assert!(measured.turns[0].answered.is_some());
    assert_eq!(measured.wrong, Wrong { missing: 1, ..Wrong::default() });
}

#[test]
fn an_interruption_is_measured_from_its_onset_to_word_and_silence() {
    let mut line = Line::new(conduct(2, 1.0));
    line.until_asked(1);
    line.answer("100 20 1 2 3 4 5 6 7 8.");
    while line.caller.measured.turns.len() < 2 {
        line.step();
    }
    let onset = line.caller.measured.turns[1].onset;
    let answered = line.caller.measured.turns[0].answered.unwrap();
    assert!(onset.since(answered) >= INTERRUPTS_AFTER);
    // The server hears it 100 ms later, and sends nothing more.
    let cut = line.now_ms + 100;
    line.agent.retain(|(due, _)| *due < cut);
    line.caller.told_of_interruption(at(cut));
    line.until_asked(2);
    line.answer("100 21 1 2 3 4 5 6 7 8.");
    line.until_over();
    let measured = line.measured();
    let [barge_in] = measured.barge_ins[..] else { panic!("{:?}", measured.barge_ins) };
    assert_eq!((barge_in.onset, barge_in.told), (onset, Some(at(cut))));
    let silence = barge_in.silent.unwrap().since(onset);
    assert!(silence <= Duration::from_millis(140), "{silence:?}");
    assert_eq!(measured.wrong, Wrong::default());
    assert!(measured.gaps.is_empty());
}

#[test]
fn an_agent_that_speaks_on_was_not_silenced() {
    let mut line = Line::new(conduct(2, 1.0));
    line.until_asked(1);
    line.answer("100 20 1 2 3 4 5 6 7 8.");
    line.until_asked(2);
    line.until_over();
    let measured = line.measured();
    assert_eq!(measured.barge_ins.len(), 1);
    assert_eq!((measured.barge_ins[0].told, measured.barge_ins[0].silent), (None, None));
    assert!(measured.turns[1].lost);
}

#[test]
fn with_recordings_any_sound_is_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("question.wav");
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    tones::speak("hello", 8_000)
        .into_iter()
        .for_each(|sample| writer.write_sample(sample).unwrap());
    writer.finalize().unwrap();
    let speech = Speech::read(&[path], AudioFormat::mulaw()).unwrap();
    let mut line = Line::new(Conduct { speech, ..conduct(1, 0.0) });
    line.until_asked(1);
    line.answer("anything at all");
    line.until_over();
    let measured = line.measured();
    let turn = &measured.turns[0];
    assert_eq!(
        turn.answered.unwrap().since(turn.speech_end.unwrap()),
        Duration::from_millis(AGENT_MS + 20)
    );
    assert_eq!(measured.wrong, Wrong::default());
}
