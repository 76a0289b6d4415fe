//! JSGF (the W3C note "JSpeech Grammar Format"), as far as we must understand it: which words it
//! has, and that the C parser can be trusted with it.

use std::collections::BTreeSet;

#[derive(Debug, PartialEq)]
pub(super) struct Grammar {
    /// The grammar with its words in lower case, as the dictionary has them.
    pub text: String,
    pub words: BTreeSet<String>,
}

impl Grammar {
    pub fn parse(source: &str) -> Result<Self, String> {
        if !source.trim_start().starts_with("#JSGF") {
            return Err("expected `#JSGF V1.0;` as its first line".into());
        }
        let mut statements = statements(&without_comments(source))?;
        if statements.first().is_some_and(|first| first.first().is_some_and(|t| t == "#jsgf")) {
            statements.remove(0);
        }
        let mut grammar = Self { text: "#JSGF V1.0;\n".into(), words: BTreeSet::new() };
        if statements.iter().flatten().next().is_none_or(|first| first != "grammar") {
            grammar.text += "grammar unnamed;\n";
        }
        let is_rule = |token: &&String| token.starts_with('<');
        let defined: BTreeSet<String> =
            statements.iter().filter_map(|s| s.iter().find(is_rule).cloned()).collect();
        let undefined = (statements.iter().flatten().filter(is_rule))
            .find(|rule| !is_defined(rule, &defined))
            .cloned();
        let mut is_public = false;
        for statement in statements {
            match statement.first().map(String::as_str) {
                Some("grammar") => {}
                Some("import") => return Err("imports are not supported".into()),
                Some("public") => {
                    is_public = true;
                    grammar.collect(&statement[1..])?;
                }
                Some(_) => grammar.collect(&statement)?,
                None => continue,
            }
            grammar.text += &statement.join(" ");
            grammar.text += ";\n";
        }
        if !is_public {
            return Err("no rule in it is `public`".into());
        }
        if let Some(rule) = undefined {
            return Err(format!("the rule {rule} is used and not defined"));
        }
        Ok(grammar)
    }

    /// Notes the words of a rule: `<name> = expansion`.
    fn collect(&mut self, rule: &[String]) -> Result<(), String> {
        let [name, equals, expansion @ ..] = rule else {
            return Err("a rule without an expansion".into());
        };
        if !name.starts_with('<') || equals != "=" || expansion.is_empty() {
            return Err(format!("expected `<name> = expansion;` near `{name}`"));
        }
        let mut open = Vec::new();
        for token in expansion {
            match token.as_str() {
                "(" => open.push(")"),
                "[" => open.push("]"),
                ")" | "]" => {
                    if open.pop() != Some(token) {
                        return Err(format!("unexpected `{token}` in {name}"));
                    }
                }
                "|" | "*" | "+" => {}
                "=" => return Err(format!("a `;` is missing in {name}")),
                other if other.starts_with(['<', '/', '{']) => {}
                word => {
                    self.words.insert(word.to_owned());
                }
            }
        }
        match open.pop() {
            Some(missing) => Err(format!("a `{missing}` is missing in {name}")),
            None => Ok(()),
        }
    }
}

/// The library takes a rule that is not defined for one that nothing matches.
fn is_defined(rule: &str, defined: &BTreeSet<String>) -> bool {
    matches!(rule, "<NULL>" | "<VOID>") || defined.contains(rule)
}

/// A grammar of any number of words.
pub(super) fn any_of<'a>(words: impl Iterator<Item = &'a String>) -> String {
    let words: Vec<&str> = words.map(String::as_str).collect();
    format!("#JSGF V1.0;\ngrammar any;\npublic <any> = ( {} )+;\n", words.join(" | "))
}

fn without_comments(source: &str) -> String {
    let mut kept = String::new();
    let mut rest = source;
    while let Some(at) = rest.find("/*").into_iter().chain(rest.find("//")).min() {
        kept += &rest[..at];
        let (end, skip) = if rest[at..].starts_with("/*") { ("*/", 2) } else { ("\n", 0) };
        rest = rest[at + 2..].find(end).map_or("", |len| &rest[at + 2 + len + skip..]);
        kept.push(' ');
    }
    kept + rest
}

/// Tokens up to each `;`. Rule names, `/weights/` and `{tags}` are one token each and keep their
/// case; all else is lowered.
fn statements(source: &str) -> Result<Vec<Vec<String>>, String> {
    let mut statements = Vec::new();
    let mut statement = Vec::new();
    let mut rest = source.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            ';' => {
                statements.push(std::mem::take(&mut statement));
                rest = rest[1..].trim_start();
                continue;
            }
            '<' => enclosed(rest, '>')?,
            '{' => enclosed(rest, '}')?,
            '/' => enclosed(rest, '/')?,
            '(' | ')' | '[' | ']' | '|' | '*' | '+' | '=' => 1,
            _ => rest
                .find(|c: char| c.is_whitespace() || ";<>{}/()[]|*+=".contains(c))
                .unwrap_or(rest.len())
                .max(first.len_utf8()),
        };
        let token = &rest[..length];
        statement.push(if first == '<' || first == '{' {
            token.to_owned()
        } else {
            token.trim_matches('"').to_lowercase()
        });
        rest = rest[length..].trim_start();
    }
    if statement.is_empty() { Ok(statements) } else { Err("its last `;` is missing".into()) }
}

fn enclosed(rest: &str, end: char) -> Result<usize, String> {
    rest[1..].find(end).map(|at| at + 2).ok_or_else(|| format!("a `{end}` is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_and_lowered_and_rule_names_are_left_alone() {
        let grammar = Grammar::parse(
            "#JSGF V1.0 UTF-8 en;\ngrammar clinic; // the desk\n\
             public <Top> = /2/ Yes [please] | <Day> at (ten | o'clock)+ {tag} ;\n\
             /* days */ <Day> = Monday;",
        )
        .unwrap();

        let words: Vec<&str> = grammar.words.iter().map(String::as_str).collect();
        assert_eq!(words, ["at", "monday", "o'clock", "please", "ten", "yes"]);
        assert_eq!(
            grammar.text,
            "#JSGF V1.0;\ngrammar clinic;\n\
             public <Top> = /2/ yes [ please ] | <Day> at ( ten | o'clock ) + {tag};\n\
             <Day> = monday;\n"
        );
    }

    #[test]
    fn what_the_c_parser_could_choke_on_is_refused_with_a_reason() {
        let refused = |source: &str| Grammar::parse(source).unwrap_err();

        assert_eq!(refused("yes | no"), "expected `#JSGF V1.0;` as its first line");
        assert_eq!(refused("#JSGF V1.0;\n<a> = yes;"), "no rule in it is `public`");
        assert_eq!(refused("#JSGF V1.0;\npublic <a> = (yes;"), "a `)` is missing in <a>");
        assert_eq!(
            refused("#JSGF V1.0;\npublic <a> = yes <b>;"),
            "the rule <b> is used and not defined"
        );
        assert_eq!(refused("#JSGF V1.0;\npublic <a> = yes"), "its last `;` is missing");
        assert_eq!(refused("#JSGF V1.0;\npublic <a = yes;"), "a `>` is missing");
        assert_eq!(
            refused("#JSGF V1.0;\npublic a = yes;"),
            "expected `<name> = expansion;` near `a`"
        );
        assert_eq!(refused("#JSGF V1.0;\npublic <a> = yes <b> = no;"), "a `;` is missing in <a>");
    }
}
