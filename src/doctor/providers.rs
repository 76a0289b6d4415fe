//! Whether providers are reachable and take the keys.

use std::time::Instant;

use futures_util::future::join_all;
use offhook_config::{Provider, Settings};
use reqwest::{Client, Url};
use secrecy::ExposeSecret;

use super::{ANSWER_LIMIT, Finding, addresses};

/// A provider that says for free whether it takes a key.
struct Known {
    /// As documents call it.
    name: &'static str,
    variable: &'static str,
    address: &'static str,
    /// Resource that is read, below the address.
    resource: &'static str,
    header: &'static str,
    /// What stands before the key in the header.
    scheme: &'static str,
}

/// Deepgram "List Projects", OpenAI "List models", ElevenLabs "Get user".
const KNOWN: &[Known] = &[
    Known {
        name: "deepgram",
        variable: "DEEPGRAM_API_KEY",
        address: "https://api.deepgram.com",
        resource: "v1/projects",
        header: "authorization",
        scheme: "Token ",
    },
    Known {
        name: "openai",
        variable: "OPENAI_API_KEY",
        address: "https://api.openai.com/v1",
        resource: "models",
        header: "authorization",
        scheme: "Bearer ",
    },
    Known {
        name: "11labs",
        variable: "ELEVENLABS_API_KEY",
        address: "https://api.elevenlabs.io",
        resource: "v1/user",
        header: "xi-api-key",
        scheme: "",
    },
];

/// Every provider that is known or configured, all at once.
pub async fn examine(settings: &Settings, http: &Client) -> Vec<Finding> {
    let unset = Provider::default();
    let known = KNOWN.iter().map(|known| {
        let provider = settings.providers.get(known.name).unwrap_or(&unset);
        known.examine(provider, http)
    });
    let others = settings
        .providers
        .iter()
        .filter(|(name, _)| KNOWN.iter().all(|known| known.name != name.as_str()))
        .map(|(name, provider)| other(name, provider, http));
    let (known, others) = tokio::join!(join_all(known), join_all(others));
    known.into_iter().chain(others).collect()
}

impl Known {
    async fn examine(&self, provider: &Provider, http: &Client) -> Finding {
        let subject = format!("provider `{}`", self.name);
        let Some(key) = &provider.api_key else {
            let Some(base_url) = &provider.base_url else {
                return Finding::warning(
                    &subject,
                    "no key: calls that use it fail",
                    format!("set {} or providers.{}.api_key", self.variable, self.name),
                );
            };
            return reachable(&subject, base_url, http).await;
        };
        let address = provider.base_url.as_deref().unwrap_or(self.address);
        let url = match self.url(provider.base_url.as_deref()) {
            Ok(url) => url,
            Err(error) => return broken(&subject, self.name, &error),
        };
        let value = format!("{}{}", self.scheme, key.expose_secret());
        let asked = Instant::now();
        let request = http.get(url).header(self.header, value).timeout(ANSWER_LIMIT);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                let found = format!("{address}: {}", addresses::reason(&error));
                return Finding::problem(
                    &subject,
                    found,
                    "check the network, or providers.*.base_url",
                );
            }
        };
        let took_ms = asked.elapsed().as_millis();
        let status = answer.status().as_u16();
        let body = answer.text().await.unwrap_or_default();
        match status {
            200..300 => Finding::ok(&subject, format!("{address} takes the key ({took_ms} ms)")),
            // A key of ElevenLabs may be good for speech and for nothing else.
            401 if body.contains("missing_permissions") => Finding::ok(
                &subject,
                format!("{address} knows the key, which may not read the user"),
            ),
            401 | 403 => Finding::problem(
                &subject,
                format!("{address} refuses the key ({status})"),
                format!("set {} to a key that is valid", self.variable),
            ),
            _ => Finding::warning(
                &subject,
                format!("{address} is reachable; /{} answers with {status}", self.resource),
                "whether it takes the key shows in the first call",
            ),
        }
    }

    /// As calls reach it: an address without a path takes over that of the provider.
    fn url(&self, base_url: Option<&str>) -> Result<Url, String> {
        let own = Url::parse(self.address).map_err(|error| error.to_string())?;
        let mut url = match base_url {
            None => own,
            Some(base_url) => {
                let mut url = plain(base_url)?;
                if matches!(url.path(), "" | "/") {
                    url.set_path(own.path());
                }
                url
            }
        };
        let path = format!("{}/{}", url.path().trim_end_matches('/'), self.resource);
        url.set_path(&path);
        Ok(url)
    }
}

