//! Body of a request that brings a guest: its bytes, and transcripts behind them.
//!
//! Owns the encoding on both sides. Bounds: the sizes of a guest and of its transcripts.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use herd_model::GuestFiles;
use herd_model::limits::{GUEST_BYTES_MAX, TRANSCRIPTS_BYTES_MAX};
use reqwest::RequestBuilder;
use serde_json::json;

/// Guest that arrived with a request.
#[derive(Debug)]
pub(super) struct GuestBody {
    guest: Bytes,
    transcripts: Option<Bytes>,
}

impl GuestBody {
    /// Borrows the guest and its transcripts.
    pub(super) fn files(&self) -> GuestFiles<'_> {
        GuestFiles { guest: &self.guest, transcripts: self.transcripts.as_deref() }
    }
}

/// Answers a body that is too long with 413, and a bad header with 400.
impl<S: Send + Sync> FromRequest<S> for GuestBody {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let refused = |status: StatusCode, why: &str| (status, Json(json!({ "error": why }))).into_response();
        let header =
            request.headers().get(HEADER).map(|value| value.to_str().ok().and_then(|text| text.parse::<usize>().ok()));
        // Read before anything is refused: a client that is still sending would report a broken connection.
        let mut guest = Bytes::from_request(request, state).await.map_err(IntoResponse::into_response)?;
        let transcripts = match header {
            None => None,
            Some(Some(length)) if length <= guest.len() => Some(guest.split_off(guest.len() - length)),
            Some(_) => {
                let why = format!("the header {HEADER} is no number of bytes at the end of the body");
                return Err(refused(StatusCode::BAD_REQUEST, &why));
            }
        };
        for (what, length, max) in [
            ("guest", guest.len(), GUEST_BYTES_MAX),
            ("transcripts", transcripts.as_ref().map_or(0, Bytes::len), TRANSCRIPTS_BYTES_MAX),
        ] {
            if length > max {
                let why = format!("the {what} has {length} bytes; at most {max} are accepted");
                return Err(refused(StatusCode::PAYLOAD_TOO_LARGE, &why));
            }
        }
        Ok(Self { guest, transcripts })
    }
}

/// Adds a guest and its transcripts to a request.
pub(super) fn attach(request: RequestBuilder, files: GuestFiles<'_>) -> RequestBuilder {
    match files.transcripts {
        None => request.body(files.guest.to_vec()),
        Some(transcripts) => request.header(HEADER, transcripts.len()).body([files.guest, transcripts].concat()),
    }
}

/// Header with the number of bytes at the end of the body that are transcripts.
const HEADER: &str = "herd-transcripts";
/// Maximum length of a body.
pub(super) const BODY_BYTES_MAX: usize = GUEST_BYTES_MAX + TRANSCRIPTS_BYTES_MAX;
