//! `assign`, `capture` and `for`, with the limits that the library's own lack.

use std::io::Write;

use liquid_core::{
    BlockReflection, Error, Expression, Language, ParseBlock, ParseTag, Renderable, Result,
    Runtime, TagBlock, TagReflection, TagTokenIter, Template, Value, ValueView,
    model::KString,
    object,
    parser::{BlockElement, FilterChain, TryMatchToken},
    runtime::{Interrupt, InterruptRegister, StackFrame},
};

use super::{
    limits::{self, BoundedOutput},
    scope::Lenient,
};

/// `{% assign name = value | filter %}`
#[derive(Clone, Debug)]
pub struct Assign;

impl TagReflection for Assign {
    fn tag(&self) -> &str {
        "assign"
    }

    fn description(&self) -> &str {
        "names a value"
    }
}

impl ParseTag for Assign {
    fn parse(
        &self,
        mut words: TagTokenIter<'_>,
        language: &Language,
    ) -> Result<Box<dyn Renderable>> {
        let name = identifier(&mut words)?;
        words
            .expect_next("expected `=`")?
            .expect_str("=")
            .into_result_custom_msg("expected `=`")?;
        let value =
            words.expect_next("expected a value")?.expect_filter_chain(language).into_result()?;
        words.expect_nothing()?;
        Ok(Box::new(Assignment { name, value }))
    }

    fn reflection(&self) -> &dyn TagReflection {
        self
    }
}

#[derive(Debug)]
struct Assignment {
    name: KString,
    value: FilterChain,
}

impl Renderable for Assignment {
    fn render_to(&self, _output: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
        let value = self.value.evaluate(runtime)?.into_owned();
        limits::charge_value(runtime, &value)?;
        runtime.set_global(self.name.clone(), value);
        Ok(())
    }
}

/// `{% capture name %}...{% endcapture %}`
#[derive(Clone, Debug)]
pub struct Capture;

impl BlockReflection for Capture {
    fn start_tag(&self) -> &str {
        "capture"
    }

    fn end_tag(&self) -> &str {
        "endcapture"
    }

    fn description(&self) -> &str {
        "names what is written in it"
    }
}

impl ParseBlock for Capture {
    fn parse(
        &self,
        mut words: TagTokenIter<'_>,
        mut body: TagBlock<'_, '_>,
        language: &Language,
    ) -> Result<Box<dyn Renderable>> {
        let name = identifier(&mut words)?;
        words.expect_nothing()?;
        let body_elements = body.parse_all(language)?;
        body.assert_empty();
        Ok(Box::new(Captured { name, body: Template::new(body_elements) }))
    }

    fn reflection(&self) -> &dyn BlockReflection {
        self
    }
}

#[derive(Debug)]
struct Captured {
    name: KString,
    body: Template,
}

impl Renderable for Captured {
    fn render_to(&self, _output: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
        let mut output = BoundedOutput::default();
        let rendered = self.body.render_to(&mut output, runtime);
        let value = Value::scalar(output.finish(rendered)?);
        limits::charge_value(runtime, &value)?;
        runtime.set_global(self.name.clone(), value);
        Ok(())
    }
}

/// `{% for item in list limit:2 offset:1 reversed %}...{% else %}...{% endfor %}`
#[derive(Clone, Debug)]
pub struct For;

impl BlockReflection for For {
    fn start_tag(&self) -> &str {
        "for"
    }

    fn end_tag(&self) -> &str {
        "endfor"
    }

    fn description(&self) -> &str {
        "repeats what is written in it"
    }
}

impl ParseBlock for For {
    fn parse(
        &self,
        mut words: TagTokenIter<'_>,
        mut body: TagBlock<'_, '_>,
        language: &Language,
    ) -> Result<Box<dyn Renderable>> {
        let name = identifier(&mut words)?;
        words
            .expect_next("expected `in`")?
            .expect_str("in")
            .into_result_custom_msg("expected `in`")?;
        let list = words.expect_next("expected a list or a range")?;
        let source = match list.expect_value() {
            TryMatchToken::Matches(list) => Source::List(list),
            TryMatchToken::Fails(other) => {
                let (first, last) = other.expect_range().into_result()?;
                Source::Range(first, last)
            }
        };
        let mut repeat = Repeat {
            name,
            source,
            limit: None,
            offset: None,
            reversed: false,
            body: Template::new(Vec::new()),
            otherwise: None,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "limit" => repeat.limit = Some(attribute(&mut words)?),
                "offset" => repeat.offset = Some(attribute(&mut words)?),
                "reversed" => repeat.reversed = true,
                _ => {
                    return Err(word.raise_custom_error("expected `limit`, `offset` or `reversed`"));
                }
            }
        }
        let mut elements = Vec::new();
        while let Some(element) = body.next()? {
            if matches!(&element, BlockElement::Tag(tag) if tag.name() == "else") {
                repeat.otherwise = Some(Template::new(body.parse_all(language)?));
                break;
            }
            elements.push(element.parse(&mut body, language)?);
        }
        body.assert_empty();
        repeat.body = Template::new(elements);
        Ok(Box::new(repeat))
    }

    fn reflection(&self) -> &dyn BlockReflection {
        self
    }
}

