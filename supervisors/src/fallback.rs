//! Who may serve a stage: the provider that its document wants, those of its fallback plan, those
//! that the server would pick itself. Some cannot be set up at all: a key is missing, this version
//! does not drive them, they are gone.

use offhook_actors::{HealthKey, ProviderHealth, Roster, Staged};
use offhook_api::{StageConfig, call::Fallback};
use offhook_core::{Stage, StageFailure};
use offhook_providers::stt;
use serde_json::{Value, json};

/// Fallbacks that are looked at. The contract sets no limit; each is set up before the call is
/// acknowledged.
const FALLBACKS_MAX: usize = 16;

/// A provider that may serve a stage.
pub(crate) struct Candidate {
    pub config: StageConfig,
    /// The document names it: if it cannot be set up, somebody wants to know.
    is_wanted: bool,
}

/// What may serve a stage, in the order in which it is tried: what the document wants, then its
/// fallback plan, then what the server picks, where the plan asks for that.
pub(crate) fn candidates(
    stage: Stage,
    config: StageConfig,
    health: &ProviderHealth,
) -> Vec<Candidate> {
    let listed = listed(stage, &config);
    let picked =
        if stage == Stage::Transcriber { picked(&config, &listed, health) } else { vec![] };
    let wanted = std::iter::once(config).chain(listed).map(|it| (it, true));
    wanted
        .chain(picked.into_iter().map(|it| (it, false)))
        .map(|(config, is_wanted)| Candidate { config, is_wanted })
        .collect()
}

/// The fallbacks that a document names. Models have two lists: other models of the same provider,
/// and, as an extension of ours, models of any.
fn listed(stage: Stage, config: &StageConfig) -> Vec<StageConfig> {
    let options = &config.options;
    let plan = |list: &str| options.get("fallbackPlan")?.get(list)?.as_array();
    let same_provider = options.get("fallbackModels").and_then(Value::as_array);
    let (names, plan) = match stage {
        Stage::Transcriber => (None, plan("transcribers")),
        Stage::Voice => (None, plan("voices")),
        Stage::Model => (same_provider, plan("models")),
    };
    let named = names.into_iter().flatten().filter(|name| name.is_string()).map(|name| {
        let mut options = options.clone();
        options["model"] = name.clone();
        StageConfig { provider: config.provider.clone(), options }
    });
    let of_plan = plan.into_iter().flatten().map(|options| StageConfig {
        provider: options.get("provider").and_then(Value::as_str).unwrap_or_default().to_owned(),
        options: options.clone(),
    });
    named.chain(of_plan).take(FALLBACKS_MAX).collect()
}

/// The transcribers that the server picks for `autoFallback`: those it drives and nobody listed, that
/// understand the language, the ones that are well first, and of these the quickest.
fn picked(
    config: &StageConfig,
    listed: &[StageConfig],
    health: &ProviderHealth,
) -> Vec<StageConfig> {
    let is_enabled = config.options.pointer("/fallbackPlan/autoFallback/enabled");
    if is_enabled != Some(&Value::Bool(true)) {
        return Vec::new();
    }
    let is_listed =
        |name: &str| std::iter::once(config).chain(listed).any(|it| it.provider == name);
    let language = config.options.get("language").and_then(Value::as_str);
    let is_english = language.is_none_or(|it| it.starts_with("en"));
    let mut picked: Vec<StageConfig> = stt::ALL
        .iter()
        // One has an address of its own, the other knows one language.
        .filter(|it| it.name != "custom-transcriber" && !is_listed(it.name))
        .filter(|it| it.name != "local" || is_english)
        .filter_map(|it| {
            let mut options: Value = serde_json::from_str(it.specimen).ok()?;
            if let Some(language) = language.filter(|_| it.name != "local") {
                options["language"] = json!(language);
            }
            Some(StageConfig { provider: it.name.to_owned(), options })
        })
        .collect();
    picked.sort_by_key(|it| {
        let key = HealthKey::new(Stage::Transcriber, &it.provider);
        // The embedded one is there when all else is gone.
        (it.provider == "local", !health.allows(&key), health.ttfb(&key, 0.5))
    });
    picked
}

/// Who serves a stage.
pub(crate) struct Served<P: ?Sized> {
    pub roster: Roster<P>,
    /// Why the first is not the one that the document wants.
    pub replaced: Option<Fallback>,
    /// Fallbacks that cannot be set up, for the log.
    pub notes: Vec<String>,
}

