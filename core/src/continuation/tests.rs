use proptest::prelude::*;

use super::*;

/// What is told of streams of which all but the last are cut off.
fn told(streams: &[&[&str]]) -> String {
    let mut reply = Continuation::default();
    let mut told = String::new();
    for (index, stream) in streams.iter().enumerate() {
        for piece in *stream {
            told.push_str(&reply.push(piece));
        }
        if index + 1 < streams.len() {
            reply.cut();
        }
    }
    told.push_str(&reply.finish());
    assert_eq!(told, reply.told());
    told
}

#[test]
fn a_reply_that_is_not_cut_is_told_as_it_came() {
    assert_eq!(told(&[&["We ", "are ", "open."]]), "We are open.");
    assert_eq!(told(&[&["We", " are", " open", "."]]), "We are open.");
    assert_eq!(told(&[&["  "]]), "");
}

#[test]
fn whole_words_are_told_at_once_and_others_with_the_next_piece() {
    let mut reply = Continuation::default();
    let pieces = ["It", " costs", " 3", ".", "5", " euros", ".", " Bye"];
    let told: Vec<_> = pieces.iter().map(|piece| reply.push(piece)).collect();
    assert_eq!(told, ["", "It ", "costs ", "", "", "3.5 ", "euros.", ""]);
    assert_eq!(reply.finish(), " Bye");
}

#[test]
fn a_stream_that_goes_on_is_joined_at_a_word() {
    for next in ["nine to five.", " nine to five.", "from nine to five.", "open from nine to five."]
    {
        assert_eq!(told(&[&["We are open from ni"], &[next]]), "We are open from nine to five.");
    }
    assert_eq!(told(&[&["We are open!"], &["?"]]), "We are open!?");
    assert_eq!(told(&[&["We are open."], &["Come in!"]]), "We are open. Come in!");
}

#[test]
fn a_stream_that_starts_again_is_told_from_where_it_is_new() {
    let first: &[&str] = &["Hello there. ", "We are open ", "from nine ", "to"];
    let whole = "Hello there. We are open from nine to five.";
    assert_eq!(told(&[first, &[whole]]), whole);
    let pieces: Vec<_> = whole.split_inclusive(' ').collect();
    assert_eq!(told(&[first, &pieces]), whole);
    assert_eq!(told(&[first, &["hello there we are open from nine to five."]]), whole);
    assert_eq!(told(&[first, &pieces[..4], &pieces]), whole, "cut again while it repeats");
}

#[test]
fn a_stream_that_has_nothing_new_adds_nothing() {
    let whole = "We are open from nine to five.";
    assert_eq!(told(&[&[whole], &[whole]]), whole);
    assert_eq!(told(&[&[whole], &["nine to five."]]), whole);
    assert_eq!(told(&[&[whole], &["We are open"]]), whole);
    assert_eq!(told(&[&[whole], &[]]), whole);
}

#[test]
fn digits_are_said_twice_in_a_row() {
    assert_eq!(told(&[&["It is 5 5 "], &["5 1 2."]]), "It is 5 5 5 1 2.");
    assert_eq!(told(&[&["It is five "], &["five one."]]), "It is five five one.");
    assert_eq!(told(&[&["It is five "], &["is five one."]]), "It is five one.");
    assert_eq!(told(&[&["That is very very "], &["very good."]]), "That is very very very good.");
}

#[test]
fn languages_without_spaces_are_cut_between_their_signs() {
    assert_eq!(told(&[&["我们九点"], &["九点到五点。"]]), "我们九点到五点。");
}

/// Words of which none is there twice in a row.
fn sentence() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[a-z]{2,6}", 2..12).prop_map(|mut words| {
        for (index, word) in words.iter_mut().enumerate() {
            word.push_str(&"abcdefghijkl"[index..=index]);
        }
        words
    })
}

proptest! {
    #[test]
    fn wherever_streams_are_cut_and_however_far_back_the_next_begins_each_word_is_told_once(
        words in sentence(),
        cuts in prop::collection::vec((0.0..1.0_f64, any::<prop::sample::Index>()), 0..4),
        size in 1..7_usize,
    ) {
        let text = words.join(" ");
        let mut reply = Continuation::default();
        let mut begin = 0;
        for (cut, back) in cuts {
            let rest: Vec<char> = text[begin..].chars().collect();
            let end = (rest.len() as f64 * cut) as usize;
            for piece in rest[..end].chunks(size) {
                reply.push(&piece.iter().collect::<String>());
            }
            reply.cut();
            let told = reply.told().trim_end().len();
            let starts: Vec<_> = std::iter::once(0)
                .chain(text.match_indices(' ').map(|(at, _)| at + 1))
                .filter(|at| *at <= told + 1)
                .collect();
            begin = starts[back.index(starts.len())];
        }
        let rest: Vec<char> = text[begin..].chars().collect();
        for piece in rest.chunks(size) {
            reply.push(&piece.iter().collect::<String>());
        }
        reply.finish();
        let told = reply.told().split_whitespace().collect::<Vec<_>>().join(" ");
        prop_assert_eq!(told, text);
    }
}
