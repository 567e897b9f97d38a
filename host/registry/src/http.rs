//! Requests to a registry, with bounds on everything that comes back.
//!
//! Owns the client and where requests may go. Knows nothing of credentials and manifests: the header with the credentials is an argument, and goes
//! to the host of the request alone.
//!
//! Bounds: bytes of an answer, time without a byte, time of a whole request, redirects.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde_json::Value;
use tokio::time::timeout;

use crate::error::RegistryError;
use crate::reference::is_loopback;

/// Client of a registry and of the hosts to which it leads.
#[derive(Debug)]
pub(crate) struct Http {
    client: Client,
    plain: bool,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) accept: Option<&'static str>,
    /// Type and bytes of the body.
    pub(crate) body: Option<(&'static str, Bytes)>,
    /// Purpose, for messages.
    pub(crate) what: &'static str,
}

impl Request {
    pub(crate) fn new(method: Method, url: Url, what: &'static str) -> Self {
        Self { method, url, accept: None, body: None, what }
    }
}

impl Http {
    /// Makes a client. `plain` allows http.
    ///
    /// # Errors
    ///
    /// There are no root certificates, and it has to be https.
    pub(crate) fn new(host: &str, plain: bool) -> Result<Self, RegistryError> {
        // Fails if another part of the process has installed a provider already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("herd/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .connect_timeout(CONNECT_MAX);
        if is_loopback(host) {
            builder = builder.no_proxy();
        }
        builder = if plain { builder } else { builder.https_only(true) };
        builder.build().map(|client| Self { client, plain }).map_err(|_| RegistryError::NoClient)
    }

    /// Sends a request. A redirect of a GET is followed: to another host without the credentials, and never from https to http.
    ///
    /// # Errors
    ///
    /// No answer in time, or a redirect that is not followed. The status is for the caller.
    pub(crate) async fn send(
        &self,
        request: &Request,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, RegistryError> {
        let mut url = request.url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let host = host_of(&url);
            let mut builder = self.client.request(request.method.clone(), url.clone());
            if let Some(accept) = request.accept {
                builder = builder.header(ACCEPT, accept);
            }
            if let Some((media_type, body)) = &request.body {
                builder = builder.header(CONTENT_TYPE, *media_type).body(body.clone());
            }
            // Whatever the registry says: another host, port or scheme never sees them.
            if let Some(authorization) = authorization.filter(|_| url.origin() == request.url.origin()) {
                builder = builder.header(AUTHORIZATION, authorization.clone());
            }
            let answer = timeout(UPLOAD_MAX, builder.send()).await;
            let answer = answer.map_err(|_| RegistryError::TimedOut { host: host.clone() })?;
            let answer = answer.map_err(|error| unreachable(&host, &error))?;
            if request.method != Method::GET || !answer.status().is_redirection() {
                return Ok(answer);
            }
            url = self.leads_to(&url, &answer)?;
        }
        Err(RegistryError::Astray { host: host_of(&request.url), whither: "in a circle" })
    }

    /// Returns where an answer leads.
    ///
    /// # Errors
    ///
    /// Nowhere, or over http from https.
    pub(crate) fn leads_to(&self, url: &Url, answer: &Response) -> Result<Url, RegistryError> {
        let astray = |whither| RegistryError::Astray { host: host_of(url), whither };
        let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let next = location.and_then(|location| url.join(location).ok()).ok_or_else(|| astray("nowhere"))?;
        let allows = next.scheme() == "https" || (next.scheme() == "http" && self.plain && url.scheme() == "http");
        if allows { Ok(next) } else { Err(astray("over http or no web protocol at all")) }
    }
}

/// Reads an answer whose length is bounded. Trusts no declared length, which may be absent or wrong.
pub(crate) async fn read(mut answer: Response, bytes_max: usize) -> Result<Vec<u8>, RegistryError> {
    let host = host_of(answer.url());
    let mut body = Vec::new();
    timeout(ANSWER_MAX, async {
        while let Some(chunk) = next_chunk(&mut answer, &host).await? {
            if chunk.len() > bytes_max - body.len() {
                return Err(RegistryError::AnswerTooLong { host: host.clone(), max: bytes_max });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(())
    })
    .await
    .map_err(|_| RegistryError::TimedOut { host: host.clone() })??;
    Ok(body)
}

/// Reads the next part of a body. None at its end.
pub(crate) async fn next_chunk(answer: &mut Response, host: &str) -> Result<Option<Bytes>, RegistryError> {
    let chunk = timeout(SILENCE_MAX, answer.chunk()).await;
    chunk.map_err(|_| RegistryError::TimedOut { host: host.into() })?.map_err(|error| unreachable(host, &error))
}

/// Returns the status of an answer with the codes of its errors. Their texts are left out: they may repeat what was sent.
pub(crate) async fn codes(answer: Response) -> String {
    let status = answer.status();
    let body = read(answer, ERROR_BYTES_MAX).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let is_code = |code: &&str| {
        code.len() <= CODE_BYTES_MAX && code.bytes().all(|letter| letter.is_ascii_uppercase() || letter == b'_')
    };
    let errors = body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let codes = errors.iter().filter_map(|error| error["code"].as_str().filter(is_code));
    codes.take(CODES_MAX).fold(shown(status), |text, code| text + " " + code)
}

/// Returns host and port of a URL.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.into(), |port| format!("{host}:{port}"))
}

fn shown(status: StatusCode) -> String {
    status.as_u16().to_string()
}

/// Without the text of the error itself, which has the URL.
fn unreachable(host: &str, error: &reqwest::Error) -> RegistryError {
    if error.is_timeout() {
        return RegistryError::TimedOut { host: host.into() };
    }
    let causes: Vec<String> =
        std::iter::successors(error.source(), |error| (*error).source()).map(ToString::to_string).collect();
    RegistryError::Unreachable { host: host.into(), why: causes.join(": ") }
}

/// As the upstreams of nodes have it.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Silence after which an answer has stopped.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Time of a request until its answer begins: the largest guest, sent at about a megabit a second.
const UPLOAD_MAX: Duration = Duration::from_secs(600);

/// Time of a short answer.
const ANSWER_MAX: Duration = Duration::from_secs(120);

/// Registries lead to the store of their blobs, and that perhaps to another one.
const REDIRECTS_MAX: usize = 4;

const ERROR_BYTES_MAX: usize = 64 << 10;

/// The longest of the specification has 21.
const CODE_BYTES_MAX: usize = 40;

const CODES_MAX: usize = 3;
