//! Writes text the way it is to be said.
//!
//! A model writes `$42.50` and `**5km**`; a voice is better given the words. Each formatter is a
//! step, in the order of Vapi's page "Voice formatting plan"; a later step sees what an earlier one
//! wrote. History keeps the text as the model wrote it: see [`crate::SpeechLedger::spoken_as`].
//!
//! The words are English ones, so the steps that write words are left out of speech in another
//! language; its voice knows better.

use std::borrow::Cow;

mod acronyms;
mod addresses;
mod dates;
mod markup;
mod measures;
mod money;
mod numbers;
mod replacements;
mod words;

pub use replacements::{RegexFlags, Replacement};

/// One kind of formatting, as `formattersEnabled` of the contract names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Formatter {
    Markdown,
    Asterisk,
    Quote,
    Dash,
    Newline,
    Colon,
    Acronym,
    DollarAmount,
    Email,
    Date,
    Time,
    Unit,
    Distance,
    Percentage,
    PhoneNumber,
    Number,
    StripAsterisk,
}

impl Formatter {
    /// All of them, in the order in which they are applied. `km/h` is a unit and no distance.
    pub const ALL: [Self; 17] = [
        Self::Markdown,
        Self::Asterisk,
        Self::Quote,
        Self::Dash,
        Self::Newline,
        Self::Colon,
        Self::Acronym,
        Self::DollarAmount,
        Self::Email,
        Self::Date,
        Self::Time,
        Self::Unit,
        Self::Distance,
        Self::Percentage,
        Self::PhoneNumber,
        Self::Number,
        Self::StripAsterisk,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Markdown => "markdown",
            Self::Asterisk => "asterisk",
            Self::Quote => "quote",
            Self::Dash => "dash",
            Self::Newline => "newline",
            Self::Colon => "colon",
            Self::Acronym => "acronym",
            Self::DollarAmount => "dollarAmount",
            Self::Email => "email",
            Self::Date => "date",
            Self::Time => "time",
            Self::Unit => "unit",
            Self::Distance => "distance",
            Self::Percentage => "percentage",
            Self::PhoneNumber => "phoneNumber",
            Self::Number => "number",
            Self::StripAsterisk => "stripAsterisk",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|formatter| formatter.name() == name)
    }

    /// Whether it is applied where the document names no formatters. The page lists all others as
    /// on, `asterisk` as off, and `quote` and `dash` not at all.
    const fn is_default(self) -> bool {
        !matches!(self, Self::Asterisk | Self::Quote | Self::Dash)
    }

    /// Whether it writes English words.
    const fn is_english(self) -> bool {
        match self {
            Self::Acronym
            | Self::DollarAmount
            | Self::Email
            | Self::Date
            | Self::Time
            | Self::Unit
            | Self::Distance
            | Self::Percentage
            | Self::Number => true,
            Self::Markdown
            | Self::Asterisk
            | Self::Quote
            | Self::Dash
            | Self::Newline
            | Self::Colon
            | Self::PhoneNumber
            | Self::StripAsterisk => false,
        }
    }
}

/// What a document asks for (`formatPlan`).
#[derive(Clone, Debug)]
pub struct FormatPlan {
    pub is_enabled: bool,
    /// `None`: those that are on by default.
    pub formatters: Option<Vec<Formatter>>,
    /// Whole numbers above it are read digit by digit.
    pub digits_cutoff: Option<u64>,
    pub replacements: Vec<Replacement>,
    /// The speech is in English, as far as the document says.
    pub is_english: bool,
    /// `<flush />` is a token of ours, see [`crate::TextChunker`], and not to be said.
    pub strips_flush_tokens: bool,
}

impl Default for FormatPlan {
    fn default() -> Self {
        Self {
            is_enabled: true,
            formatters: None,
            digits_cutoff: None,
            replacements: Vec::new(),
            is_english: true,
            strips_flush_tokens: true,
        }
    }
}

impl FormatPlan {
    /// The text to be said in place of one that was written.
    pub fn format<'t>(&self, written: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(written);
        if self.strips_flush_tokens {
            apply(&mut text, markup::flush_tokens);
        }
        if !self.is_enabled {
            return text;
        }
        apply(&mut text, markup::angle_brackets);
        for formatter in Formatter::ALL.into_iter().filter(|formatter| self.applies(*formatter)) {
            self.step(formatter, &mut text);
        }
        for replacement in &self.replacements {
            apply(&mut text, |text| replacement.apply(text));
        }
        text
    }

    fn applies(&self, formatter: Formatter) -> bool {
        let is_wanted = match &self.formatters {
            Some(wanted) => wanted.contains(&formatter),
            None => formatter.is_default(),
        };
        is_wanted && (self.is_english || !formatter.is_english())
    }

    fn step(&self, formatter: Formatter, text: &mut Cow<'_, str>) {
        match formatter {
            Formatter::Markdown => apply(text, markup::markdown),
            Formatter::Asterisk => apply(text, markup::phrases_in_asterisks),
            Formatter::Quote => apply(text, markup::quotes),
            Formatter::Dash => apply(text, markup::dashes),
            Formatter::Newline => apply(text, markup::new_lines),
            Formatter::Colon => apply(text, markup::colons),
            Formatter::Acronym => apply(text, acronyms::acronyms),
            Formatter::DollarAmount => apply(text, money::amounts),
            Formatter::Email => apply(text, addresses::emails),
            Formatter::Date => apply(text, dates::dates),
            Formatter::Time => apply(text, dates::times),
            Formatter::Unit => apply(text, measures::units),
            Formatter::Distance => apply(text, measures::distances),
            Formatter::Percentage => apply(text, measures::percentages),
            Formatter::PhoneNumber => apply(text, addresses::phone_numbers),
            Formatter::Number => apply(text, |text| numbers::numbers(text, self.digits_cutoff)),
            Formatter::StripAsterisk => apply(text, markup::asterisks),
        }
    }
}

/// Applies one step; a text that it leaves alone is not copied.
fn apply(text: &mut Cow<'_, str>, step: impl FnOnce(&str) -> Cow<'_, str>) {
    if let Cow::Owned(changed) = step(text) {
        *text = Cow::Owned(changed);
    }
}

/// A regular expression that is compiled once.
macro_rules! pattern {
    ($regex:literal) => {{
        static PATTERN: std::sync::LazyLock<regex::Regex> =
            std::sync::LazyLock::new(|| regex::Regex::new($regex).expect("a constant of ours"));
        &*PATTERN
    }};
}
use pattern;

#[cfg(test)]
mod tests;
