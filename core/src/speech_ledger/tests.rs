use proptest::{collection::vec, prelude::*};

use super::*;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn ledger(text: &str, audio: Duration) -> SpeechLedger {
    let mut ledger = SpeechLedger::new();
    ledger.spoken(text);
    ledger.audio(audio);
    ledger
}

fn complete(text: &str, audio: Duration) -> SpeechLedger {
    let mut ledger = ledger(text, audio);
    ledger.text_done();
    ledger.audio_done();
    ledger
}

fn timed(ledger: &mut SpeechLedger, words: &[(&str, u64, u64)]) {
    ledger.words(words.iter().map(|&(word, from, to)| (word.into(), ms(from), ms(to))));
}

#[test]
fn before_any_audio_was_heard_nothing_was() {
    let ledger = complete("Hello there", ms(1_000));
    assert_eq!(ledger.heard(Duration::ZERO), "");
    assert_eq!(ledger.remaining(Duration::ZERO), "Hello there");
}

#[test]
fn a_speech_heard_to_its_end_was_heard_whole() {
    let ledger = complete("Hello there, Ann. ", ms(1_000));
    assert_eq!(ledger.heard(ms(1_000)), "Hello there, Ann.");
    assert_eq!(ledger.remaining(ms(1_000)), "");
}

#[test]
fn without_timings_the_words_are_spread_over_the_audio() {
    // 20 characters in 4 s: 5 a second.
    let ledger = complete("aaaa bbbb cccc dddd.", ms(4_000));
    assert_eq!(ledger.heard(ms(300)), "");
    assert_eq!(ledger.heard(ms(500)), "aaaa");
    assert_eq!(ledger.heard(ms(1_350)), "aaaa");
    assert_eq!(ledger.heard(ms(1_450)), "aaaa bbbb");
    assert_eq!(ledger.remaining(ms(1_450)), "cccc dddd.");
}

#[test]
fn while_audio_is_still_coming_a_usual_rate_is_assumed() {
    // 15 characters a second.
    let ledger = ledger("aaaa bbbb cccc dddd eeee ffff", ms(3_000));
    assert_eq!(ledger.heard(ms(500)), "aaaa bbbb");
    assert_eq!(ledger.heard(ms(1_000)), "aaaa bbbb cccc");
}

#[test]
fn no_more_is_heard_than_audio_came() {
    let ledger = ledger("aaaa bbbb cccc dddd", ms(300));
    assert_eq!(ledger.heard(ms(60_000)), "aaaa");
}

#[test]
fn timed_words_are_heard_from_their_middle_on() {
    let mut ledger = ledger("Well, that is 555.", ms(3_000));
    timed(&mut ledger, &[("Well", 0, 1_000), ("that", 1_500, 1_700), ("is", 1_700, 1_900)]);
    assert_eq!(ledger.heard(ms(300)), "");
    assert_eq!(ledger.heard(ms(900)), "Well,");
    assert_eq!(ledger.heard(ms(1_550)), "Well,");
    assert_eq!(ledger.heard(ms(1_650)), "Well, that");
    assert_eq!(ledger.remaining(ms(1_850)), "555.");
}

#[test]
fn beyond_the_timed_words_the_rest_is_estimated() {
    let mut ledger = complete("one two three four", ms(4_000));
    timed(&mut ledger, &[("one", 0, 500), ("two", 500, 1_000)]);
    assert_eq!(ledger.heard(ms(1_100)), "one two");
    assert_eq!(ledger.heard(ms(2_500)), "one two three");
    assert_eq!(ledger.heard(ms(4_000)), "one two three four");
}

#[test]
fn words_that_are_spoken_otherwise_than_written_are_skipped() {
    let mut ledger = ledger("At 3 pm, Dr. Lee", ms(3_000));
    timed(
        &mut ledger,
        &[
            ("at", 0, 200),
            ("three", 200, 600),
            ("pm", 600, 1_000),
            ("doctor", 1_000, 1_400),
            ("lee", 1_400, 1_800),
        ],
    );
    assert_eq!(ledger.heard(ms(900)), "At 3 pm,");
    assert_eq!(ledger.heard(ms(1_700)), "At 3 pm, Dr. Lee");
}