#[derive(Debug)]
enum Source {
    List(Expression),
    Range(Expression, Expression),
}

#[derive(Debug)]
struct Repeat {
    name: KString,
    source: Source,
    limit: Option<Expression>,
    offset: Option<Expression>,
    reversed: bool,
    body: Template,
    otherwise: Option<Template>,
}

impl Repeat {
    fn items(&self, runtime: &dyn Runtime) -> Result<Vec<Value>> {
        let mut items = match &self.source {
            Source::List(list) => {
                let list = list.evaluate(runtime)?.into_owned();
                limits::charge(runtime, limits::size_of(&list))?;
                items_of(list)?
            }
            Source::Range(first, last) => {
                let (first, last) = (integer(first, runtime)?, integer(last, runtime)?);
                let mut items = Vec::new();
                for number in first..=last {
                    // A range costs a round for each of its numbers before the first is used.
                    limits::charge_round(runtime)?;
                    items.push(Value::scalar(number));
                }
                items
            }
        };
        if let Some(offset) = &self.offset {
            let offset = usize::try_from(integer(offset, runtime)?).unwrap_or(0);
            items.drain(..offset.min(items.len()));
        }
        if let Some(limit) = &self.limit {
            items.truncate(usize::try_from(integer(limit, runtime)?).unwrap_or(0));
        }
        if self.reversed {
            items.reverse();
        }
        Ok(items)
    }
}

impl Renderable for Repeat {
    fn render_to(&self, output: &mut dyn Write, runtime: &dyn Runtime) -> Result<()> {
        let items = self.items(runtime)?;
        if items.is_empty() {
            return match &self.otherwise {
                Some(otherwise) => otherwise.render_to(output, runtime),
                None => Ok(()),
            };
        }
        let length = items.len();
        for (index, item) in items.into_iter().enumerate() {
            limits::charge_round(runtime)?;
            let position = object!({
                "index": index as i64 + 1,
                "index0": index as i64,
                "rindex": (length - index) as i64,
                "rindex0": (length - index) as i64 - 1,
                "first": index == 0,
                "last": index + 1 == length,
                "length": length as i64,
            });
            let mut scope = object!({ "forloop": position });
            scope.insert(self.name.clone(), item);
            let scope = Lenient::new(StackFrame::new(runtime, scope));
            self.body.render_to(output, &scope)?;
            let interrupt = runtime.registers().get_mut::<InterruptRegister>().reset();
            if interrupt == Some(Interrupt::Break) {
                break;
            }
        }
        Ok(())
    }
}

fn items_of(list: Value) -> Result<Vec<Value>> {
    match list {
        Value::Array(items) => Ok(items),
        Value::Object(fields) => Ok(fields
            .into_iter()
            .map(|(name, value)| Value::Array(vec![Value::scalar(name), value]))
            .collect()),
        Value::Nil | Value::State(_) => Ok(Vec::new()),
        Value::Scalar(scalar) if scalar.as_ref().to_kstr().is_empty() => Ok(Vec::new()),
        Value::Scalar(_) => Err(Error::with_msg("expected a list to loop over")),
    }
}

fn identifier(words: &mut TagTokenIter<'_>) -> Result<KString> {
    let word = words.expect_next("expected a name")?.expect_identifier().into_result()?;
    Ok(KString::from_ref(word))
}

fn attribute(words: &mut TagTokenIter<'_>) -> Result<Expression> {
    words.expect_next("expected `:`")?.expect_str(":").into_result_custom_msg("expected `:`")?;
    words.expect_next("expected a number")?.expect_value().into_result()
}

fn integer(expression: &Expression, runtime: &dyn Runtime) -> Result<i64> {
    let value = expression.evaluate(runtime)?;
    value
        .as_scalar()
        .and_then(|scalar| scalar.to_integer())
        .ok_or_else(|| Error::with_msg("expected a whole number"))
}
