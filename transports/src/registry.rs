/// Why a leg could not be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    #[error("transport provider `{name}` is not driven by this version, expected one of: {known}")]
    Unknown { name: String, known: String },
    #[error("bad options for transport provider `{name}`: {reason}")]
    Options { name: &'static str, reason: String },
}

/// Declares the modules and collects their `TRANSPORT`s, so that one line adds one transport.
macro_rules! transports {
    ($($module:ident),+ $(,)?) => {
        $(mod $module;)+

        /// A kind of leg: its name in a call's document, and how its codec is set up.
        pub struct Transport {
            /// The value of `transport.provider` in the document.
            pub name: &'static str,
            /// A carrier opens the leg, and not a client of ours.
            pub is_carrier: bool,
            /// Takes the `transport` object of the document.
            pub build: fn(
                options: &serde_json::Value,
            ) -> Result<Box<dyn $crate::LegCodec>, $crate::BuildError>,
        }

        pub static ALL: &[Transport] = &[$($module::TRANSPORT),+];

        /// Whether it is a carrier that opens the leg that `options.provider` names.
        pub fn is_carrier(options: &serde_json::Value) -> bool {
            ALL.iter().any(|transport| transport.is_carrier && options["provider"] == transport.name)
        }

        /// Sets up the codec of the leg that `options.provider` names.
        pub fn build(
            options: &serde_json::Value,
        ) -> Result<Box<dyn $crate::LegCodec>, $crate::BuildError> {
            let name =
                options.get("provider").and_then(serde_json::Value::as_str).unwrap_or_default();
            let Some(transport) = ALL.iter().find(|transport| transport.name == name) else {
                return Err($crate::BuildError::Unknown {
                    name: name.into(),
                    known: ALL.iter().map(|t| t.name).collect::<Vec<_>>().join(", "),
                });
            };
            (transport.build)(options)
        }
    };
}
pub(crate) use transports;