#[test]
fn a_short_word_is_not_found_within_a_longer_one() {
    let mut ledger = ledger("that was a cat", ms(3_000));
    timed(&mut ledger, &[("that", 0, 400), ("a", 1_000, 1_200), ("cat", 1_200, 1_600)]);
    assert_eq!(ledger.remaining(ms(1_150)), "cat");
}

#[test]
fn text_without_spaces_is_cut_between_its_letters() {
    let ledger = complete("你好，世界。", ms(4_000));
    assert_eq!(ledger.heard(ms(2_000)), "你好，");
    assert_eq!(ledger.remaining(ms(2_000)), "世界。");
}

#[test]
fn text_and_audio_come_in_pieces() {
    let mut ledger = SpeechLedger::new();
    ledger.spoken("aaaa bb");
    ledger.audio(ms(1_000));
    ledger.spoken("bb cccc");
    ledger.audio(ms(500));
    assert_eq!((ledger.text(), ledger.audio_duration()), ("aaaa bbbb cccc", ms(1_500)));
    assert_eq!(ledger.heard(ms(500)), "aaaa bbbb");
}

fn random_ledger() -> impl Strategy<Value = SpeechLedger> {
    let text = "[ a-cA-C0-9.,'\u{4e00}-\u{4e05}\u{ac00}İß\n-]{0,60}";
    let timing = ("[a-cA-C0-9İß]{0,4}", 0..6_000u64, 0..6_000u64);
    (text, 0..6_000u64, vec(timing, 0..12), any::<bool>(), any::<bool>()).prop_map(
        |(text, audio, words, text_done, audio_done)| {
            let mut ledger = ledger(&text, ms(audio));
            ledger.words(words.into_iter().map(|(word, from, to)| (word, ms(from), ms(to))));
            ledger.text_done = text_done;
            ledger.audio_done = audio_done;
            ledger
        },
    )
}

proptest! {
    #[test]
    fn what_was_heard_and_what_remains_is_the_text(
        ledger in random_ledger(), heard in 0..8_000u64
    ) {
        let (before, after) = (ledger.heard(ms(heard)), ledger.remaining(ms(heard)));
        let text = ledger.text();
        prop_assert!(text.starts_with(before));
        prop_assert!(text.ends_with(after));
        let seam = &text[before.len()..text.len() - after.len()];
        prop_assert!(seam.trim().is_empty(), "lost {seam:?}");
    }

    #[test]
    fn no_word_is_ever_split(ledger in random_ledger(), heard in 0..8_000u64) {
        let (before, after) = (ledger.heard(ms(heard)), ledger.remaining(ms(heard)));
        let is_touching = before.len() + after.len() == ledger.text().len();
        if let (Some(last), Some(first)) = (before.chars().last(), after.chars().next())
            && is_touching
        {
            prop_assert!(is_boundary(last, first), "{before:?} | {after:?}");
        }
    }

    #[test]
    fn whoever_heard_longer_heard_no_less(
        ledger in random_ledger(), one in 0..8_000u64, other in 0..8_000u64
    ) {
        let (shorter, longer) = (one.min(other), one.max(other));
        prop_assert!(ledger.heard(ms(shorter)).len() <= ledger.heard(ms(longer)).len());
    }
}

#[test]
fn what_was_heard_of_other_words_is_told_in_those_that_were_written() {
    let mut ledger = SpeechLedger::new();
    ledger.spoken("That is ");
    ledger.spoken_as("**$42.50** for <b>two</b>:\n", "forty two dollars and fifty cents for two. ");
    ledger.spoken("Thank you.");
    ledger.audio(ms(5_000));
    let given = ["That", "is", "forty", "two", "dollars", "and", "fifty", "cents", "for", "two."];
    for (index, word) in given.iter().enumerate() {
        let from = 400 * index as u64;
        timed(&mut ledger, &[(word, from, from + 400)]);
    }
    assert_eq!(ledger.voiced(), "That is forty two dollars and fifty cents for two. Thank you.");
    assert_eq!(ledger.heard(ms(1_200)), "That is");
    // More than half of the six words for `$42.50`.
    assert_eq!(ledger.heard(ms(2_400)), "That is **$42.50**");
    assert_eq!(ledger.remaining(ms(2_400)), "for <b>two</b>:\nThank you.");
    assert_eq!(ledger.heard(ms(4_000)), "That is **$42.50** for <b>two</b>:");
}

