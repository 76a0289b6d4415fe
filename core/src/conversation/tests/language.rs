//! The language that the caller speaks.

use expect_test::expect;

use super::*;

fn in_language(language: &str, words: u32) -> Event {
    Event::LanguageHeard { language: language.into(), words }
}

/// The languages that were told of as a change, when these were heard one after the other.
fn changes(heard: &[(&str, u32)]) -> Vec<String> {
    let mut conversation = Conversation::new(quiet());
    conversation.handle(CallTime::ZERO, Event::LegConnected);
    let mut told = Vec::new();
    for (second, (language, words)) in (1..).zip(heard) {
        let event = in_language(language, *words);
        for command in conversation.handle(CallTime::from_millis(second * 1_000), event) {
            let Command::Publish(ServerEvent::LanguageChangeDetected { language }) = command else {
                panic!("unexpected {command:?}");
            };
            told.push(language);
        }
    }
    told
}

#[test]
fn a_caller_who_goes_on_in_another_language_is_told_of() {
    check(
        quiet(),
        up(vec![
            (1_000, said("I would like an appointment.")),
            (1_000, in_language("en", 5)),
            (5_000, said("Prefiero hablar en español.")),
            (5_000, in_language("es", 4)),
        ]),
        5_000,
        expect![[r#"
            0.000s  ~InProgress, ~assistant.started
            1.000s  ~user: "I would like an appointment."
            1.400s  endpointing -> ~history, Generate turn-1
            5.000s  ~user: "Prefiero hablar en español.", CancelReply turn-1
            5.000s  ~language-change-detected es
        "#]],
    );
}

#[test]
fn the_first_language_to_be_heard_is_no_change() {
    assert!(changes(&[("es", 6), ("es", 1)]).is_empty());
}

#[test]
fn a_word_before_the_first_sentence_is_not_where_the_call_begins() {
    assert!(changes(&[("en", 1), ("es", 6)]).is_empty());
}

#[test]
fn an_odd_word_in_another_language_is_no_change() {
    assert!(changes(&[("en", 5), ("es", 2), ("en", 4), ("es", 2), ("en", 1)]).is_empty());
}

#[test]
fn short_answers_in_another_language_add_up_to_a_change() {
    assert_eq!(changes(&[("en", 5), ("es", 2), ("es", 1), ("es", 4)]), ["es"]);
}

#[test]
fn words_of_two_other_languages_do_not_add_up() {
    assert!(changes(&[("en", 5), ("es", 2), ("pt", 2), ("es", 2)]).is_empty());
}

#[test]
fn a_region_makes_no_other_language() {
    assert!(changes(&[("en", 5), ("en-GB", 7), ("EN_us", 7)]).is_empty());
}

#[test]
fn the_way_back_is_a_change_too() {
    assert_eq!(changes(&[("en", 5), ("fr", 5), ("en", 5)]), ["fr", "en"]);
}

#[test]
fn the_language_of_an_echo_is_nobodys() {
    let spanish = "Buenos días, le atiende la clínica del centro.";
    let script = vec![
        (0, Event::LegConnected),
        (100, began(1)),
        (2_500, said("le atiende la clínica del centro")),
        (2_500, in_language("es", 6)),
        (4_000, heard(1)),
        (6_000, said("Sorry, do you speak English?")),
        (6_000, in_language("en", 5)),
    ];
    let options = CallOptions { first_message: Some(spanish.into()), ..CallOptions::default() };
    let log = play(options, script, 6_000).log;
    assert!(!log.contains("language-change"), "{log}");
}