/// All that can be set up. The failure is that of the first, in the words of all.
pub(crate) fn served<P: ?Sized>(
    candidates: impl IntoIterator<Item = Candidate>,
    build: impl Fn(StageConfig) -> Result<Vec<Staged<P>>, StageFailure>,
) -> Result<Served<P>, StageFailure> {
    let mut wanted: Option<StageFailure> = None;
    let (mut all, mut replaced, mut notes) = (Vec::new(), None, Vec::new());
    for Candidate { config, is_wanted } in candidates {
        match (build(config), &wanted) {
            (Ok(staged), Some(failure)) if all.is_empty() => {
                replaced = Some(Fallback {
                    stage: failure.stage,
                    from: failure.provider.clone(),
                    to: staged[0].name.clone(),
                    reason: failure.detail.clone(),
                });
                all = staged;
            }
            (Ok(staged), _) => all.extend(staged),
            (Err(failure), None) if all.is_empty() => wanted = Some(failure),
            (Err(failure), _) if is_wanted => {
                notes.push(failure.detail);
            }
            (Err(_), _) => {}
        }
    }
    if let Some(roster) = Roster::new(all) {
        let notes = notes.into_iter().map(|it| format!("fallback cannot be set up: {it}"));
        return Ok(Served { roster, replaced, notes: notes.collect() });
    }
    let mut failure = wanted.expect("the document's own provider is always a candidate");
    if !notes.is_empty() {
        let others = notes.join("; ");
        failure.detail = format!("{}; nor can its fallbacks be set up: {others}", failure.detail);
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use offhook_core::FailureClass;

    use super::*;

    fn config(options: Value) -> StageConfig {
        StageConfig { provider: options["provider"].as_str().unwrap().to_owned(), options }
    }

    fn voice() -> StageConfig {
        config(json!({
            "provider": "playht",
            "fallbackPlan": {"voices": [{"provider": "lmnt"}, {"provider": "cartesia"}]},
        }))
    }

    fn names(stage: Stage, config: StageConfig) -> Vec<String> {
        let candidates = candidates(stage, config, &ProviderHealth::default());
        let name = |it: Candidate| {
            let model = it.config.options["model"].as_str().unwrap_or_default().to_owned();
            format!("{} {model}", it.config.provider).trim().to_owned()
        };
        candidates.into_iter().map(name).collect()
    }

    /// Sets up those that are `alive`.
    fn pick(alive: &[&str]) -> Result<Served<()>, StageFailure> {
        let candidates = candidates(Stage::Voice, voice(), &ProviderHealth::default());
        served(candidates, |config| {
            let name = config.provider;
            if alive.contains(&name.as_str()) {
                return Ok(vec![Staged::new(Stage::Voice, &name, Arc::new(()))]);
            }
            let detail = format!("{name} is gone");
            let class = FailureClass::Unsupported;
            Err(StageFailure { stage: Stage::Voice, provider: name, class, detail })
        })
    }

    #[test]
    fn the_first_provider_that_can_be_set_up_serves_and_the_others_stand_by() {
        let served = pick(&["playht", "cartesia"]).ok().unwrap();
        let names: Vec<_> = served.roster.candidates().iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["playht", "cartesia"]);
        assert_eq!(served.replaced, None);
        assert_eq!(served.notes, ["fallback cannot be set up: lmnt is gone"]);

        let served = pick(&["cartesia"]).ok().unwrap();
        let replaced = served.replaced.unwrap();
        assert_eq!(served.roster.first().name, "cartesia");
        assert_eq!((replaced.from.as_str(), replaced.to.as_str()), ("playht", "cartesia"));
        assert_eq!(replaced.reason, "playht is gone");
    }

    #[test]
    fn without_any_the_failure_is_the_first_one_s_and_names_the_others() {
        let failure = pick(&[]).err().unwrap();
        assert_eq!(failure.provider, "playht");
        assert_eq!(
            failure.detail,
            "playht is gone; nor can its fallbacks be set up: lmnt is gone; cartesia is gone"
        );
    }

    #[test]
    fn a_model_falls_back_to_others_of_its_provider_and_then_to_those_of_our_plan() {
        let model = config(json!({"provider": "openai", "model": "a", "fallbackModels": ["b"],
            "fallbackPlan": {"models": [{"provider": "anthropic", "model": "c"}]}}));
        assert_eq!(names(Stage::Model, model), ["openai a", "openai b", "anthropic c"]);
    }

    #[test]
    fn where_the_plan_says_so_the_server_adds_whoever_understands_the_language() {
        let plan = json!({"autoFallback": {"enabled": true}});
        let custom = |language: &str| {
            let options = json!({"provider": "custom-transcriber", "fallbackPlan": plan,
                "language": language});
            names(Stage::Transcriber, config(options))
        };
        assert_eq!(custom("en-GB"), ["custom-transcriber", "deepgram nova-3", "local"]);
        assert_eq!(custom("de"), ["custom-transcriber", "deepgram nova-3"]);
        let off = json!({"provider": "deepgram", "fallbackPlan": {"transcribers": []}});
        assert_eq!(names(Stage::Transcriber, config(off)), ["deepgram"]);
    }
}
