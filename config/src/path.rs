//! Names of settings, in the spelling of files and of variables.

use std::fmt;

pub(crate) const PREFIX: &str = "OFFHOOK_";
const SEPARATOR: &str = "__";

/// Stands for a name that the user chooses.
const ANY: &str = "<name>";

/// The way to a setting: section, key, and for some a name in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path(Vec<String>);

impl Path {
    pub(crate) fn new(segments: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(segments.into_iter().map(Into::into).collect())
    }

    /// As in a file or a flag: `server.listen`.
    pub(crate) fn dotted(text: &str) -> Self {
        Self::new(text.split('.'))
    }

    /// As in a variable: `OFFHOOK_SERVER__LISTEN`. Names that the user chooses have hyphens where the
    /// variable has underscores.
    pub(crate) fn variable(name: &str) -> Option<Self> {
        let segments = name.strip_prefix(PREFIX)?.split(SEPARATOR);
        let mut path = Self::new(segments.map(str::to_ascii_lowercase));
        let name_at = match path.0.first()?.as_str() {
            "providers" => 1,
            "auth" if path.0.get(1).is_some_and(|key| key == "orgs") => 2,
            _ => return Some(path),
        };
        if let Some(name) = path.0.get_mut(name_at) {
            *name = name.replace('_', "-");
        }
        Some(path)
    }

    pub(crate) fn to_variable(&self) -> String {
        let segments: Vec<String> =
            self.0.iter().map(|it| it.to_ascii_uppercase().replace('-', "_")).collect();
        format!("{PREFIX}{}", segments.join(SEPARATOR))
    }

    pub(crate) fn segments(&self) -> &[String] {
        &self.0
    }

    /// Whether it is the setting that `key` describes.
    pub(crate) fn matches(&self, key: &str) -> bool {
        self.0.len() == key.split('.').count() && self.agrees(key)
    }

    /// Whether it leads to what holds the setting, not to the setting.
    pub(crate) fn is_above(&self, key: &str) -> bool {
        self.0.len() < key.split('.').count() && self.agrees(key)
    }

    fn agrees(&self, key: &str) -> bool {
        self.0.iter().zip(key.split('.')).all(|(name, known)| known == ANY || name == known)
    }

    /// The setting that `key` describes, with the names that this path has in the same places.
    pub(crate) fn complete(&self, key: &str) -> Self {
        Self::new(key.split('.').enumerate().map(|(at, known)| match self.0.get(at) {
            Some(name) if known == ANY => name.clone(),
            _ => known.to_owned(),
        }))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_dotted_names_are_the_same_settings() {
        for (variable, dotted) in [
            ("OFFHOOK_SERVER__LISTEN", "server.listen"),
            ("OFFHOOK_CALLS__STT_STALL_TIMEOUT", "calls.stt_stall_timeout"),
            ("OFFHOOK_PROVIDERS__ASSEMBLY_AI__API_KEY", "providers.assembly-ai.api_key"),
            ("OFFHOOK_PROVIDERS__11LABS__BASE_URL", "providers.11labs.base_url"),
            ("OFFHOOK_AUTH__ORGS__ACME_CLINIC", "auth.orgs.acme-clinic"),
        ] {
            let path = Path::variable(variable).unwrap();
            assert_eq!(path.to_string(), dotted);
            assert_eq!(path.to_variable(), variable);
        }
        assert_eq!(Path::variable("PATH"), None);
    }
}
