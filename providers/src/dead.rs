//! Services that are gone for good. Documents may name them, as the contract does; no call can use
//! them.

/// A service that was shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadService {
    /// The capability that it had: `Tts` or `Llm`.
    pub kind: &'static str,
    /// The value of `provider` in documents.
    pub name: &'static str,
    /// What it is known as.
    pub title: &'static str,
    /// When it ended: a day or a month (ISO 8601).
    pub since: &'static str,
    /// What happened, and what there is instead, for the operator.
    pub story: &'static str,
}

pub static ALL: &[DeadService] = &[
    DeadService {
        kind: "Tts",
        name: "playht",
        title: "PlayHT",
        since: "2025-12-31",
        story: "its maker was bought and ended the service",
    },
    DeadService {
        kind: "Tts",
        name: "lmnt",
        title: "LMNT",
        since: "2026-09",
        story: "its maker ended the service",
    },
    // dev.hume.ai, page "Text-to-speech", notice of the end of TTS and EVI.
    DeadService {
        kind: "Tts",
        name: "hume",
        title: "Hume",
        since: "2026-11-13",
        story: "its maker ended the APIs for speech",
    },
    // Sonar became the Agent API, which speaks another protocol.
    DeadService {
        kind: "Llm",
        name: "perplexity-ai",
        title: "Perplexity's chat completions",
        since: "2026-09-27",
        story: "its maker replaced them by another API",
    },
];

/// The dead service of this capability and name.
pub fn find(kind: &str, name: &str) -> Option<&'static DeadService> {
    ALL.iter().find(|service| service.kind == kind && service.name == name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Access, BuildError, llm, net::testing::net, tts};

    #[test]
    fn a_dead_service_is_refused_with_what_happened_to_it() {
        let access = Access { api_key: Some("key".into()), base_url: None };
        for service in ALL {
            let document = json!({"provider": service.name, "voiceId": "v", "model": "m"});
            let refused = match service.kind {
                "Llm" => llm::build(&document, &access, &net()).err(),
                _ => tts::build(&document, &access, &net()).err(),
            };
            let refused = refused.unwrap();
            assert!(matches!(refused, BuildError::Dead { .. }), "{refused:?}");
            let text = refused.to_string();
            assert!(text.contains(service.since) && text.contains("name another"), "{text}");
        }
    }

    #[test]
    fn nobody_is_dead_and_driven() {
        for service in ALL {
            assert!(llm::ALL.iter().all(|provider| provider.name != service.name));
            assert!(tts::ALL.iter().all(|provider| provider.name != service.name));
        }
        assert_eq!(find("Llm", "lmnt"), None);
    }
}
