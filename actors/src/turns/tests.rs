use offhook_core::SpeechId;

use super::*;

const TURN: TurnId = TurnId(1);
const SPEECH: SpeechId = SpeechId(1);

fn ms(ms: u64) -> CallTime {
    CallTime::from_millis(ms)
}

/// A turn of which every step comes with a delay of its own; `first` was said before it.
fn answered(first: impl Fn(&mut TurnLog)) -> TurnLog {
    let mut log = TurnLog::default();
    first(&mut log);
    let told = |log: &mut TurnLog, at: u64, handled: u64, event: Event| {
        log.arrived(ms(at), &event);
        log.note_input(&JournalEntry { at: ms(handled), input: CallInput::Event(event) }, None);
    };
    told(&mut log, 1_060, 1_060, Event::SpeechStopped { at: ms(1_000) });
    let text = "Hello.".to_owned();
    told(&mut log, 1_200, 1_203, Event::Transcript { text: text.clone(), is_final: true });
    // The silence that is waited for ends at 1,400; the alarm rings 2 ms late.
    let alarm = JournalEntry { at: ms(1_402), input: CallInput::Deadline };
    log.note_input(&alarm, Some(ms(1_400)));
    log.note_command(ms(1_402), &Command::Generate { turn: TURN });
    log.model_asked(ms(1_403), TURN);
    let reply = |text: &str| Event::ReplyText { turn: TURN, text: text.into() };
    log.arrived(ms(1_700), &reply("Good "));
    log.note_command(ms(1_701), &Command::Speak { speech: SPEECH, text: "Good ".into() });
    log.arrived(ms(1_750), &reply("morning."));
    log.note_command(ms(1_752), &Command::Speak { speech: SPEECH, text });
    log.voice_asked(ms(1_754));
    log.arrived(ms(1_800), &reply("How are you?"));
    log.voice_asked(ms(1_810));
    log.first_audio(ms(2_000));
    log.arrived(ms(2_001), &Event::SpeechBegan { speech: SPEECH });
    log
}

#[test]
fn overhead_is_what_neither_a_provider_nor_a_configured_wait_took() {
    let log = answered(|_| {});
    let turn = log.answered().next().unwrap();
    assert_eq!(turn.total(), Some(Duration::from_millis(1_001)));
    // 3 ms until the model was asked, 4 ms from its words to the voice, 1 ms to the caller.
    assert_eq!(turn.overhead(), Some(Duration::from_millis(8)));
}

#[test]
fn a_reply_of_one_piece_is_whole_when_it_ends() {
    let mut edges = Edges::released(Some(ms(100)));
    edges.model_asked(ms(101));
    edges.reply_ended(ms(150));
    assert_eq!(edges.overhead(ms(900), ms(901)), None, "tools alone");
    edges.text_arrived(ms(200));
    edges.reply_ended(ms(210));
    edges.voice_asked(ms(212), false);
    edges.reply_ended(ms(300));
    assert_eq!(edges.overhead(ms(900), ms(901)), Some(Duration::from_millis(4)));
}

#[test]
fn a_turn_that_waits_for_an_earlier_speech_has_no_overhead_to_speak_of() {
    let earlier = SpeechId(0);
    let log = answered(|log| log.arrived(ms(500), &Event::SpeechBegan { speech: earlier }));
    assert_eq!(log.answered().next().unwrap().overhead(), None);
    let log = answered(|log| {
        log.arrived(ms(500), &Event::SpeechBegan { speech: earlier });
        log.arrived(ms(900), &Event::SpeechHeard { speech: earlier });
    });
    assert!(log.answered().next().unwrap().overhead().is_some());
}

#[test]
fn an_interruption_is_counted_from_the_onset_to_the_clearing_of_the_leg() {
    let mut barge_in = BargeIn::default();
    let onset = CallInput::Event(Event::SpeechStarted { at: ms(1_000) });
    barge_in.note_input(&onset);
    barge_in.note_input(&CallInput::Deadline);
    barge_in.cut();
    assert_eq!(barge_in.cleared(ms(1_130)), Some(Duration::from_millis(130)));
    assert_eq!(barge_in.cleared(ms(1_140)), None);

    let asked = CallInput::Event(Event::LegConnected);
    barge_in.note_input(&onset);
    barge_in.note_input(&asked);
    barge_in.cut();
    assert_eq!(barge_in.cleared(ms(1_200)), None, "nobody interrupted");
}

const SUPPOSED: TurnId = TurnId(1 << 31);

#[test]
fn a_turn_that_was_foreseen_knows_what_that_saved() {
    let mut log = TurnLog::default();
    log.note_command(ms(1_000), &Command::Speculate { turn: SUPPOSED });
    log.note_command(ms(1_300), &Command::Adopt { turn: TURN, speculation: SUPPOSED });
    // An interruption of it later is none of the speculation's.
    log.note_command(ms(2_000), &Command::CancelReply { turn: SUPPOSED });
    assert_eq!(log.turns[0].saved(), Some(Duration::from_millis(300)));
    assert_eq!(log.turns[0].generate, Some(ms(1_300)));
}

#[test]
fn a_speculation_that_was_dropped_saves_nothing() {
    let mut log = TurnLog::default();
    log.note_command(ms(1_000), &Command::Speculate { turn: SUPPOSED });
    log.note_command(ms(1_100), &Command::CancelReply { turn: SUPPOSED });
    log.note_command(ms(1_300), &Command::Generate { turn: TURN });
    assert_eq!(log.turns[0].saved(), None);
    assert_eq!(log.speculation, None);
}

#[test]
fn overhead_of_a_turn_that_was_foreseen_counts_from_the_end_of_the_silence() {
    let mut log = TurnLog::default();
    log.note_command(ms(1_000), &Command::Speculate { turn: SUPPOSED });
    log.arrived(ms(1_200), &Event::ReplyText { turn: SUPPOSED, text: "Good morning.".into() });
    let alarm = JournalEntry { at: ms(1_402), input: CallInput::Deadline };
    log.note_input(
        &JournalEntry {
            at: ms(1_050),
            input: CallInput::Event(Event::SpeechStopped { at: ms(1_000) }),
        },
        None,
    );
    log.note_input(&alarm, Some(ms(1_400)));
    log.note_command(ms(1_402), &Command::Adopt { turn: TURN, speculation: SUPPOSED });
    let text = "Good morning.".to_owned();
    log.note_command(ms(1_402), &Command::Speak { speech: SPEECH, text });
    log.voice_asked(ms(1_404));
    log.first_audio(ms(1_600));
    log.arrived(ms(1_601), &Event::SpeechBegan { speech: SPEECH });
    assert_eq!(log.answered().next().unwrap().overhead(), Some(Duration::from_millis(5)));
}
