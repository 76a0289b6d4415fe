//! A client of the API.

use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::Value;

use super::within;

/// A client with a key.
#[derive(Clone)]
pub struct Client {
    /// Where the server is, without a slash at the end.
    pub url: String,
    key: Option<String>,
    http: reqwest::Client,
}

/// What the server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    /// The body; null when it is not JSON.
    pub body: Value,
}

impl Client {
    pub fn new(url: &str, key: &str) -> Self {
        // The one TLS provider of the process; a second installation is refused and harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self { url: url.into(), key: Some(key.into()), http }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same client with another key, or none.
    pub fn with_key(&self, key: Option<&str>) -> Self {
        Self { key: key.map(Into::into), ..self.clone() }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = match path.starts_with("http") {
            true => path.to_owned(),
            false => format!("{}{path}", self.url),
        };
        let request = self.http.request(method, url);
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// Posts bytes as they are.
    pub async fn post_raw(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(Method::POST, path).header("content-type", "application/json");
        self.send(request.body(body)).await
    }

    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let answer = async {
            let response = request.send().await.unwrap();
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let text = response.text().await.unwrap();
            let body = serde_json::from_str(&text).unwrap_or(Value::Null);
            Answer { status, headers, text, body }
        };
        within("answer", answer).await
    }

    /// Posts what must be accepted, and returns the document.
    pub async fn create(&self, path: &str, body: &Value) -> Value {
        let answer = self.post(path, body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.body
    }

    /// The ids of a list, in its order.
    pub async fn ids(&self, path: &str) -> Vec<String> {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let documents = answer.body.as_array().unwrap();
        documents.iter().map(|document| document["id"].as_str().unwrap().to_owned()).collect()
    }
}

impl Answer {
    /// The messages of a refused document.
    pub fn messages(&self) -> Vec<&str> {
        assert_eq!(self.status, 400, "{}", self.text);
        assert_eq!(self.body["statusCode"], 400);
        assert_eq!(self.body["error"], "Bad Request");
        let message = &self.body["message"];
        match message.as_array() {
            Some(messages) => messages.iter().filter_map(Value::as_str).collect(),
            None => vec![message.as_str().unwrap()],
        }
    }
}
