//! A request's JSON, and what a model was found not to take of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::{Map, Value};

/// The two names of the limit of a reply: where one is refused, the other is meant.
const TOKEN_LIMITS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

pub(super) struct Body {
    json: Map<String, Value>,
    /// Parameters that a reply can do without: given up when the model refuses them.
    dispensable: Vec<&'static str>,
}

/// A parameter that a model refused, as a path, and the name that takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    path: Vec<String>,
    renamed: Option<&'static str>,
}

impl Body {
    pub fn new(json: Map<String, Value>, dispensable: Vec<&'static str>) -> Self {
        Self { json, dispensable }
    }

    pub fn json(&self) -> &Map<String, Value> {
        &self.json
    }

    pub fn json_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.json
    }

    /// Takes out the parameter that the endpoint refused, if it was sent and is dispensable.
    pub fn give_up(&mut self, param: &str) -> Option<Change> {
        let path: Vec<String> = param.split('.').map(Into::into).collect();
        let first = path.first()?.as_str();
        let limit = TOKEN_LIMITS.iter().position(|name| *name == first);
        let renamed = limit.map(|index| TOKEN_LIMITS[1 - index]);
        if renamed.is_none() && !self.dispensable.contains(&first) {
            return None;
        }
        let change = Change { path, renamed };
        self.apply(&change).then_some(change)
    }

    /// Takes out the first dispensable parameter that was sent and that the endpoint's complaint
    /// names, in whatever spelling.
    pub fn give_up_named_in(&mut self, complaint: &str) -> Option<Change> {
        let plain = |text: &str| text.replace('_', "").to_lowercase();
        let complaint = plain(complaint);
        let mut names = self.dispensable.iter();
        let named = names
            .find(|name| self.json.contains_key(**name) && complaint.contains(&plain(name)))?;
        self.give_up(named)
    }

    fn apply(&mut self, change: &Change) -> bool {
        let Some((last, parents)) = change.path.split_last() else { return false };
        let mut object = &mut self.json;
        for name in parents {
            match object.get_mut(name) {
                Some(Value::Object(inner)) => object = inner,
                Some(_) | None => return false,
            }
        }
        let Some(value) = object.shift_remove(last) else { return false };
        if let Some(name) = change.renamed {
            object.insert(name.into(), value);
        }
        true
    }
}

/// What a model refused before, so that only the first reply pays for it. At most one entry for
/// each parameter that can be given up.
#[derive(Clone, Default)]
pub(super) struct Learned(Arc<Mutex<BTreeMap<String, Change>>>);

impl Learned {
    pub fn apply(&self, body: &mut Body) {
        let learned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for change in learned.values() {
            body.apply(change);
        }
    }

    pub fn remember(&self, change: Change) {
        let mut learned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        learned.insert(change.path.join("."), change);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body() -> Body {
        let Value::Object(json) =
            json!({"temperature": 1, "reasoning_effort": "low", "model": "m"})
        else {
            panic!("an object")
        };
        Body::new(json, vec!["reasoning_effort", "temperature", "thinking"])
    }

    #[test]
    fn a_complaint_names_a_parameter_in_any_spelling() {
        let mut refused = body();
        let complaint = "Argument not supported on this model: reasoningEffort";
        assert!(refused.give_up_named_in(complaint).is_some());
        assert!(!refused.json().contains_key("reasoning_effort"));
        assert!(refused.give_up_named_in(complaint).is_none(), "it is gone");
    }

    #[test]
    fn a_complaint_about_what_matters_or_was_not_sent_changes_nothing() {
        for complaint in ["the model `m` does not exist", "thinking is refused", ""] {
            assert!(body().give_up_named_in(complaint).is_none(), "{complaint}");
        }
    }
}
