//! Body of a request that brings a guest: its bytes, and its signatures and transcripts behind them.
//!
//! Owns the encoding on both sides. Bounds: the sizes of a guest and of what comes beside it.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use herd_model::GuestFiles;
use herd_model::limits::{GUEST_BYTES_MAX, SIGNATURES_BYTES_MAX, TRANSCRIPTS_BYTES_MAX};
use reqwest::RequestBuilder;
use serde_json::json;

/// Guest that arrived with a request.
#[derive(Debug)]
pub(super) struct GuestBody {
    guest: Bytes,
    signatures: Option<Bytes>,
    transcripts: Option<Bytes>,
}

impl GuestBody {
    /// Borrows the guest and what came with it.
    pub(super) fn files(&self) -> GuestFiles<'_> {
        let (transcripts, signatures) = (self.transcripts.as_deref(), self.signatures.as_deref());
        GuestFiles { guest: &self.guest, transcripts, signatures }
    }
}

/// Answers a body that is too long with 413, and a bad header with 400.
impl<S: Send + Sync> FromRequest<S> for GuestBody {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let headers = request.headers().clone();
        // Read before anything is refused: a client that is still sending would report a broken connection.
        let mut guest = Bytes::from_request(request, state).await.map_err(IntoResponse::into_response)?;
        let bad_header = |why: String| refused(StatusCode::BAD_REQUEST, &why);
        // From the end on.
        let transcripts = split_off(&mut guest, &headers, TRANSCRIPTS).map_err(bad_header)?;
        let signatures = split_off(&mut guest, &headers, SIGNATURES).map_err(bad_header)?;
        for (what, length, max) in [
            ("guest", guest.len(), GUEST_BYTES_MAX),
            ("signatures", signatures.as_ref().map_or(0, Bytes::len), SIGNATURES_BYTES_MAX),
            ("transcripts", transcripts.as_ref().map_or(0, Bytes::len), TRANSCRIPTS_BYTES_MAX),
        ] {
            if length > max {
                let why = format!("the {what} has {length} bytes; at most {max} are accepted");
                return Err(refused(StatusCode::PAYLOAD_TOO_LARGE, &why));
            }
        }
        Ok(Self { guest, signatures, transcripts })
    }
}

/// Takes the part off the end of a body whose length a header says.
fn split_off(body: &mut Bytes, headers: &HeaderMap, name: &str) -> Result<Option<Bytes>, String> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    match value.to_str().ok().and_then(|text| text.parse::<usize>().ok()) {
        Some(length) if length <= body.len() => Ok(Some(body.split_off(body.len() - length))),
        _ => Err(format!("the header {name} is no number of bytes at the end of the body")),
    }
}

fn refused(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}

/// Adds a guest and what comes beside it to a request.
pub(super) fn attach(mut request: RequestBuilder, files: GuestFiles<'_>) -> RequestBuilder {
    let mut body = files.guest.to_vec();
    for (name, part) in [(SIGNATURES, files.signatures), (TRANSCRIPTS, files.transcripts)] {
        if let Some(part) = part {
            request = request.header(name, part.len());
            body.extend_from_slice(part);
        }
    }
    request.body(body)
}

/// Header with the number of bytes at the end of the body that are transcripts.
const TRANSCRIPTS: &str = "herd-transcripts";
/// Header with the number of bytes before the transcripts that are signatures.
const SIGNATURES: &str = "herd-signatures";
/// Maximum length of a body.
pub(super) const BODY_BYTES_MAX: usize = GUEST_BYTES_MAX + SIGNATURES_BYTES_MAX + TRANSCRIPTS_BYTES_MAX;
