//! Who serves a stage when the provider that its document wants cannot be set up at all: its key is
//! missing, it is not driven by this version, it is gone.

use offhook_actors::Staged;
use offhook_api::{StageConfig, call::Fallback};
use offhook_core::{Stage, StageFailure};
use serde_json::Value;

/// Fallbacks that are looked at. The contract sets no limit; each is set up before the call is
/// acknowledged.
const FALLBACKS_MAX: usize = 16;

/// What may serve a stage, in the order in which it is tried: what the document wants, then its
/// fallback plan. Models have no such plan.
pub(crate) fn candidates(
    stage: Stage,
    config: StageConfig,
) -> impl Iterator<Item = StageConfig> + use<> {
    let list = match stage {
        Stage::Transcriber => Some("transcribers"),
        Stage::Voice => Some("voices"),
        Stage::Model => None,
    };
    let plan = config.options.get("fallbackPlan");
    let listed = list.and_then(|list| plan?.get(list)?.as_array());
    let fallbacks: Vec<StageConfig> = listed
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .take(FALLBACKS_MAX)
        .map(|options| StageConfig {
            provider: options
                .get("provider")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            options: options.clone(),
        })
        .collect();
    std::iter::once(config).chain(fallbacks)
}

/// The first that can be set up; with it, why it is not the one that the document wants. The failure
/// is that of the first, in the words of all.
pub(crate) fn first<P: ?Sized>(
    candidates: impl Iterator<Item = StageConfig>,
    build: impl Fn(StageConfig) -> Result<Staged<P>, StageFailure>,
) -> Result<(Staged<P>, Option<Fallback>), StageFailure> {
    let mut wanted: Option<StageFailure> = None;
    let mut others = Vec::new();
    for config in candidates {
        match (build(config), &wanted) {
            (Ok(staged), None) => return Ok((staged, None)),
            (Ok(staged), Some(failure)) => {
                let fallback = Fallback {
                    stage: failure.stage,
                    from: failure.provider.clone(),
                    to: staged.name.clone(),
                    reason: failure.detail.clone(),
                };
                return Ok((staged, Some(fallback)));
            }
            (Err(failure), None) => wanted = Some(failure),
            (Err(failure), Some(_)) => others.push(failure.detail),
        }
    }
    let mut failure = wanted.expect("the document's own provider is always a candidate");
    if !others.is_empty() {
        let others = others.join("; ");
        failure.detail = format!("{}; nor can its fallbacks be set up: {others}", failure.detail);
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use offhook_core::FailureClass;
    use serde_json::json;

    use super::*;

    fn voice() -> StageConfig {
        let options = json!({
            "provider": "playht",
            "fallbackPlan": {"voices": [{"provider": "lmnt"}, {"provider": "cartesia"}]},
        });
        StageConfig { provider: "playht".into(), options }
    }

    /// Sets up those that are `alive`.
    fn pick(alive: &[&str]) -> Result<(Staged<()>, Option<Fallback>), StageFailure> {
        first(candidates(Stage::Voice, voice()), |config| {
            let name = config.provider;
            if alive.contains(&name.as_str()) {
                return Ok(Staged { name, provider: Arc::new(()) });
            }
            let detail = format!("{name} is gone");
            let class = FailureClass::Unsupported;
            Err(StageFailure { stage: Stage::Voice, provider: name, class, detail })
        })
    }

    #[test]
    fn the_first_provider_that_can_be_set_up_serves_the_call() {
        let (staged, replaced) = pick(&["playht", "cartesia"]).ok().unwrap();
        assert_eq!((staged.name.as_str(), replaced), ("playht", None));
        let (staged, replaced) = pick(&["cartesia"]).ok().unwrap();
        let replaced = replaced.unwrap();
        assert_eq!(staged.name, "cartesia");
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
    fn a_model_has_no_fallback_plan_of_this_kind() {
        assert_eq!(candidates(Stage::Model, voice()).count(), 1);
        assert_eq!(candidates(Stage::Voice, voice()).count(), 3);
    }
}
