//! Options in the query or the body of a request, on the server.
//!
//! Knows no particular options: the type says which fields exist. Bounds: the length of a request line, which hyper limits, and that of
//! a body, which the server limits.

use std::error::Error;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::json;

/// Options from the query of a request. The difference to axum's [`Query`] is the rejection: JSON that names the known fields.
#[derive(Debug)]
pub(super) struct Options<T>(pub(super) T);

/// Options from the body of a request, in JSON: a key may be longer than a request line.
#[derive(Debug)]
pub(super) struct BodyOptions<T>(pub(super) T);

/// The query or the body has an unknown field, lacks one, or has a value of the wrong type. The client's fault; answered with 400.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct BadQuery(String);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Options<T> {
    type Rejection = BadQuery;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, BadQuery> {
        let query = Query::try_from_uri(&parts.uri);
        query.map(|Query(options)| Self(options)).map_err(|rejection| {
            // The source names the field; the rejection itself only says that the query cannot be read.
            let reason = rejection.source().map_or_else(|| rejection.body_text(), ToString::to_string);
            BadQuery(format!("bad query: {reason}"))
        })
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for BodyOptions<T> {
    type Rejection = BadQuery;

    async fn from_request(request: Request, state: &S) -> Result<Self, BadQuery> {
        let bad = |reason: String| BadQuery(format!("bad body: {reason}"));
        let body = Bytes::from_request(request, state).await.map_err(|rejection| bad(rejection.body_text()))?;
        serde_json::from_slice(&body).map(Self).map_err(|error| bad(error.to_string()))
    }
}

impl IntoResponse for BadQuery {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, Json(json!({ "error": self.0 }))).into_response()
    }
}

#[cfg(test)]
mod tests {
    use herd_model::SwapOptions;

    use super::*;
    use crate::ShareOptions;

    async fn read<T: DeserializeOwned>(query: &str) -> Result<T, String> {
        let request = axum::http::Request::get(format!("http://127.0.0.1/v1/swap?{query}")).body(()).unwrap();
        let options = Options::from_request_parts(&mut request.into_parts().0, &()).await;
        options.map(|Options(options)| options).map_err(|bad| bad.to_string())
    }

    /// Encodes as [`AdminClient`](crate::AdminClient) does.
    fn encode(options: &impl serde::Serialize) -> String {
        let request =
            reqwest::Client::builder().tls_certs_only([]).build().unwrap().get("http://127.0.0.1/").query(options);
        request.build().unwrap().url().query().unwrap_or_default().to_string()
    }

    #[tokio::test]
    async fn options_survive_the_query_of_a_request() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for bits in 0..16 {
            let [again, unrehearsed, reversible, force] = [1, 2, 4, 8].map(|bit| bits & bit != 0);
            let swap = SwapOptions { again, unrehearsed, reversible, force };
            assert_eq!(read(&encode(&swap)).await, Ok(swap));
            let swap = SwapOptions { force: false, ..swap };
            let share = ShareOptions { share: "5%".parse().unwrap(), swap };
            assert_eq!(read(&encode(&share)).await, Ok(share));
        }
    }

    #[tokio::test]
    async fn options_left_out_are_off() {
        assert_eq!(read("").await, Ok(SwapOptions::default()));
        assert_eq!(read("again=true").await, Ok(SwapOptions { again: true, ..SwapOptions::default() }));
        for share in ["share=5", "share=5%25", "share=5%"] {
            let options = read::<ShareOptions>(share).await.unwrap();
            assert_eq!((options.share.percent(), options.swap), (5, SwapOptions::default()), "{share}");
        }
    }

    #[tokio::test]
    async fn options_that_are_unknown_or_malformed_are_named() {
        let fields = "expected one of `again`, `unrehearsed`, `reversible`, `force`";
        for (query, reason) in
            [("forced=true", fields), ("again=yes", "again: provided string was not `true` or `false`")]
        {
            let error = read::<SwapOptions>(query).await.unwrap_err();
            assert!(error.starts_with("bad query: ") && error.contains(reason), "{error}");
        }
        let fields = "unknown field `force`, expected one of `share`, `again`, `unrehearsed`, `reversible`";
        for (query, reason) in
            [("", "missing field `share`"), ("share=0", "`0` is no share"), ("share=5&force=true", fields)]
        {
            let error = read::<ShareOptions>(query).await.unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
