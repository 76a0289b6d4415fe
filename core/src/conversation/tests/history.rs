use expect_test::expect;

use super::*;
use crate::{AddedRole, Control};

#[test]
fn a_message_added_in_the_middle_of_a_speech_stands_behind_it() {
    let added = Event::Control(Control::AddMessage {
        role: AddedRole::System,
        content: "They are VIP.".into(),
        trigger_response: false,
    });
    check_history(
        quiet(),
        [answered("Hello."), vec![(3_000, added), (5_000, heard(1))]].concat(),
        6_000,
        expect![[r#"
            1.000s .. 1.600s  user: Hello.
            2.500s .. 5.000s  assistant: Let me tell you a long story.
            3.000s .. 3.000s  system: They are VIP.
        "#]],
    );
}

#[test]
fn results_of_an_interrupted_turn_stand_behind_their_calls() {
    let options = CallOptions { tools: vec![function("book", vec![])], ..quiet() };
    let script = [
        asked("Book it."),
        vec![
            (2_300, calls(1, &["book"])),
            (2_310, finished(1)),
            (3_000, said("Hello?")),
            (4_500, piece(2, "I am here.")),
            (4_600, finished(2)),
            (4_700, began(1)),
            (5_500, heard(1)),
            (6_000, done(1, "book", "booked")),
        ],
    ]
    .concat();
    check_history(
        options,
        script,
        7_000,
        expect![[r#"
        1.000s .. 1.600s  user: Book it.
        2.300s .. 2.300s  calls: book
        2.300s .. 6.000s  result of book: booked
        3.000s .. 3.000s  user: Hello?
        4.700s .. 5.500s  assistant: I am here.
    "#]],
    );
}
