use proptest::{collection::vec, prelude::*};

use super::*;

fn chunker(chunking: Chunking, chars_max: usize) -> TextChunker {
    TextChunker::new(Arc::new(ChunkPlan { chunking, chars_max }))
}

fn sentences(chars_max: usize) -> TextChunker {
    chunker(Chunking::Sentences, chars_max)
}

fn planned(chars_min: Option<usize>, boundaries: Option<&[&str]>) -> TextChunker {
    let boundaries = boundaries.map(|list| list.iter().map(ToString::to_string).collect());
    chunker(Chunking::Planned { chars_min, boundaries }, 250)
}

/// The chunks of a text that comes a character at a time, as from a model.
fn chunks(text: &str) -> Vec<String> {
    chunks_of(TextChunker::default(), text)
}

fn chunks_of(mut chunker: TextChunker, text: &str) -> Vec<String> {
    let mut chunks: Vec<String> = text.chars().flat_map(|c| chunker.push(&c.to_string())).collect();
    chunks.extend(chunker.finish());
    chunks
}

#[test]
fn the_first_chunk_is_short_and_the_later_ones_hold_whole_sentences() {
    assert_eq!(
        chunks(
            "Good morning, Ann. Your appointment, as I see, is on Monday. It is with Dr. Lee. \
             She will see you at nine, on the second floor. Please bring your card. Goodbye."
        ),
        [
            "Good morning, Ann. ",
            "Your appointment, as I see, ",
            "is on Monday. It is with Dr. Lee. She will see you at nine, on the second floor. ",
            "Please bring your card. Goodbye.",
        ]
    );
}

#[test]
fn the_first_chunk_ends_at_a_comma_once_it_is_long_enough() {
    assert_eq!(
        chunks("Well, your appointment is on Monday, and the doctor, Ann Lee, will see you."),
        ["Well, your appointment is on Monday, ", "and the doctor, Ann Lee, ", "will see you."]
    );
}

#[test]
fn sentences_are_spoken_one_by_one_where_that_is_asked_for() {
    assert_eq!(
        chunks_of(sentences(250), "Good morning, Ann. How are you, on such a day? I am fine!"),
        ["Good morning, Ann. ", "How are you, on such a day? ", "I am fine!"]
    );
}

#[test]
fn words_go_on_as_they_come_where_the_voice_cuts_itself() {
    let mut chunker = chunker(Chunking::Words, 250);
    assert!(chunker.push("Good").is_empty());
    assert_eq!(chunker.push(" morning, A"), ["Good morning, "]);
    assert_eq!(chunker.push("nn.  How <flush /> "), ["Ann.  How <flush /> "]);
    assert!(chunker.push(" ").is_empty());
    assert_eq!(chunker.push("are").len(), 0);
    assert_eq!(chunker.finish().as_deref(), Some(" are"));
}

#[test]
fn the_shortest_chunk_of_a_document_holds_from_the_first_on() {
    let text = "Yes. I can do that for you. Is Monday fine? It would be at nine. Goodbye then.";
    assert_eq!(
        chunks_of(planned(Some(1), None), text),
        [
            "Yes. ",
            "I can do that for you. ",
            "Is Monday fine? ",
            "It would be at nine. ",
            "Goodbye then."
        ]
    );
    assert_eq!(
        chunks_of(planned(Some(40), None), text),
        ["Yes. I can do that for you. Is Monday fine? ", "It would be at nine. Goodbye then."]
    );
}

#[test]
fn the_boundaries_of_a_document_are_the_only_ones() {
    let text = "One, two; three (four) five. Six | seven || eight! Nine\nten";
    let cut = |boundaries: &[&str]| chunks_of(planned(Some(1), Some(boundaries)), text);
    assert_eq!(
        cut(&[";"]),
        ["One, two; ", "three (four) five. Six | seven || eight! Nine\n", "ten"]
    );
    assert_eq!(
        cut(&[")", "|", "!"]),
        ["One, two; three (four) ", "five. Six | ", "seven || ", "eight! ", "Nine\n", "ten"]
    );
    assert_eq!(cut(&[]).len(), 2);
    let chinese = "您好，请问？好";
    assert_eq!(chunks_of(planned(Some(1), Some(&["，"])), chinese), ["您好，", "请问？好"]);
    assert_eq!(chunks_of(planned(Some(1), Some(&["?"])), chinese), ["您好，请问？", "好"]);
}

#[test]
fn what_is_before_a_flush_token_is_handed_over_at_once() {
    for token in ["<flush />", "<flush/>", "<FLUSH>", "</flush>", "< / flush >"] {
        let mut chunker = TextChunker::default();
        assert!(chunker.push(&format!("One moment {}", &token[..3])).is_empty());
        assert_eq!(chunker.push(&token[3..]), [format!("One moment {token}")], "{token}");
        assert_eq!(chunker.finish(), None);
    }
    assert_eq!(chunks("a <b> c < flus > d"), ["a <b> c < flus > d"]);
    assert_eq!(chunks_of(sentences(250), "Hi <flush /> you"), ["Hi <flush /> you"]);
}

#[test]
fn a_very_short_sentence_joins_the_next() {
    assert_eq!(chunks("Yes. I can do that. No. Never."), ["Yes. I can do that. ", "No. Never."]);
}

#[test]
fn a_sentence_is_complete_as_soon_as_something_follows_its_end() {
    let mut chunker = TextChunker::default();
    assert!(chunker.push("Good morning, Ann.").is_empty());
    assert_eq!(chunker.push(" "), ["Good morning, Ann. "]);
}