#[test]
fn a_word_that_came_in_two_pieces_is_one() {
    let mut ledger = SpeechLedger::new();
    ledger.spoken("aaaa bb");
    ledger.spoken("bb cccc");
    ledger.audio(ms(4_000));
    timed(&mut ledger, &[("aaaa", 0, 1_000), ("bbbb", 1_000, 2_000)]);
    assert_eq!(ledger.heard(ms(1_400)), "aaaa");
    assert_eq!(ledger.heard(ms(1_700)), "aaaa bbbb");
}

#[test]
fn text_that_the_voice_was_not_given_counts_with_what_comes_after_it() {
    let mut ledger = SpeechLedger::new();
    ledger.spoken_as("<flush /> ", "");
    assert_eq!(ledger.heard(Duration::ZERO), "");
    ledger.spoken("aaaa bbbb");
    ledger.audio(ms(1_000));
    timed(&mut ledger, &[("aaaa", 0, 500)]);
    assert_eq!(ledger.heard(ms(500)), "<flush /> aaaa");
}

#[test]
fn another_voice_goes_on_at_the_seam_and_what_is_heard_of_it_is_known() {
    let mut ledger = SpeechLedger::new();
    ledger.spoken("One two three four five six.");
    let word = |text: &str, start, end| (text.to_owned(), ms(start), ms(end));
    // The first voice timed a word whose audio never came.
    ledger.words([word("One", 0, 300), word("two", 300, 600), word("three", 600, 900)]);
    ledger.audio(ms(620));
    assert_eq!(ledger.remaining(ms(620)), "three four five six.");
    ledger.resume(Duration::ZERO);

    // The second one speaks half as fast, and times its words from where it began.
    ledger.words([word("three", 620, 1_220), word("four", 1_220, 1_820)]);
    ledger.audio(ms(1_200));
    assert_eq!(ledger.heard(ms(500)), "One two");
    assert_eq!(ledger.heard(ms(700)), "One two");
    assert_eq!(ledger.heard(ms(1_230)), "One two three");
    assert_eq!(ledger.remaining(ms(1_820)), "five six.");
}

#[test]
fn a_word_that_broke_off_is_said_anew_behind_the_pause_and_a_whole_one_is_not() {
    let word = |text: &str, start, end| (text.to_owned(), ms(start), ms(end));
    for (came, pause, rest) in [(500, 60, "b, six."), (300, 0, "b, six."), (600, 0, "six.")] {
        let mut ledger = SpeechLedger::new();
        ledger.spoken("One, b, six.");
        ledger.words([word("One", 0, 300), word("b", 300, 600), word("six", 600, 900)]);
        ledger.audio(ms(came));
        ledger.resume(ms(pause));
        assert_eq!(ledger.remaining(ledger.audio_duration()), rest, "{came} ms came");
        assert_eq!(ledger.audio_duration(), ms(came + pause));
    }
}

#[test]
fn a_voice_without_word_times_goes_on_from_what_the_one_before_is_thought_to_have_said() {
    let mut ledger = SpeechLedger::new();
    ledger.spoken("Please bring your card and your old papers with you.");
    ledger.audio(ms(1_000));
    let rest = ledger.remaining(ms(1_000)).to_owned();
    ledger.resume(Duration::ZERO);
    ledger.audio(ms(4_000));
    ledger.text_done();
    ledger.audio_done();
    assert_eq!(ledger.remaining(ms(1_000)), rest, "the seam stays where it was");
    assert_eq!(ledger.remaining(ms(5_000)), "");
}

#[test]
fn half_a_word_counts_as_heard_unless_the_leg_was_lost_in_it() {
    let mut ledger = SpeechLedger::new();
    ledger.spoken("one two six");
    ledger.text_done();
    ledger.audio(Duration::from_millis(1_100));
    ledger.audio_done();
    let heard = Duration::from_millis(600);
    assert_eq!((ledger.heard(heard), ledger.heard_whole(heard)), ("one two", "one"));
    assert_eq!(ledger.heard_whole(Duration::from_millis(700)), "one two");
    assert_eq!(ledger.heard_whole(Duration::from_millis(1_100)), "one two six");
}
