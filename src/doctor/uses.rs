//! Which providers the stored assistants use.

use offhook_core::Stage;
use offhook_providers::dead::{self, DeadService};
use serde_json::Value;

use super::{Finding, documents::Assistant};

/// Providers with their model or voice that are looked at, so that a store of thousands of documents
/// does not become a flood of requests.
const USES_MAX: usize = 50;

/// Documents that are listed by name.
const LISTED_MAX: usize = 50;

/// A provider as documents use it, with one model or voice.
#[derive(Clone, Debug, PartialEq)]
pub struct Use {
    pub stage: Stage,
    pub provider: String,
    /// The model or voice.
    pub subject: String,
    /// The stage's object of the first document that has it.
    pub options: Value,
    /// Where that is.
    pub place: String,
    /// Documents that have it.
    pub documents: usize,
    /// A document wants it and has nobody else in a fallback plan.
    pub is_needed: bool,
}

/// What the documents name.
#[derive(Debug, Default)]
pub struct Found {
    /// Each provider and model or voice once, those of most documents first.
    pub uses: Vec<Use>,
    /// Documents that name a service which is gone.
    pub gone: Vec<Finding>,
}

/// One provider that a document names.
struct Named<'a> {
    stage: Stage,
    provider: &'a str,
    options: &'a Value,
    /// Its path in the document.
    path: String,
    is_fallback: bool,
}

pub fn of(documents: &[Assistant]) -> Found {
    let mut found = Found::default();
    let mut unlisted = 0;
    for document in documents {
        let all = named(&document.body);
        for named in &all {
            match dead::find(kind(named.stage), named.provider) {
                Some(service) if found.gone.len() < LISTED_MAX => {
                    found.gone.push(gone(document, named, service, &all));
                }
                Some(_) => unlisted += 1,
                None => {
                    let mut others = all.iter().filter(|it| it.stage == named.stage);
                    let is_needed = !named.is_fallback && !others.any(|it| it.is_fallback);
                    note(&mut found.uses, document, named, is_needed);
                }
            }
        }
    }
    if unlisted > 0 {
        let advice = "change the listed ones and ask again";
        found.gone.push(Finding::problem("further places", unlisted.to_string(), advice));
    }
    found.uses.sort_by_key(|it| std::cmp::Reverse(it.documents));
    found.uses.truncate(USES_MAX);
    found
}

/// The trait that serves a stage.
pub const fn kind(stage: Stage) -> &'static str {
    match stage {
        Stage::Transcriber => "Stt",
        Stage::Model => "Llm",
        Stage::Voice => "Tts",
    }
}

/// The model or voice of a stage's object.
pub fn subject(stage: Stage, options: &Value) -> String {
    let text = |name: &str| options.get(name).and_then(Value::as_str).filter(|it| !it.is_empty());
    let voice = || match (text("voiceId"), text("model")) {
        (Some(voice), Some(model)) => Some(format!("{voice} ({model})")),
        (voice, model) => voice.or(model).map(str::to_owned),
    };
    let subject = match stage {
        Stage::Transcriber | Stage::Model => text("model").map(str::to_owned),
        Stage::Voice => voice(),
    };
    subject.unwrap_or_default()
}

fn named(document: &Value) -> Vec<Named<'_>> {
    let stages = [
        (Stage::Transcriber, "transcriber", "transcribers"),
        (Stage::Model, "model", "models"),
        (Stage::Voice, "voice", "voices"),
    ];
    let mut all = Vec::new();
    for (stage, field, list) in stages {
        let options = &document[field];
        let mut add = |options, path, is_fallback| {
            if let Some(provider) = provider_of(options) {
                all.push(Named { stage, provider, options, path, is_fallback });
            }
        };
        add(options, field.to_owned(), false);
        let fallbacks = options["fallbackPlan"][list].as_array();
        for (index, fallback) in fallbacks.map_or(&[][..], Vec::as_slice).iter().enumerate() {
            add(fallback, format!("{field}.fallbackPlan.{list}[{index}]"), true);
        }
    }
    all
}

fn provider_of(options: &Value) -> Option<&str> {
    options.get("provider").and_then(Value::as_str)
}

