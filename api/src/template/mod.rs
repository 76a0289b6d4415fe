//! Liquid templates: `{{variables}}` and tags in the strings of an assistant.
//!
//! The language is LiquidJS's as far as prompts use it. Templates and their values come from
//! clients, so parsing and rendering are bounded (see `limits.rs`).

mod blocks;
mod dates;
mod filters;
mod limits;
mod numbers;
mod scope;

use std::{
    borrow::Cow,
    panic::{AssertUnwindSafe, catch_unwind},
};

use liquid_core::{
    Language, Object, Renderable, Runtime, Template, parser,
    runtime::{RuntimeBuilder, StackFrame},
};
use liquid_lib::stdlib;
use serde_json::Value;

pub use dates::default_variables;
pub use limits::{OUTPUT_BYTES_MAX, TEMPLATE_BYTES_MAX};

/// Renders the templates of one document with one set of variables.
pub struct Renderer {
    language: Language,
    variables: Object,
    clock: dates::Clock,
    budget: limits::Budget,
}

impl Renderer {
    /// `variables` is an object; `now_ms` is what `"now" | date` means, in epoch milliseconds.
    pub fn new(variables: &Value, now_ms: i64) -> Self {
        Self {
            language: language(),
            variables: liquid_core::to_object(variables).unwrap_or_default(),
            clock: dates::Clock::at(now_ms),
            budget: limits::Budget::default(),
        }
    }

    /// Renders one template. Text without `{{` and `{%` comes back as it is.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the template; the caller uses the text as it was.
    pub fn render<'t>(&mut self, text: &'t str) -> Result<Cow<'t, str>, String> {
        if !is_template(text) {
            return Ok(Cow::Borrowed(text));
        }
        if let Some(refusal) = limits::refuse(text) {
            return Err(refusal);
        }
        // The library panics on some malformed templates (a number that fits no `i64` among
        // them). A client's template must not end anything but its own rendering.
        let mut budget = self.budget;
        let rendered = catch_unwind(AssertUnwindSafe(|| self.render_parsed(text, &mut budget)));
        self.budget = budget;
        match rendered {
            Ok(Ok(text)) => Ok(Cow::Owned(text)),
            Ok(Err(error)) => Err(first_line(&error.to_string())),
            Err(_panic) => Err("it is no valid template".into()),
        }
    }

    fn render_parsed(
        &self,
        text: &str,
        budget: &mut limits::Budget,
    ) -> liquid_core::Result<String> {
        let template = Template::new(parser::parse(text, &self.language)?);
        let globals = RuntimeBuilder::new().set_globals(&self.variables).build();
        *globals.registers().get_mut::<limits::Budget>() = *budget;
        *globals.registers().get_mut::<dates::Clock>() = self.clock.clone();
        let scope = scope::Lenient::new(StackFrame::new(&globals, Object::new()));
        let mut output = limits::BoundedOutput::default();
        let rendered = template.render_to(&mut output, &scope);
        *budget = *globals.registers().get_mut::<limits::Budget>();
        output.finish(rendered)
    }
}

/// Whether a text has anything to render in it.
pub fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

fn language() -> Language {
    let mut language = Language::empty();
    let blocks: [Box<dyn liquid_core::ParseBlock>; 7] = [
        Box::new(stdlib::IfBlock),
        Box::new(stdlib::UnlessBlock),
        Box::new(stdlib::CaseBlock),
        Box::new(stdlib::CommentBlock),
        Box::new(stdlib::RawBlock),
        Box::new(blocks::Capture),
        Box::new(blocks::For),
    ];
    for block in blocks {
        language.blocks.register(block.reflection().start_tag().to_owned(), block);
    }
    let tags: [Box<dyn liquid_core::ParseTag>; 3] =
        [Box::new(stdlib::BreakTag), Box::new(stdlib::ContinueTag), Box::new(blocks::Assign)];
    for tag in tags {
        language.tags.register(tag.reflection().tag().to_owned(), tag);
    }
    for filter in filters::all() {
        language.filters.register(filter.reflection().name().to_owned(), filter);
    }
    language
}

/// The library's errors quote the template over several lines; the first says what is wrong.
fn first_line(error: &str) -> String {
    /// Longest part of an error that is passed on, in characters.
    const ERROR_CHARS_MAX: usize = 200;
    let text: Vec<&str> = error.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let said = text
        .iter()
        .find(|line| line.starts_with("= "))
        .map_or_else(|| text.first().copied().unwrap_or_default(), |line| &line[2..]);
    let said = said.strip_prefix("liquid: ").unwrap_or(said);
    said.chars().take(ERROR_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
