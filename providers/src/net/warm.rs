//! Connections that are opened before they are needed: a handshake takes as long as a short word,
//! and is better done while nobody waits.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, timeout};
use url::Url;

use crate::Net;

/// How long a host counts as connected to after it was asked, so that two hundred calls ask once:
/// a little less than the pool keeps an idle connection.
pub(super) const WARM_FOR: Duration = Duration::from_secs(40);

/// Hosts that are remembered. Documents may name any; one that finds no room is not warmed.
const HOSTS_MAX: usize = 256;

/// Longest wait for the answer, which nobody reads.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// When each host was last connected to ahead of time.
#[derive(Clone, Debug, Default)]
pub(super) struct Warmth(Arc<Mutex<HashMap<String, Instant>>>);

impl Warmth {
    /// True when the host is to be connected to: once in a while.
    fn claim(&self, host: String, now: Instant) -> bool {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.get(&host).is_some_and(|at| *at + WARM_FOR > now) {
            return false;
        }
        if hosts.len() >= HOSTS_MAX {
            hosts.retain(|_, at| *at + WARM_FOR > now);
        }
        let is_room = hosts.len() < HOSTS_MAX || hosts.contains_key(&host);
        if is_room {
            hosts.insert(host, now);
        }
        is_room
    }
}

impl Net {
    /// Connects to the host of an address unless that was done lately, and leaves the connection
    /// in the pool. It asks for the head of the host's root without a key and ignores the answer:
    /// the pool opens no connection without a request.
    ///
    /// Returns at once; the task behind it is bounded.
    pub(crate) fn warm(&self, url: &Url) {
        let mut root = url.clone();
        root.set_path("/");
        root.set_query(None);
        // The clients for either kind of address have pools of their own.
        let host = format!("{} {}", self.is_for_document, root);
        if !self.warmth.claim(host, Instant::now()) {
            return;
        }
        let asking = self.http.head(root).send();
        tokio::spawn(async move {
            let is_warm = matches!(timeout(ANSWER_LIMIT, asking).await, Ok(Ok(_)));
            tracing::debug!(is_warm, "connected ahead of time");
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        sync::oneshot,
        task::yield_now,
    };

    use super::*;
    use crate::{
        Access, llm,
        net::testing::{Server, net, within},
        tts,
    };

    #[test]
    fn a_host_is_connected_to_once_in_a_while() {
        let (warmth, now) = (Warmth::default(), Instant::now());
        let claim = |host: &str, at| warmth.claim(host.to_owned(), at);
        assert!(claim("a", now));
        assert!((0..200).all(|n| !claim("a", now + WARM_FOR * n / 201)), "many calls ask once");
        assert!(claim("b", now));
        assert!(claim("a", now + WARM_FOR));
    }

    #[test]
    fn hosts_out_of_documents_do_not_pile_up() {
        let (warmth, now) = (Warmth::default(), Instant::now());
        for n in 0..HOSTS_MAX * 2 {
            assert_eq!(warmth.claim(n.to_string(), now), n < HOSTS_MAX);
        }
        assert!(warmth.claim("later".into(), now + WARM_FOR));
        assert_eq!(warmth.0.lock().unwrap().len(), 1);
    }

    /// What a server is asked when one that is built for it is told to connect.
    async fn asked(warm: impl FnOnce(Value, &Access)) -> String {
        let (tell, told) = oneshot::channel();
        let server = Server::http(|mut server| async move {
            tell.send(server.accept().await.head).unwrap();
        })
        .await;
        let url = format!("{}/v1", server.base_url);
        let document = json!({"model": "m", "voiceId": "v", "url": url, "server": {"url": url}});
        warm(document, &server.access());
        let head = within(told).await.unwrap();
        server.finished().await;
        head
    }

    #[tokio::test]
    async fn models_and_voices_over_http_connect_without_a_key_when_they_are_told_to() {
        for provider in ["openai", "anthropic", "custom-llm", "groq"] {
            let head = asked(|mut document, access| {
                document["provider"] = provider.into();
                llm::build(&document, access, &net()).unwrap().warm();
            });
            let head = head.await;
            assert!(head.starts_with("head / http/1.1") && !head.contains("key-1"), "{head}");
        }
        for provider in ["openai", "custom-voice"] {
            let head = asked(|mut document, access| {
                document["provider"] = provider.into();
                tts::build(&document, access, &net()).unwrap().warm();
            });
            let head = head.await;
            assert!(head.starts_with("head / http/1.1") && !head.contains("key-1"), "{head}");
        }
    }

    /// Reads a request's head, and answers it with nothing.
    async fn answer(stream: &mut TcpStream) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(stream.read_u8()).await.unwrap());
        }
        stream.write_all(b"HTTP/1.1 404 None\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        String::from_utf8(head).unwrap()
    }

    #[tokio::test]
    async fn the_next_request_finds_the_connection_open() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = Url::parse(&format!("http://u:secret@{address}/v1/chat?key=1")).unwrap();
        let net = net();
        net.warm(&url);
        net.clone().warm(&url);
        let (mut stream, _) = within(listener.accept()).await.unwrap();
        let head = answer(&mut stream).await;
        assert!(head.starts_with("HEAD / HTTP/1.1"), "{head}");

        // The pool has it back once the tasks of the client have run.
        for _ in 0..100 {
            yield_now().await;
        }
        let asking = tokio::spawn(net.http.get(url).send());
        let head = tokio::select! {
            head = answer(&mut stream) => head,
            _ = listener.accept() => panic!("connected once more"),
        };
        assert!(head.starts_with("GET /v1/chat"), "{head}");
        assert_eq!(within(asking).await.unwrap().unwrap().status().as_u16(), 404);
    }
}
