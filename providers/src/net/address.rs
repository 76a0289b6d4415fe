use url::Url;

use crate::Access;

/// The address of a resource: `segments` below the provider's `own` address, or below the
/// operator's `base_url`. A `base_url` without a path takes over the path prefix of `own`.
///
/// Segments are percent-encoded, so that a name out of a document cannot lead elsewhere.
pub(crate) fn endpoint(own: &str, access: &Access, segments: &[&str]) -> Result<Url, String> {
    let own = Url::parse(own).expect("a provider's own address is a constant of ours");
    let mut url = match &access.base_url {
        None => own,
        Some(base_url) => {
            let mut base = parse(base_url)?;
            if matches!(base.path(), "" | "/") {
                base.set_path(own.path());
            }
            base
        }
    };
    url.path_segments_mut()
        .expect("http and ws addresses have a path")
        .pop_if_empty()
        .extend(segments);
    Ok(url)
}

/// The same address for a websocket.
pub(crate) fn websocket(url: Url) -> Url {
    with_scheme(url, &[("http", "ws"), ("https", "wss")])
}

/// The same address for a plain request.
pub(crate) fn http(url: Url) -> Url {
    with_scheme(url, &[("ws", "http"), ("wss", "https")])
}

/// What of an address may be logged: no user, no password, no query.
pub(crate) fn label(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

fn parse(base_url: &str) -> Result<Url, String> {
    let expected = "expected an address such as https://gateway.example/v1";
    let url =
        Url::parse(base_url).map_err(|e| format!("base_url is no address ({e}), {expected}"))?;
    match url.scheme() {
        "http" | "https" | "ws" | "wss" if url.has_host() => Ok(url),
        scheme => Err(format!("base_url has scheme `{scheme}`, {expected}")),
    }
}

fn with_scheme(mut url: Url, changes: &[(&str, &str)]) -> Url {
    if let Some((_, to)) = changes.iter().find(|(from, _)| *from == url.scheme()) {
        url.set_scheme(to).expect("http and ws schemes are interchangeable");
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(own: &str, base_url: Option<&str>, segments: &[&str]) -> String {
        let access = Access { api_key: None, base_url: base_url.map(Into::into) };
        endpoint(own, &access, segments).unwrap().into()
    }

    #[test]
    fn without_a_base_url_the_provider_s_own_address_is_used() {
        assert_eq!(at("https://api.a.io/v1", None, &["chat"]), "https://api.a.io/v1/chat");
    }

    #[test]
    fn a_base_url_without_a_path_keeps_the_own_prefix_and_one_with_a_path_replaces_it() {
        let own = "https://api.a.io/v1";
        assert_eq!(at(own, Some("http://localhost:8"), &["chat"]), "http://localhost:8/v1/chat");
        assert_eq!(at(own, Some("http://h/gw/v2/"), &["chat"]), "http://h/gw/v2/chat");
        assert_eq!(at(own, Some("http://h/gw?zone=eu"), &["chat"]), "http://h/gw/chat?zone=eu");
    }

    #[test]
    fn a_segment_from_a_document_stays_one_segment() {
        let url = at("https://a.io", None, &["v1", "voices/../admin?x", "stream"]);
        assert_eq!(url, "https://a.io/v1/voices%2F..%2Fadmin%3Fx/stream");
    }

    #[test]
    fn the_scheme_follows_the_use() {
        let url = Url::parse("https://a.io/x").unwrap();
        assert_eq!(websocket(url.clone()).as_str(), "wss://a.io/x");
        assert_eq!(http(websocket(url)).as_str(), "https://a.io/x");
    }

    #[test]
    fn a_label_shows_neither_password_nor_query() {
        let url = Url::parse("wss://user:secret@a.io:81/x?token=secret").unwrap();
        assert_eq!(label(&url), "wss://a.io:81/x");
    }

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        let access = Access { api_key: None, base_url: Some("ftp://a.io".into()) };
        let refused = endpoint("https://a.io", &access, &[]).unwrap_err();
        assert!(refused.contains("`ftp`") && refused.contains("https://gateway.example"));
    }
}