fn note(uses: &mut Vec<Use>, document: &Assistant, named: &Named, is_needed: bool) {
    let subject = subject(named.stage, named.options);
    let is_same = |it: &&mut Use| {
        it.stage == named.stage && it.provider == named.provider && it.subject == subject
    };
    if let Some(known) = uses.iter_mut().find(is_same) {
        known.documents += 1;
        known.is_needed |= is_needed;
        return;
    }
    uses.push(Use {
        stage: named.stage,
        provider: named.provider.to_owned(),
        subject,
        options: named.options.clone(),
        place: format!("{}, {}", document.title(), named.path),
        documents: 1,
        is_needed,
    });
}

fn gone(document: &Assistant, named: &Named, service: &DeadService, all: &[Named<'_>]) -> Finding {
    let DeadService { title, since, story, .. } = service;
    let found = format!("{} {}: {title} is gone since {since} ({story})", document.id, named.path);
    let is_alive = |it: &&Named| dead::find(kind(it.stage), it.provider).is_none();
    let replacement = all.iter().filter(|it| it.stage == named.stage && it.is_fallback);
    match replacement.filter(is_alive).map(|it| it.provider).next() {
        _ if named.is_fallback => {
            Finding::warning(&document.title(), found, "take it out of the plan")
        }
        Some(other) => {
            let advice = format!("calls use {other} of its fallback plan; better name that first");
            Finding::warning(&document.title(), found, advice)
        }
        None => {
            let advice =
                format!("calls of it end at once: name another provider in {}", named.path);
            Finding::problem(&document.title(), found, advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::State, *};

    fn assistant(name: &str, body: Value) -> Assistant {
        let mut body = body;
        body["name"] = name.into();
        Assistant { id: format!("id-of-{name}"), body }
    }

    #[test]
    fn each_provider_and_voice_is_named_once_with_its_first_document() {
        let voice = json!({"provider": "11labs", "voiceId": "v1", "model": "m"});
        let documents = [
            assistant("a", json!({"voice": voice, "model": {"provider": "openai", "model": "x"}})),
            assistant("b", json!({"voice": voice, "model": {"provider": "openai", "model": "y"}})),
            assistant("c", json!({"model": null, "transcriber": "nonsense"})),
        ];
        let found = of(&documents);
        let shown: Vec<_> = found
            .uses
            .iter()
            .map(|it| (it.provider.as_str(), it.subject.as_str(), it.documents, it.place.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                ("11labs", "v1 (m)", 2, "assistant `a`, voice"),
                ("openai", "x", 1, "assistant `a`, model"),
                ("openai", "y", 1, "assistant `b`, model"),
            ]
        );
        assert!(found.gone.is_empty());
    }

    #[test]
    fn documents_that_name_a_dead_service_are_listed_with_the_field() {
        let dead = json!({"provider": "playht", "voiceId": "x"});
        let alive = json!({"provider": "cartesia", "voiceId": "x"});
        let plan = |voices: &[&Value]| {
            let mut voice = dead.clone();
            voice["fallbackPlan"] = json!({"voices": voices});
            json!({"voice": voice})
        };
        let found = of(&[
            assistant("a", plan(&[])),
            assistant("b", plan(&[&dead, &alive])),
            assistant("c", json!({"model": {"provider": "perplexity-ai", "model": "sonar"}})),
        ]);
        let shown: Vec<_> = found
            .gone
            .iter()
            .map(|it| (it.subject.as_str(), it.state, it.found.split(':').next().unwrap()))
            .collect();
        assert_eq!(
            shown,
            [
                ("assistant `a`", State::Problem, "id-of-a voice"),
                ("assistant `b`", State::Warning, "id-of-b voice"),
                ("assistant `b`", State::Warning, "id-of-b voice.fallbackPlan.voices[0]"),
                ("assistant `c`", State::Problem, "id-of-c model"),
            ]
        );
        assert!(found.gone[0].found.contains("2025-12-31"));
        assert!(found.gone[1].advice.as_ref().unwrap().contains("cartesia"));
        assert!(!found.uses[0].is_needed, "cartesia is a fallback alone");
    }
}
