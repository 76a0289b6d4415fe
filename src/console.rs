//! What commands print: plain lines, coloured on a terminal.

use std::{
    fmt::Display,
    io::{IsTerminal, Write},
};

/// Standard output, as a person or a file sees it.
#[derive(Clone, Copy)]
pub struct Console {
    coloured: bool,
}

/// What a text means, which decides its colour.
#[derive(Clone, Copy)]
pub enum Style {
    Heading,
    Aside,
    Caller,
    Agent,
    Good,
    Warning,
    Bad,
}

impl Console {
    /// Colours only where somebody sees them, and unless they asked for none (no-color.org).
    pub fn new() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { coloured: wanted && std::io::stdout().is_terminal() }
    }

    #[cfg(test)]
    pub const fn plain() -> Self {
        Self { coloured: false }
    }

    /// Prints a line. A reader that went away is no reason to stop a call.
    pub fn line(&self, text: impl Display) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    /// Prints an empty line and a heading.
    pub fn heading(&self, text: &str) {
        self.line(format_args!("\n{}", self.paint(Style::Heading, text)));
    }

    pub fn paint(&self, style: Style, text: &str) -> String {
        if !self.coloured || text.is_empty() {
            return text.to_owned();
        }
        let code = match style {
            Style::Heading => "1",
            Style::Aside => "2",
            Style::Caller => "36",
            Style::Agent => "33",
            Style::Good => "32",
            Style::Warning => "33",
            Style::Bad => "1;31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Lays out rows in columns; the columns whose heading begins with a space are of numbers, which
/// stand at the right.
pub fn table(console: Console, headings: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([headings[column].trim().chars().count()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let lay_out = |cells: &[String]| {
        let cells = cells.iter().enumerate().map(|(column, cell)| {
            let width = widths[column];
            match headings[column].starts_with(' ') {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let names: Vec<String> = headings.iter().map(|name| name.trim().to_owned()).collect();
    let mut lines = vec![console.paint(Style::Aside, &lay_out(&names))];
    lines.extend(rows.iter().map(|row| lay_out(row)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stand_at_the_left_and_numbers_at_the_right() {
        let rows = [vec!["hello".to_owned(), "5 ms".to_owned()], vec!["é".into(), "120 ms".into()]];
        let lines = table(Console::plain(), &["said", " took"], &rows);
        assert_eq!(lines, ["said     took", "hello    5 ms", "é      120 ms"]);
    }
}
