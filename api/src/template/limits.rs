//! What a template may cost. Templates come from clients, and so do the values in them.

use std::io::{self, Write};

use liquid_core::{Error, Result, Runtime, Value, model::ScalarCow};

/// Longest template, in bytes. A system prompt of 20,000 words fits.
pub const TEMPLATE_BYTES_MAX: usize = 128 * 1024;
/// Longest output of one template, and longest value that it may build on the way, in bytes.
pub const OUTPUT_BYTES_MAX: usize = 256 * 1024;
/// Bytes that the templates of one document may read, build and write together.
const WORK_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Rounds of all loops of one document together.
const ROUNDS_MAX: usize = 2_000;
/// Bytes that every look-up, filter and loop round counts for, besides the value's own.
const STEP_BYTES: usize = 16;

/// Outputs and tags of one template, the ends of blocks included. The parser calls itself for
/// each nested block, so this bounds its stack too.
const TAGS_MAX: usize = 400;
const OUTPUTS_MAX: usize = 1_000;
/// Longest tag or output, in bytes: a condition nests once for each `and` and `or` in it.
const TAG_BYTES_MAX: usize = 4_096;
/// Nested `a[b[c]]`; the parser calls itself for each.
const INDEX_DEPTH_MAX: usize = 8;
/// Digits in a row within tags: 18 always fit an `i64`, which the parser takes for granted.
const DIGITS_MAX: usize = 18;
/// White space in a row: the grammar looks ahead through all of it at each character.
const WHITESPACE_RUN_MAX: usize = 256;

/// What is left to spend, for all templates of a document together.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    work_bytes: usize,
    rounds: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { work_bytes: WORK_BYTES_MAX, rounds: ROUNDS_MAX }
    }
}

/// Counts a step that handled `bytes` bytes.
pub fn charge(runtime: &dyn Runtime, bytes: usize) -> Result<()> {
    let mut budget = runtime.registers().get_mut::<Budget>();
    match budget.work_bytes.checked_sub(bytes.saturating_add(STEP_BYTES)) {
        Some(left) => {
            budget.work_bytes = left;
            Ok(())
        }
        None => {
            budget.work_bytes = 0;
            Err(Error::with_msg(format!(
                "the document's templates need more than {WORK_BYTES_MAX} bytes of work"
            )))
        }
    }
}

/// Counts one round of a loop.
pub fn charge_round(runtime: &dyn Runtime) -> Result<()> {
    {
        let mut budget = runtime.registers().get_mut::<Budget>();
        budget.rounds = budget.rounds.checked_sub(1).ok_or_else(|| {
            Error::with_msg(format!("the document's loops need more than {ROUNDS_MAX} rounds"))
        })?;
    }
    charge(runtime, 0)
}

/// Counts a value that a filter, `assign` or `capture` built.
pub fn charge_value(runtime: &dyn Runtime, value: &Value) -> Result<()> {
    let bytes = size_of(value);
    check_size(bytes)?;
    charge(runtime, bytes)
}

/// Refuses a value that is too large, ideally before it is built.
pub fn check_size(bytes: usize) -> Result<()> {
    if bytes > OUTPUT_BYTES_MAX {
        return Err(Error::with_msg(format!("a value is larger than {OUTPUT_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// Roughly the memory that a value takes, in bytes.
pub fn size_of(value: &Value) -> usize {
    const NODE_BYTES: usize = 16;
    NODE_BYTES
        + match value {
            Value::Scalar(scalar) => scalar_size(&scalar.as_ref()),
            Value::Array(items) => items.iter().map(size_of).sum(),
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| name.len() + size_of(value)).sum()
            }
            Value::State(_) | Value::Nil => 0,
        }
}

fn scalar_size(scalar: &ScalarCow<'_>) -> usize {
    use liquid_core::model::ValueView as _;
    if scalar.to_integer().is_some() { 0 } else { scalar.to_kstr().len() }
}

/// Why a template is not even parsed.
pub fn refuse(template: &str) -> Option<String> {
    if template.len() > TEMPLATE_BYTES_MAX {
        return Some(format!("it is longer than {TEMPLATE_BYTES_MAX} bytes"));
    }
    for (marker, max) in [("{%", TAGS_MAX), ("{{", OUTPUTS_MAX)] {
        if template.matches(marker).count() > max {
            return Some(format!("it has more than {max} times `{marker}`"));
        }
    }
    let (mut digits, mut spaces, mut depth) = (0, 0, 0_usize);
    // Where the tag that we are in began.
    let mut inside = None;
    let mut previous = '\0';
    for (at, character) in template.char_indices() {
        match (previous, character) {
            ('{', '{' | '%') => (inside, depth) = (Some(at), 0),
            ('}' | '%', '}') => inside = None,
            _ => {}
        }
        digits = if character.is_ascii_digit() { digits + 1 } else { 0 };
        spaces = if character.is_whitespace() { spaces + 1 } else { 0 };
        match character {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if inside.is_some_and(|began| at - began > TAG_BYTES_MAX) {
            return Some(format!("it has a tag of more than {TAG_BYTES_MAX} bytes"));
        }
        if inside.is_some() && digits > DIGITS_MAX {
            return Some(format!("it has a number of more than {DIGITS_MAX} digits"));
        }
        if inside.is_some() && depth > INDEX_DEPTH_MAX {
            return Some(format!("it nests more than {INDEX_DEPTH_MAX} brackets"));
        }
        if spaces > WHITESPACE_RUN_MAX {
            return Some(format!("it has more than {WHITESPACE_RUN_MAX} blanks in a row"));
        }
        previous = character;
    }
    None
}

/// Output that fails once it is longer than [`OUTPUT_BYTES_MAX`].
#[derive(Default)]
pub struct BoundedOutput {
    bytes: Vec<u8>,
    overflowed: bool,
}

impl BoundedOutput {
    /// What was written; an error in place of the library's own when it was too much.
    pub fn finish(self, rendered: Result<()>) -> Result<String> {
        if self.overflowed {
            return Err(Error::with_msg(format!(
                "the output is longer than {OUTPUT_BYTES_MAX} bytes"
            )));
        }
        rendered.map(|()| String::from_utf8_lossy(&self.bytes).into_owned())
    }
}

impl Write for BoundedOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > OUTPUT_BYTES_MAX {
            self.overflowed = true;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
