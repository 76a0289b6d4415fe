//! Reads an expression word by word: what it may not hold is found with its place, and what the
//! parser spells differently is written in the parser's way.

use super::{BadWaitFunction, CONSTANTS, FOLDS, FUNCTIONS};

/// Parentheses within parentheses; the parser reads them by recursion.
const DEPTH_MAX: usize = 32;

/// The name of the doubt.
const VARIABLE: &str = "x";

/// What stood before the place that is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Nothing, an operator, a parenthesis that opened: a number has to follow.
    Nothing,
    /// A sign that is no subtraction.
    Sign,
    /// `^`.
    Power,
    /// A function's name: its parenthesis has to follow.
    Function(Group),
    /// A number, or a parenthesis that closed; what its own beginning stood behind decides
    /// whether it may be raised to a power.
    Operand(Behind),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    Sign,
    Power,
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    Plain,
    One,
    /// A function of several numbers, and how many of them came.
    Fold {
        name: &'static str,
        arguments: usize,
    },
}

/// Checks `source` and writes it in the parser's spelling: `max(a, b)` is `((a)max(b))`, and no
/// number has an exponent.
pub(super) fn translate(source: &str) -> Result<String, BadWaitFunction> {
    let chars: Vec<char> = source.chars().collect();
    let mut reading = Reading { out: String::new(), before: Before::Nothing, open: Vec::new() };
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let length = match c {
            c if c.is_whitespace() => 1,
            c if c.is_ascii_digit() || c == '.' => number(&chars[at..]),
            c if c.is_ascii_alphabetic() => word(&chars[at..]),
            _ => 1,
        };
        let token: String = chars[at..at + length].iter().collect();
        if !c.is_whitespace() {
            reading
                .take(&token)
                .map_err(|problem| BadWaitFunction { at: Some(at + 1), problem })?;
        }
        at += length;
    }
    reading.finish().map_err(|problem| BadWaitFunction { at: Some(chars.len() + 1), problem })
}

struct Reading {
    out: String,
    before: Before,
    /// The groups that are open, and what each stood behind.
    open: Vec<(Group, Behind)>,
}

impl Reading {
    fn take(&mut self, token: &str) -> Result<(), String> {
        match token {
            "(" => self.opens(),
            ")" => self.closes(),
            "," => self.separates(),
            "+" | "-" | "*" | "/" | "%" | "^" => self.operates(token),
            _ if token.starts_with(|c: char| c.is_ascii_digit() || c == '.') => self.number(token),
            _ if token.starts_with(|c: char| c.is_ascii_alphabetic()) => self.name(token),
            _ => Err(format!("unexpected `{token}`")),
        }
    }

    fn finish(self) -> Result<String, String> {
        match self.before {
            Before::Operand(_) if self.open.is_empty() => Ok(self.out),
            Before::Operand(_) => Err("expected `)`".into()),
            Before::Function(_) => Err(self.no_parenthesis()),
            Before::Nothing | Before::Sign | Before::Power => Err(OPERAND.into()),
        }
    }

    fn operates(&mut self, token: &str) -> Result<(), String> {
        let is_sign = matches!(token, "+" | "-");
        self.before = match (self.before, token) {
            (Before::Operand(Behind::Sign), "^") => return Err("write -(a^b) or (-a)^b".into()),
            (Before::Operand(Behind::Power), "^") => {
                return Err("write (a^b)^c or a^(b^c)".into());
            }
            (Before::Operand(Behind::Other), "^") => Before::Power,
            (Before::Operand(_), _) => Before::Nothing,
            (Before::Nothing | Before::Sign | Before::Power, _) if is_sign => Before::Sign,
            (Before::Nothing | Before::Sign | Before::Power, _) => return Err(OPERAND.into()),
            (Before::Function(_), _) => return Err(self.no_parenthesis()),
        };
        self.out.push_str(token);
        Ok(())
    }

    fn number(&mut self, token: &str) -> Result<(), String> {
        let behind = self.operand()?;
        let number = token.parse::<f64>().ok().filter(|number| number.is_finite());
        let number = number.ok_or_else(|| format!("`{token}` is no number"))?;
        // Rust writes numbers out in full.
        self.out.push_str(&number.to_string());
        self.before = Before::Operand(behind);
        Ok(())
    }

