//! How a provider is asked, for free, whether it is there and takes a key.

use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::timeout;

use crate::{
    Access, Net,
    net::{
        address::{self, label},
        http::causes,
        socket::key_header,
    },
};

/// How a provider is probed.
#[derive(Clone, Copy, Debug)]
pub enum Probe {
    /// It runs on this machine and has no key.
    Embedded,
    /// Each document has an address of its own.
    Document,
    /// It has a resource that costs nothing to read.
    Resource(FreeResource),
}

/// Something that costs nothing to read.
#[derive(Clone, Copy, Debug)]
pub struct FreeResource {
    /// The provider's own address.
    pub address: &'static str,
    /// Segments of the path below it.
    pub path: &'static [&'static str],
    /// Header that the key is sent in, and what stands before it there.
    pub header: &'static str,
    pub scheme: &'static str,
    /// Further headers, without which it is refused.
    pub headers: &'static [(&'static str, &'static str)],
    /// It is refused without a good key; otherwise it only shows that somebody is there.
    pub checks_key: bool,
    /// Words of a refusal to keys that are good, and not for this resource.
    pub good_anyway: &'static str,
}

/// The resource of most: a list of models that a bearer token opens.
pub(crate) const BEARER: FreeResource = FreeResource {
    address: "",
    path: &["models"],
    header: "authorization",
    scheme: "Bearer ",
    headers: &[],
    checks_key: true,
    good_anyway: "",
};

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The key is good; how long the answer took, connecting included.
    KeyGood {
        took: Duration,
    },
    /// Somebody is there; whether a key is good does not show.
    Reachable {
        took: Duration,
    },
    KeyRefused {
        status: u16,
    },
    /// It answers, but not as it should.
    Strange {
        status: u16,
    },
    /// What was tried, on what, and why it failed.
    Unreachable {
        reason: String,
    },
}

/// How much of a refusal is read, in bytes: its code stands at the beginning.
const BODY_BYTES_MAX: usize = 4 << 10;

impl FreeResource {
    /// Reads the resource as a call would reach the provider; `limit` bounds all of it.
    pub async fn ask(&self, access: &Access, net: &Net, limit: Duration) -> Answer {
        let unreachable = |reason| Answer::Unreachable { reason };
        let url = match address::endpoint(self.address, access, self.path) {
            Ok(url) => address::http(url),
            Err(reason) => return unreachable(reason),
        };
        let headers = match self.headers(access) {
            Ok(headers) => headers,
            Err(reason) => return unreachable(reason),
        };
        let place = label(&url);
        let asked = Instant::now();
        let asking = async {
            let mut answer = net.http.get(url).headers(headers).send().await?;
            let status = answer.status().as_u16();
            let mut body = Vec::new();
            if matches!(status, 401 | 403) && !self.good_anyway.is_empty() {
                while let Some(part) = answer.chunk().await? {
                    body.extend_from_slice(&part);
                    if body.len() >= BODY_BYTES_MAX {
                        break;
                    }
                }
            }
            Ok::<_, reqwest::Error>((status, body))
        };
        let (status, body) = match timeout(limit, asking).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return unreachable(format!("{place}: {}", causes(&error))),
            Err(_) => return unreachable(format!("{place}: no answer within {limit:?}")),
        };
        let took = asked.elapsed();
        let checks_key = self.checks_key && access.api_key.is_some();
        let is_good_anyway = !self.good_anyway.is_empty()
            && String::from_utf8_lossy(&body).contains(self.good_anyway);
        match status {
            200..300 if checks_key => Answer::KeyGood { took },
            401 | 403 if checks_key && is_good_anyway => Answer::KeyGood { took },
            401 | 403 if checks_key => Answer::KeyRefused { status },
            // A server of one's own may have nothing there.
            200..300 | 401 | 403 | 404 | 405 => Answer::Reachable { took },
            status => Answer::Strange { status },
        }
    }

    fn headers(&self, access: &Access) -> Result<HeaderMap, String> {
        let name = HeaderName::from_static(self.header);
        let mut headers = key_header(name, self.scheme, access.api_key.as_ref())?;
        for (name, value) in self.headers {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        llm,
        net::testing::{Server, net},
        stt, tts,
    };

    const LIMIT: Duration = Duration::from_secs(5);

    fn resources() -> Vec<(&'static str, FreeResource)> {
        let probes = (llm::ALL.iter().map(|it| (it.name, it.probe)))
            .chain(stt::ALL.iter().map(|it| (it.name, it.probe)))
            .chain(tts::ALL.iter().map(|it| (it.name, it.probe)));
        probes
            .filter_map(|(name, probe)| match probe {
                Probe::Resource(resource) => Some((name, resource)),
                Probe::Embedded | Probe::Document => None,
            })
            .collect()
    }

    /// What is made of a status and a body, and the head of the request.
    async fn asked(resource: FreeResource, status: u16, body: &'static str) -> (Answer, String) {
        let (sender, mut seen) = tokio::sync::mpsc::channel(1);
        let server = Server::http(move |mut server| async move {
            let mut asked = server.accept().await;
            sender.send(asked.head.clone()).await.unwrap();
            asked.answer(status, "", body).await;
        })
        .await;
        let answer = resource.ask(&server.access(), &net(), LIMIT).await;
        server.finished().await;
        (answer, seen.recv().await.unwrap())
    }

    #[tokio::test]
    async fn every_provider_is_asked_with_its_key_where_it_lives() {
        for (name, resource) in resources() {
            assert!(address::endpoint(resource.address, &Access::default(), &[]).is_ok(), "{name}");
            let (answer, head) = asked(resource, 200, "{}").await;
            assert!(head.starts_with("get /"), "{head}");
            assert!(head.contains(&format!("{}: ", resource.header)), "{name}: {head}");
            assert!(head.contains("key-1"), "{name}: {head}");
            match answer {
                Answer::KeyGood { .. } => assert!(resource.checks_key, "{name}"),
                Answer::Reachable { .. } => assert!(!resource.checks_key, "{name}"),
                Answer::KeyRefused { .. } | Answer::Strange { .. } | Answer::Unreachable { .. } => {
                    panic!("{name}: {answer:?}")
                }
            }
        }
    }

    #[tokio::test]
    async fn a_refused_key_is_told_from_one_that_may_not_read_this() {
        let of =
            |wanted: &str| resources().into_iter().find(|(name, _)| *name == wanted).unwrap().1;
        let (answer, _) =
            asked(of("11labs"), 401, r#"{"detail":{"status":"invalid_api_key"}}"#).await;
        assert_eq!(answer, Answer::KeyRefused { status: 401 });
        let restricted = r#"{"detail":{"status":"missing_permissions"}}"#;
        let (answer, _) = asked(of("11labs"), 401, restricted).await;
        assert!(matches!(answer, Answer::KeyGood { .. }), "{answer:?}");
        let (answer, _) = asked(of("openai"), 500, "").await;
        assert_eq!(answer, Answer::Strange { status: 500 });
    }

    #[tokio::test]
    async fn nobody_there_is_told_with_the_address_and_without_the_key() {
        let access = Access {
            api_key: Some("secret".into()),
            base_url: Some("http://user:secret@127.0.0.1:1".into()),
        };
        let (_, resource) = resources().remove(0);
        let answer = resource.ask(&access, &net(), LIMIT).await;
        let Answer::Unreachable { reason } = answer else { panic!("{answer:?}") };
        assert!(reason.contains("127.0.0.1:1") && !reason.contains("secret"), "{reason}");
    }
}
