use std::time::Duration;

use super::*;

const NOTHING: Cues<'static> = Cues { said: "", asked: "", language: "en", fall_db: None };

fn of(said: &str) -> f64 {
    TextEstimator.estimate(&Cues { said, ..NOTHING })
}

fn answering(asked: &str, said: &str) -> f64 {
    TextEstimator.estimate(&Cues { said, asked, ..NOTHING })
}

#[test]
fn whole_sentences_questions_and_short_answers_are_over() {
    for said in [
        "I would like to cancel.",
        "What are your opening hours?",
        "Where are you from?",
        "Yes, I do.",
        "No.",
        "Yes please",
        "That's right",
        "Hello",
        "Thank you very much!",
        "Please sign me up.",
    ] {
        assert!(of(said) >= 0.7, "{said}: {}", of(said));
    }
}

#[test]
fn half_sentences_are_not_over_whatever_mark_is_behind_them() {
    for said in [
        "I would like to",
        "I would like to.",
        "I want a table for",
        "Because the",
        "Thursday and",
        "My name is",
        "I'm",
        "So I was thinking, well,",
        "The thing is.",
        "I...",
        "Well",
        "Yes, but",
        "Can you",
        "Could we.",
        "It was sometime in",
    ] {
        assert!(of(said) <= 0.15, "{said}: {}", of(said));
    }
}

#[test]
fn hesitations_are_not_over() {
    for said in ["I'd like to come on um", "Uh.", "Let me see.", "My number is, hold on", "Hmm."] {
        assert!(of(said) <= 0.1, "{said}: {}", of(said));
    }
}

#[test]
fn words_without_any_mark_leave_it_open() {
    for said in ["thursday morning", "i need a doctor today", "what are your opening hours"] {
        assert!((0.3..0.7).contains(&of(said)), "{said}: {}", of(said));
    }
    assert!(of("what are your opening hours") > of("i need an appointment"));
}

#[test]
fn a_phone_number_is_not_over_before_its_digits_have_come() {
    let asked = "Sure. What is your phone number?";
    for said in ["555", "555.", "It's five five five", "555, 01", "five five five zero one"] {
        assert!(answering(asked, said) <= 0.05, "{said}");
    }
    assert!(answering(asked, "555 012 34") < 0.4);
    for said in
        ["555-012-3456.", "It is 1 555 012 3456", "five five five oh one two three four five six"]
    {
        assert!(answering(asked, said) >= 0.9, "{said}");
    }
    // Who answers something else is not held up.
    assert!(answering(asked, "I don't have one.") >= 0.7);
}

#[test]
fn numbers_that_nobody_asked_for_are_over_unless_they_are_read_out() {
    assert!(of("A table for four.") >= 0.7);
    assert!(of("At half past 10") >= 0.7);
    assert!(of("It is 5 5 5") <= 0.3);
    assert!(of("my number is 555 01") <= 0.3);
    assert!(of("555 012 3456") >= 0.7);
}

#[test]
fn codes_and_accounts_leave_time_for_more() {
    assert!(answering("Please tell me your account number.", "12") <= 0.1);
    assert!(answering("Please tell me your account number.", "123456") <= 0.5);
    assert!(answering("What is your zip code?", "94110.") >= 0.9);
    assert!(answering("What is your card number?", "4242 4242") <= 0.1);
}

#[test]
fn a_spelled_name_is_not_over_at_a_letter() {
    let asked = "Could you spell your last name?";
    for said in ["S", "S M", "S. M. I.", "It's B as in boy"] {
        assert!(answering(asked, said) <= 0.2, "{said}");
    }
    assert!(answering(asked, "it's s m i t") <= 0.3);
    assert!(of("j o h n") <= 0.3);
    assert!(answering(asked, "Smith.") < of("Cancel."));
}

#[test]
fn an_address_is_not_over_before_its_domain() {
    let asked = "What is your email address?";
    for said in ["john", "john smith at", "john dot", "john at gmail", "john at gmail dot"] {
        assert!(answering(asked, said) <= 0.1, "{said}");
    }
    for said in ["john at gmail dot com", "john@gmail.com.", "john.smith@example.co.uk"] {
        assert!(answering(asked, said) >= 0.9, "{said}");
    }
    assert!(answering(asked, "I don't have an email.") >= 0.7);
}

#[test]
fn a_month_is_no_date_yet() {
    assert!(answering("What is your date of birth?", "March") <= 0.3);
    assert!(answering("What is your date of birth?", "March 5") >= 0.6);
}

#[test]
fn a_longer_pause_never_makes_it_less_likely() {
    for said in ["I would like to", "Cancel it.", "um", "555", ""] {
        let (estimate, mut before) = (of(said), 0.0);
        for ms in (0..5_000).step_by(100) {
            let after = TextEstimator.after(estimate, Duration::from_millis(ms));
            assert!(after >= before && (0.0..=1.0).contains(&after));
            before = after;
        }
    }
}

#[test]
fn a_voice_that_falls_makes_it_likelier_and_one_that_is_held_less_likely() {
    let with =
        |fall_db| TextEstimator.estimate(&Cues { said: "thursday morning", fall_db, ..NOTHING });
    assert!(with(Some(12.0)) > with(None));
    assert!(with(Some(-6.0)) < with(None));
}

#[test]
fn other_languages_go_by_punctuation_and_pause() {
    let of = |said: &str, language| TextEstimator.estimate(&Cues { said, language, ..NOTHING });
    assert!(of("予約したいです。", "ja") >= 0.9);
    assert!(of("Ich möchte", "de") <= 0.4);
    assert!(of("Ich möchte,", "de-CH") <= 0.2);
    // "to" is no dangling word in a language of which nothing is known.
    assert_eq!(of("to", "multi"), of("ta", "multi"));
}