#[test]
fn abbreviations_numbers_and_addresses_end_no_sentence() {
    for text in [
        "You will see Dr. Lee and Mrs. J. Smith at St. Mary, e.g. on Monday.",
        "That is 3.50 a month or 1,200.75 a year.",
        "Write to ann.lee@example.com or see www.example.com/a.b for more.",
        "Take bus no. 5 to the station.",
        "1. Open the door.",
    ] {
        let mut chunker = sentences(250);
        let mut got = chunker.push(text);
        got.extend(chunker.finish());
        assert_eq!(got, [text]);
    }
}

#[test]
fn no_ends_a_sentence_where_no_number_follows() {
    assert_eq!(chunks("I am afraid no. That is it."), ["I am afraid no. ", "That is it."]);
}

#[test]
fn an_ellipsis_is_one_stop_and_quotes_stay_with_their_sentence() {
    assert_eq!(
        chunks("Let me think... \"It is open.\" (Until six.) Anything else?"),
        ["Let me think... ", "\"It is open.\" ", "(Until six.) ", "Anything else?"]
    );
}

#[test]
fn text_without_spaces_is_cut_at_its_own_stops() {
    assert_eq!(
        chunks("您好，这里是医院的预约中心。请问您要预约哪一天？"),
        ["您好，这里是医院的预约中心。", "请问您要预约哪一天？"]
    );
}

#[test]
fn a_line_break_ends_a_sentence() {
    assert_eq!(
        chunks("Your options are\nMonday at nine\nTuesday"),
        ["Your options are\n", "Monday at nine\n", "Tuesday"]
    );
}

#[test]
fn a_sentence_without_end_is_cut_at_a_clause_or_a_word() {
    let mut chunker = sentences(20);
    assert_eq!(
        chunker.push("one two three, four five six seven eight nine ten"),
        ["one two three, ", "four five six seven "]
    );
    assert_eq!(chunker.finish().as_deref(), Some("eight nine ten"));
    assert_eq!(sentences(4).push("abcdefghij"), ["abcd", "efgh"]);
}

#[test]
fn white_space_alone_is_nothing_to_speak() {
    let mut chunker = TextChunker::default();
    assert!(chunker.push(" \n ").is_empty());
    assert_eq!(chunker.finish(), None);
}

proptest! {
    #[test]
    fn no_character_is_lost_or_doubled_and_no_chunk_too_long(
        pieces in vec("[ a-dA-C0-9.,!?;:…\n\"。，é-]{0,12}", 0..30), chars_max in 1..60usize
    ) {
        let text = pieces.concat();
        let mut chunker = chunker(Chunking::Planned { chars_min: None, boundaries: None }, chars_max);
        let mut chunks: Vec<String> =
            pieces.iter().flat_map(|piece| chunker.push(piece)).collect();
        chunks.extend(chunker.finish());
        for chunk in &chunks {
            prop_assert!(chunk.chars().count() <= chars_max);
        }
        let spoken = chunks.concat();
        prop_assert!(text.starts_with(&spoken));
        prop_assert!(text[spoken.len()..].trim().is_empty());
    }

    #[test]
    fn a_word_within_the_limit_is_never_split(
        words in vec("[a-d.,!?]{1,9}", 1..40), is_planned in any::<bool>()
    ) {
        let text = words.join(" ");
        let mut chunker = match is_planned {
            true => chunker(ChunkPlan::default().chunking, 20),
            false => sentences(20),
        };
        let mut chunks = chunker.push(&text);
        chunks.extend(chunker.finish());
        let split: Vec<_> = chunks.iter().flat_map(|chunk| chunk.split_whitespace()).collect();
        prop_assert_eq!(split, words);
    }
}

/// The chunks of a text that was cut off, as they are spoken.
fn spoken_of_cut(text: &str) -> String {
    let mut chunker = TextChunker::default();
    let mut chunks: Vec<String> = text.chars().flat_map(|c| chunker.push(&c.to_string())).collect();
    chunker.trim();
    let held = chunker.held().to_owned();
    chunks.extend(chunker.finish());
    assert!(chunks.concat().ends_with(&held));
    chunks.concat().trim_end().to_owned()
}

#[test]
fn a_text_that_was_cut_off_ends_with_its_last_whole_sentence() {
    for (text, spoken) in [
        ("We open at nine. On Sundays and publ", "We open at nine."),
        ("Yes. No. May", "Yes. No."),
        (
            "We open at nine, and Dr. Lee is in from ten. The other doc",
            "We open at nine, and Dr. Lee is in from ten.",
        ),
        (
            "It costs ten euros for all who are of age. If you pay by card, the",
            "It costs ten euros for all who are of age.",
        ),
        ("She said \"come in.\" And th", "She said \"come in.\""),
    ] {
        assert_eq!(spoken_of_cut(text), spoken, "{text}");
    }
}

#[test]
fn a_text_that_was_cut_off_in_its_first_sentence_ends_with_a_clause_or_as_it_stands() {
    for (text, spoken) in [
        (
            "Well, that depends on quite a few things, such as the wea",
            "Well, that depends on quite a few things,",
        ),
        ("It depends, for exam", "It depends,"),
        ("Once upon", "Once upon"),
        ("", ""),
    ] {
        assert_eq!(spoken_of_cut(text), spoken, "{text}");
    }
}

#[test]
fn a_text_that_was_cut_off_behind_a_sentence_is_whole() {
    for text in [
        "We open at nine. We close at five.",
        "It is 5 o'clock!",
        "Is it \"now\"?",
        "It is Mr. Lee.",
    ] {
        assert_eq!(spoken_of_cut(text), text);
    }
}

#[test]
fn a_long_text_without_any_end_is_kept_when_it_was_cut_off() {
    let text = "word ".repeat(80);
    assert_eq!(spoken_of_cut(&text), text.trim_end());
}
