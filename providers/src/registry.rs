use crate::dead::DeadService;

/// Why a provider could not be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    #[error("{kind} provider `{name}` is not driven by this version, expected one of: {known}")]
    Unknown { kind: &'static str, name: String, known: String },
    #[error(
        "{title} (`{name}`) is gone since {since}: {story}; name another provider in the document, or \
         one in its fallback plan"
    )]
    Dead { name: &'static str, title: &'static str, since: &'static str, story: &'static str },
    #[error("bad options for {kind} provider `{name}`: {reason}")]
    Options { kind: &'static str, name: String, reason: String },
    #[error("{kind} provider `{name}` needs an API key: set {variable}")]
    KeyMissing { kind: &'static str, name: String, variable: &'static str },
}

impl From<&DeadService> for BuildError {
    fn from(dead: &DeadService) -> Self {
        let DeadService { name, title, since, story, .. } = *dead;
        Self::Dead { name, title, since, story }
    }
}

/// Declares the modules and collects their `PROVIDER`s, so that one line adds one provider.
macro_rules! providers {
    ($kind:ident : $($module:ident),+ $(,)?) => {
        $(mod $module;)+

        /// A provider: its name in an assistant's document, and how it is set up.
        pub struct Provider {
            /// The value of `provider` in the document.
            pub name: &'static str,
            /// The environment variable that customarily holds its key; empty when it needs none.
            pub key_variable: &'static str,
            pub probe: $crate::probe::Probe,
            /// The stage's object to try it with where no document names it, as JSON; empty where
            /// it has no model or voice that everybody may use.
            pub specimen: &'static str,
            /// Takes the stage's object of the document (`transcriber`, `model` or `voice`).
            pub build: fn(options: &Value, access: &Access, net: &Net) -> Result<Box<dyn $kind>, BuildError>,
        }

        pub static ALL: &[Provider] = &[$($module::PROVIDER),+];

        /// Sets up the provider that `options.provider` names.
        pub fn build(options: &Value, access: &Access, net: &Net) -> Result<Box<dyn $kind>, BuildError> {
            let name = options.get("provider").and_then(Value::as_str).unwrap_or_default();
            let Some(provider) = ALL.iter().find(|p| p.name == name) else {
                if let Some(dead) = $crate::dead::find(stringify!($kind), name) {
                    return Err(dead.into());
                }
                return Err(BuildError::Unknown {
                    kind: stringify!($kind),
                    name: name.into(),
                    known: ALL.iter().map(|p| p.name).collect::<Vec<_>>().join(", "),
                });
            };
            (provider.build)(options, access, net)
        }
    };
}
pub(crate) use providers;