/// A provider that cannot be asked about its key.
async fn other(name: &str, provider: &Provider, http: &Client) -> Finding {
    let subject = format!("provider `{name}`");
    match &provider.base_url {
        Some(base_url) => reachable(&subject, base_url, http).await,
        None => Finding::ok(&subject, "has a key, which only a call can try"),
    }
}

async fn reachable(subject: &str, base_url: &str, http: &Client) -> Finding {
    let url = match plain(base_url) {
        Ok(url) => url,
        Err(error) => return broken(subject, "*", &error),
    };
    match addresses::get(http, url.as_str()).await {
        Ok(_) => Finding::ok(subject, format!("{base_url} is reachable")),
        Err(error) => {
            let advice = "start it, or correct providers.*.base_url";
            Finding::problem(subject, format!("{base_url}: {error}"), advice)
        }
    }
}

fn broken(subject: &str, name: &str, error: &str) -> Finding {
    let advice =
        format!("correct providers.{name}.base_url, for example https://gateway.example.com");
    Finding::problem(subject, format!("base_url is no address: {error}"), advice)
}

/// The address for a plain request: a websocket's is at the same host.
fn plain(base_url: &str) -> Result<Url, String> {
    let plain = match base_url.strip_prefix("ws") {
        Some(rest) => format!("http{rest}"),
        None => base_url.to_owned(),
    };
    Url::parse(&plain).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use axum::{
        Router,
        http::{HeaderMap, StatusCode},
        routing::get,
    };

    use super::{super::State, *};
    use crate::client::local_http;

    /// A provider that takes the key `good`, in any header.
    async fn provider() -> String {
        let answer = |headers: HeaderMap| async move {
            let is_good = headers.values().any(|value| {
                value.to_str().is_ok_and(|value| value.split(' ').next_back() == Some("good"))
            });
            if is_good { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
        };
        let router = Router::new()
            .route("/v1/projects", get(answer))
            .route("/v1/models", get(answer))
            .route("/gateway/v1/user", get(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    async fn examined(providers: &[(&str, &str, &str)]) -> Vec<(String, State)> {
        let http = local_http(ANSWER_LIMIT).unwrap();
        let providers = providers
            .iter()
            .map(|(name, key, url)| {
                let api_key = (!key.is_empty()).then(|| (*key).into());
                let base_url = (!url.is_empty()).then(|| (*url).to_owned());
                ((*name).to_owned(), Provider { api_key, base_url })
            })
            .collect();
        let settings = Settings { providers, ..Settings::default() };
        let findings = examine(&settings, &http).await;
        assert!(findings.iter().all(|finding| !finding.found.contains("good")), "{findings:?}");
        findings.into_iter().map(|finding| (finding.subject, finding.state)).collect()
    }

    #[tokio::test]
    async fn keys_are_tried_where_calls_would_use_them() {
        let url = provider().await;
        let gateway = format!("{url}/gateway");
        let found = examined(&[
            ("deepgram", "good", &url),
            ("openai", "bad", &url),
            ("11labs", "good", &gateway),
        ])
        .await;
        let states: Vec<State> = found.iter().map(|(_, state)| *state).collect();
        assert_eq!(states, [State::Ok, State::Problem, State::Ok]);
    }

    #[tokio::test]
    async fn a_provider_without_a_key_is_a_warning_and_one_that_is_gone_a_problem() {
        let url = provider().await;
        let found = examined(&[
            ("11labs", "good", "http://127.0.0.1:1"),
            ("cartesia", "good", ""),
            ("vllm", "", &url.replacen("http", "ws", 1)),
        ])
        .await;
        let found: Vec<(&str, State)> =
            found.iter().map(|(subject, state)| (subject.as_str(), *state)).collect();
        assert_eq!(
            found,
            [
                ("provider `deepgram`", State::Warning),
                ("provider `openai`", State::Warning),
                ("provider `11labs`", State::Problem),
                ("provider `cartesia`", State::Ok),
                ("provider `vllm`", State::Ok),
            ]
        );
    }
}
