//! Where the server listens, where others reach it, and where its events go.

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
};

use offhook_config::Settings;
use reqwest::{Client, Url};
use serde_json::Value;
use tokio::{net::lookup_host, time::timeout};

use super::{ANSWER_LIMIT, CONNECT_LIMIT, Finding};
use crate::client::{cause, is_local, local_http, without_query};

/// What is at the address that the server listens on.
pub struct Listen {
    pub finding: Finding,
    /// Where a server of ours answers.
    pub running_at: Option<SocketAddr>,
}

pub async fn listen(settings: &Settings) -> Listen {
    let address = settings.server.listen;
    let subject = "listen address";
    let free = |finding| Listen { finding, running_at: None };
    match TcpListener::bind(address) {
        Ok(_) => free(Finding::ok(subject, format!("{address} is free"))),
        Err(error) if error.kind() == ErrorKind::AddrInUse => match running(address).await {
            Some(status) => Listen {
                finding: Finding::ok(
                    subject,
                    format!("{address}: a server runs there, it is {status}"),
                ),
                running_at: Some(reachable(address)),
            },
            None => free(Finding::problem(
                subject,
                format!("{address} is used by another program"),
                "stop it, or choose another address with server.listen",
            )),
        },
        Err(error) => free(Finding::problem(
            subject,
            format!("cannot listen on {address}: {error}"),
            "choose an address of this machine with server.listen, and a port above 1023",
        )),
    }
}

/// The status of the server at an address, if it is one of ours.
async fn running(address: SocketAddr) -> Option<String> {
    let http = local_http(ANSWER_LIMIT).ok()?;
    let answer = http.get(format!("http://{}/readyz", reachable(address))).send().await.ok()?;
    let answer: Value = answer.json().await.ok()?;
    answer["status"].as_str().map(str::to_owned)
}

/// Where to go for what listens on an address, which may be every one of the machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

/// Where clients and carriers reach the server.
pub async fn public_url(settings: &Settings, http: &Client, is_running: bool) -> Finding {
    let subject = "public address";
    let Some(url) = &settings.server.public_url else {
        let found = format!("not set: clients are told to come to {}", settings.server.listen);
        let advice = "set server.public_url before clients of other machines or carriers call";
        return Finding::warning(subject, found, advice);
    };
    if Url::parse(url).is_ok_and(|url| is_local(&url)) {
        let advice = "set server.public_url to a name that others can resolve";
        return Finding::warning(subject, format!("{url} is this machine to itself"), advice);
    }
    let health = format!("{}/healthz", url.trim_end_matches('/'));
    match get(http, &health).await {
        Ok(status) if status < 300 => Finding::ok(subject, format!("{url} answers")),
        Ok(status) if is_running => Finding::problem(
            subject,
            format!("{health} answers with {status}, the server itself does not"),
            "have the proxy there pass every path on, websockets included",
        ),
        Ok(status) => Finding::warning(
            subject,
            format!("{url} is reachable and answers with {status}; no server runs here yet"),
            "start the server and ask again",
        ),
        Err(error) if is_running => Finding::problem(
            subject,
            format!("{url}: {error}"),
            "check its name, certificate and port forwarding",
        ),
        Err(error) => Finding::warning(
            subject,
            format!("{url}: {error}; no server runs here yet"),
            "start the server and ask again",
        ),
    }
}

/// Where server events go, when the settings say so.
pub async fn webhook(settings: &Settings, http: &Client) -> Option<Finding> {
    let subject = "webhook";
    let url = settings.webhooks.url.as_ref()?;
    let shown = without_query(url);
    if !settings.webhooks.allow_private_addresses && resolves_inside(url).await {
        return Some(Finding::problem(
            subject,
            format!("{shown} is at a private address, events to it are refused"),
            "set webhooks.allow_private_addresses = true, if that is meant",
        ));
    }
    // An event would be one too many; that somebody answers is enough.
    Some(match get(http, url).await {
        Ok(_) => Finding::ok(subject, format!("{shown} answers")),
        Err(error) => Finding::problem(
            subject,
            format!("{shown}: {error}"),
            "correct webhooks.url, or start what listens there; events wait meanwhile",
        ),
    })
}

/// The status of an answer, whatever it is.
async fn get(http: &Client, url: &str) -> Result<u16, String> {
    match http.get(url).timeout(ANSWER_LIMIT).send().await {
        Ok(answer) => Ok(answer.status().as_u16()),
        Err(error) => Err(reason(&error)),
    }
}

/// Why a request failed.
fn reason(error: &reqwest::Error) -> String {
    match (error.is_connect(), error.is_timeout()) {
        (true, true) => format!("no connection within {} s", CONNECT_LIMIT.as_secs()),
        (false, true) => format!("no answer within {} s", ANSWER_LIMIT.as_secs()),
        (true | false, false) => cause(error),
    }
}

async fn resolves_inside(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return false;
    };
    let host = host.trim_matches(['[', ']']);
    let Ok(Ok(addresses)) = timeout(CONNECT_LIMIT, lookup_host((host, port))).await else {
        return false;
    };
    addresses.into_iter().any(|address| is_inside(address.ip()))
}

/// Loopback, private (RFC 1918, RFC 4193) and link-local addresses.
fn is_inside(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use axum::{Json, Router, routing::get};
    use serde_json::json;

    use super::{super::State, *};

    async fn server(router: Router) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    fn client() -> Client {
        local_http(CONNECT_LIMIT).unwrap()
    }

    #[tokio::test]
    async fn a_server_of_ours_is_told_from_another_program() {
        let mut settings = Settings::default();
        settings.server.listen = "127.0.0.1:0".parse().unwrap();
        assert_eq!(listen(&settings).await.finding.state, State::Ok);

        let ours =
            Router::new().route("/readyz", get(|| async { Json(json!({"status": "ready"})) }));
        settings.server.listen = server(ours).await;
        let found = listen(&settings).await;
        assert!(found.running_at.is_some() && found.finding.found.ends_with("it is ready"));

        settings.server.listen = server(Router::new()).await;
        let found = listen(&settings).await;
        assert_eq!((found.running_at, found.finding.state), (None, State::Problem));
    }

    #[tokio::test]
    async fn a_webhook_at_a_private_address_is_a_problem_unless_it_is_allowed() {
        let http = client();
        let mut settings = Settings::default();
        assert_eq!(webhook(&settings, &http).await, None);
        let address = server(Router::new()).await;
        settings.webhooks.url = Some(format!("http://{address}/events?token=secret"));
        let found = webhook(&settings, &http).await.unwrap();
        assert_eq!(found.state, State::Problem);
        assert!(!found.found.contains("secret"), "{found:?}");
        settings.webhooks.allow_private_addresses = true;
        assert_eq!(webhook(&settings, &http).await.unwrap().state, State::Ok);
        settings.webhooks.url = Some("http://127.0.0.1:1/".into());
        assert_eq!(webhook(&settings, &http).await.unwrap().state, State::Problem);
    }

    #[tokio::test]
    async fn an_unreachable_public_address_matters_once_the_server_runs() {
        let http = client();
        let mut settings = Settings::default();
        assert_eq!(public_url(&settings, &http, true).await.state, State::Warning);
        settings.server.public_url = Some("http://localhost:8080".into());
        assert_eq!(public_url(&settings, &http, true).await.state, State::Warning);
        settings.server.public_url = Some("http://offhook.invalid".into());
        assert_eq!(public_url(&settings, &http, false).await.state, State::Warning);
        assert_eq!(public_url(&settings, &http, true).await.state, State::Problem);
    }
}
