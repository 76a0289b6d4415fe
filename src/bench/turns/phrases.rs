//! What the callers of the bench of turns say, by category.

use std::time::Duration;

/// A piece of what a caller says or does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Words that the transcriber writes as they are spoken.
    Say(&'static str),
    /// Words that it writes otherwise.
    Write {
        spoken: &'static str,
        written: &'static str,
    },
    /// Sounds of the voice that it writes nothing of, as Deepgram does without `filler_words`.
    Hum(&'static str),
    Pause(Duration),
    Cough,
    Slam,
}

use Piece::{Cough, Hum, Pause, Say, Slam, Write};

const fn pause(ms: u64) -> Piece {
    Pause(Duration::from_millis(ms))
}

const fn digits(spoken: &'static str, written: &'static str) -> Piece {
    Write { spoken, written }
}

pub type Line = &'static [Piece];

/// Whole sentences, without a pause.
pub const PLAIN: &[Line] = &[
    &[Say("What time do you open on Saturday?")],
    &[Say("I would like to cancel my appointment.")],
    &[Say("Can you tell me how much that costs?")],
    &[Say("I need to speak to somebody about my bill.")],
    &[Say("Yes, that's right.")],
    &[Say("Where is your office located?")],
    &[Say("My order has not arrived yet.")],
    &[Say("Do you have a table for two tonight?")],
];

/// Sentences with a pause and a hum where a word is looked for.
pub const HESITATIONS: &[Line] = &[
    &[Say("I'd like to"), pause(600), Hum("um"), pause(500), Say("book for Thursday.")],
    &[Say("Can you"), Hum("um"), pause(700), Say("change my delivery address?")],
    &[
        Say("I was wondering if"),
        pause(800),
        Say("you could help me with"),
        Hum("um"),
        pause(400),
        Say("a refund."),
    ],
    &[Say("It's about the"), pause(500), Hum("uh"), pause(600), Say("invoice from last month.")],
    &[Say("So I need to"), pause(900), Say("move my appointment.")],
    &[Say("My name is"), Hum("um"), pause(800), Say("Jonathan Miller.")],
];

/// Phone numbers in groups, as words and as digits.
pub const NUMBERS: &[Line] = &[
    &[
        Say("It's five five five"),
        pause(700),
        Say("zero one two"),
        pause(800),
        Say("four four seven nine."),
    ],
    &[
        digits("four one five", "415."),
        pause(800),
        digits("five five five", "555."),
        pause(900),
        digits("zero one seven two", "0172."),
    ],
    &[
        Say("My number is oh seven nine"),
        pause(600),
        Say("four six zero"),
        pause(700),
        Say("nine five eight"),
        pause(600),
        Say("three one two."),
    ],
    &[
        Say("Area code"),
        digits("six one seven", "617"),
        pause(900),
        digits("five five five", "555"),
        pause(700),
        digits("two three six eight", "2368."),
    ],
];

/// Names, letter by letter.
pub const SPELLINGS: &[Line] = &[
    &[Say("S M I"), pause(700), Say("T H.")],
    &[Say("It's B as in boy"), pause(800), Say("A K"), pause(600), Say("E R.")],
    &[Say("M C"), pause(600), Say("D O N"), pause(700), Say("A L D.")],
    &[Say("That's W R I"), pause(800), Say("G H T.")],
];

/// Two seconds of silence in the middle.
pub const THOUGHTS: &[Line] = &[
    &[Say("I'd like a table for"), pause(2_000), Say("six people.")],
    &[Say("The address is"), pause(2_000), Say("twelve Oak Street.")],
    &[Say("It was sometime in"), pause(2_000), Say("early March.")],
    &[Say("Let me think."), pause(2_000), Say("Tuesday would be fine.")],
    &[Say("Could you send it to"), pause(2_000), Say("my other address?")],
];

/// Said over the agent, to show that one listens.
pub const BACKCHANNELS: &[Line] = &[
    &[Say("Yeah.")],
    &[Say("Okay.")],
    &[Say("Right.")],
    &[Say("I see.")],
    &[Write { spoken: "uh huh", written: "Uh-huh." }],
    &[Hum("mm hmm")],
];

/// Said over the agent, to be heard.
pub const INTERRUPTIONS: &[Line] = &[
    &[Say("Wait, stop.")],
    &[Say("No, I meant Tuesday.")],
    &[Say("Actually, hold on a second.")],
    &[Say("Sorry, can I ask something else?")],
    &[Say("That's not what I asked.")],
    &[Say("Hang on.")],
];

pub const COUGHS: &[Line] = &[&[Cough], &[Cough, pause(250), Cough]];

pub const SLAMS: &[Line] = &[&[Slam], &[Slam, pause(500), Slam]];