    fn name(&mut self, token: &str) -> Result<(), String> {
        let behind = self.operand()?;
        if token == VARIABLE || CONSTANTS.iter().any(|(name, _)| *name == token) {
            self.out.push_str(token);
            self.before = Before::Operand(behind);
            return Ok(());
        }
        let fold = FOLDS.iter().find(|(name, _)| *name == token);
        let group = match fold {
            Some((name, _)) => Group::Fold { name, arguments: 1 },
            None if FUNCTIONS.iter().any(|(name, _)| *name == token) => {
                self.out.push_str(token);
                Group::One
            }
            None => return Err(format!("there is no `{token}`")),
        };
        self.open.push((group, behind));
        self.before = Before::Function(group);
        Ok(())
    }

    fn opens(&mut self) -> Result<(), String> {
        match self.before {
            // The group was opened with the function's name.
            Before::Function(Group::Fold { .. }) => self.out.push_str("(("),
            Before::Function(Group::One | Group::Plain) => self.out.push('('),
            Before::Nothing | Before::Sign | Before::Power | Before::Operand(_) => {
                let behind = self.operand()?;
                self.open.push((Group::Plain, behind));
                self.out.push('(');
            }
        }
        if self.open.len() > DEPTH_MAX {
            return Err(format!("parentheses must not be nested deeper than {DEPTH_MAX} levels"));
        }
        self.before = Before::Nothing;
        Ok(())
    }

    fn closes(&mut self) -> Result<(), String> {
        let Some((group, behind)) = self.open.last().copied() else {
            return Err("unexpected `)`".into());
        };
        self.needs_operand()?;
        match group {
            Group::Fold { name, arguments: 1 } => {
                return Err(format!("`{name}` takes two numbers or more"));
            }
            Group::Fold { .. } => self.out.push_str("))"),
            Group::Plain | Group::One => self.out.push(')'),
        }
        self.open.pop();
        self.before = Before::Operand(behind);
        Ok(())
    }

    fn separates(&mut self) -> Result<(), String> {
        self.needs_operand()?;
        match self.open.last_mut() {
            Some((Group::Fold { name, arguments }, _)) if *name != "pow" || *arguments == 1 => {
                *arguments += 1;
                self.out.push(')');
                self.out.push_str(name);
                self.out.push('(');
                self.before = Before::Nothing;
                Ok(())
            }
            Some(_) | None => Err("unexpected `,`".into()),
        }
    }

    /// A number may stand here; what it stands behind.
    fn operand(&self) -> Result<Behind, String> {
        match self.before {
            Before::Nothing => Ok(Behind::Other),
            Before::Sign => Ok(Behind::Sign),
            Before::Power => Ok(Behind::Power),
            Before::Function(_) => Err(self.no_parenthesis()),
            Before::Operand(_) => Err("expected an operator".into()),
        }
    }

    fn needs_operand(&self) -> Result<(), String> {
        match self.before {
            Before::Operand(_) => Ok(()),
            Before::Function(_) => Err(self.no_parenthesis()),
            Before::Nothing | Before::Sign | Before::Power => Err(OPERAND.into()),
        }
    }

    fn no_parenthesis(&self) -> String {
        match self.open.last() {
            Some((Group::Fold { name, .. }, _)) => format!("expected `(` behind `{name}`"),
            Some(_) | None => {
                let start =
                    self.out.rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |i| i + 1);
                format!("expected `(` behind `{}`", &self.out[start..])
            }
        }
    }
}

const OPERAND: &str = "expected a number, `x` or a function";

/// Characters of the number that `chars` begin with, its exponent included.
fn number(chars: &[char]) -> usize {
    let digits =
        |from: usize| chars[from..].iter().take_while(|c| c.is_ascii_digit() || **c == '.').count();
    let mantissa = digits(0);
    let Some('e' | 'E') = chars.get(mantissa) else { return mantissa };
    let sign = usize::from(matches!(chars.get(mantissa + 1), Some('+' | '-')));
    match digits((mantissa + 1 + sign).min(chars.len())) {
        0 => mantissa,
        exponent => mantissa + 1 + sign + exponent,
    }
}

/// Characters of the name that `chars` begin with.
fn word(chars: &[char]) -> usize {
    chars.iter().take_while(|c| c.is_ascii_alphanumeric() || **c == '_').count()
}
