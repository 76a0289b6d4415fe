use super::*;

/// What is said by the plan that applies where a document has none.
fn said(text: &str) -> String {
    FormatPlan::default().format(text).into_owned()
}

/// What is said where the document names its formatters.
fn said_with(formatters: &[Formatter], text: &str) -> String {
    let formatters = Some(formatters.to_vec());
    FormatPlan { formatters, ..FormatPlan::default() }.format(text).into_owned()
}

#[test]
fn each_step_of_the_page_on_formatting_does_what_it_shows() {
    use Formatter as F;
    for (formatters, written, expected) in [
        (&[][..], "Hello <tag> world", "Hello  world"),
        (
            &[],
            "<break time=\"1s\"/> <spell>ab</spell> <<x>>",
            "<break time=\"1s\"/> <spell>ab</spell> <<x>>",
        ),
        (&[F::Markdown], "**Wanted** to say *hi*", "**Wanted** to say *hi*"),
        (&[F::Asterisk], "**Wanted** to say *hi*", " to say "),
        (
            &[F::Newline],
            "Hello  world\n to say\nWe have NASA",
            "Hello  world .  to say . We have NASA",
        ),
        (&[F::Colon], "price: $42.50", "price. $42.50"),
        (&[F::Acronym], "NASA and .NET", "nasa and .net"),
        (&[F::DollarAmount], "$42.50", "forty two dollars and fifty cents"),
        (&[F::Email], "JOHN.DOE@example.COM", "JOHN dot DOE at example dot COM"),
        (&[F::Date], "2023 05 10", "Wednesday, May 10, 2023"),
        (&[F::Date], "2023-05-10", "Wednesday, May 10, 2023"),
        (&[F::Time], "14:00", "14"),
        (&[F::Distance], "5km", "5 kilometers"),
        (&[F::Unit], "43 lb", "forty three pounds"),
        (&[F::Percentage], "50%", "50 percent"),
        (&[F::PhoneNumber], "123-456-7890", "1 2 3 4 5 6 7 8 9 0"),
        (&[F::Number], "-9", "minus nine"),
        (&[F::Number], "2.5", "two point five"),
        (&[F::Number], "2023", "2023"),
        (&[F::Number], "12345", "1 2 3 4 5"),
        (&[F::Number], "1200", "twelve hundred"),
        (&[F::StripAsterisk], "**Bold** and *italic*", "Bold and italic"),
    ] {
        assert_eq!(said_with(formatters, written), expected, "{formatters:?}");
    }
    for (written, expected) in [
        ("john.doe@example.com", "john dot doe at example dot com"),
        ("SALES@company.org", "SALES at company dot org"),
        (
            "jane_smith-work@my-company.co.uk",
            "jane underscore smith dash work at my dash company dot co dot uk",
        ),
    ] {
        assert_eq!(said(written), expected);
    }
}

#[test]
fn a_reply_is_said_as_people_say_it() {
    for (written, expected) in [
        (
            "Your **total** is $1,250.05.",
            "Your total is one thousand two hundred fifty dollars and five cents.",
        ),
        (
            "It costs $1 or $0.50, at most $3.2 million.",
            "It costs one dollar or fifty cents, at most three point two million dollars.",
        ),
        (
            "Come on 2026-01-05 at 9:05 or 14:30.",
            "Come on Monday, January 5, 2026 at nine oh five or fourteen thirty.",
        ),
        (
            "Call +1 (415) 555-0100 today.",
            "Call +1 four one five five five five zero one zero zero today.",
        ),
        (
            "Drive 1 km at 50 km/h, 3.5 ft wide.",
            "Drive one kilometer at fifty kilometers per hour, three point five feet wide.",
        ),
        (
            "A 5 min wait, 12.5% off 1,500 items.",
            "A five minutes wait, twelve point five percent off fifteen hundred items.",
        ),
        ("See [our page](https://a.example/x_y) or `code`.", "See our page or code."),
        ("Ask the HTML desk, not the USA one.", "Ask the H T M L desk, not the USA one."),
        (
            "Your options:\n- Monday\n- Tuesday.\nGoodbye",
            "Your options. - Monday . - Tuesday. Goodbye",
        ),
    ] {
        assert_eq!(said(written), expected);
    }
}

#[test]
fn what_is_a_part_of_something_else_is_left_to_the_voice() {
    for text in [
        "on the 5th of May 10 people",
        "3-5 days, 1/2 of it, v1.2.3, 4x, gate B12",
        "03/04/2025",
        "if a < b and c > d",
        "snake_case stays",
        "https://a.example: no stop",
        "in 1999",
        "الساعة ٥ مساء",
        "Dr. Smith lives at 12th ST",
    ] {
        let expected = text.replace("example: no", "example. no");
        assert_eq!(said(text), expected);
    }
    assert_eq!(said("13/04/2025"), "Sunday, April 13, 2025");
    assert_eq!(said("2023-02-30"), "2023-02-30");
    assert_eq!(said("1, 2, 3"), "one, two, three");
    assert_eq!(said("007"), "0 0 7");
}

#[test]
fn the_cutoff_decides_which_numbers_are_ids() {
    let with = |cutoff, text: &str| {
        let plan = FormatPlan { digits_cutoff: Some(cutoff), ..FormatPlan::default() };
        plan.format(text).into_owned()
    };
    assert_eq!(with(300_000, "12345"), "twelve thousand three hundred forty five");
    assert_eq!(with(100, "123 and 2023"), "1 2 3 and 2 0 2 3");
    assert_eq!(said("2026 and 2100"), "2026 and 2 1 0 0");
}

#[test]
fn formatting_can_be_switched_off_and_in_another_language_writes_no_words() {
    let text = "Das macht $42.50:\n**fünf** 5 km <flush />";
    let off = FormatPlan { is_enabled: false, ..FormatPlan::default() };
    assert_eq!(off.format(text), "Das macht $42.50:\n**fünf** 5 km ");
    let german = FormatPlan { is_english: false, ..FormatPlan::default() };
    assert_eq!(german.format(text), "Das macht $42.50. fünf 5 km ");
    let raw = FormatPlan { is_enabled: false, strips_flush_tokens: false, ..FormatPlan::default() };
    assert_eq!(raw.format(text), text);
}

#[test]
fn replacements_come_last_and_also_where_no_formatter_is_wanted() {
    let replacements = [("ST", "STREET"), ("RD", "ROAD")].map(|(key, value)| Replacement::Exact {
        key: key.into(),
        value: value.into(),
        replaces_all: false,
    });
    let plan = FormatPlan {
        formatters: Some(Vec::new()),
        replacements: replacements.into(),
        ..FormatPlan::default()
    };
    assert_eq!(plan.format("320 ST 21 RD"), "320 STREET 21 ROAD");
    let plan = FormatPlan { formatters: None, ..plan };
    assert_eq!(plan.format("320 ST 21 RD"), "three hundred twenty STREET twenty one ROAD");
}

#[test]
fn names_are_those_of_the_contract() {
    for formatter in Formatter::ALL {
        assert_eq!(Formatter::from_name(formatter.name()), Some(formatter));
    }
    assert_eq!(Formatter::from_name("removeAngleBrackets"), None);
}

#[test]
fn a_text_without_anything_to_format_is_not_copied() {
    let plan = FormatPlan::default();
    assert!(matches!(plan.format("We are open every day, see you soon."), Cow::Borrowed(_)));
}
