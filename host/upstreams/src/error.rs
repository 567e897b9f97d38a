//! Errors in the `[upstreams]` part of a configuration.
//!
//! Every variant names the upstream; none repeats a URL or a secret.

use super::base_url::BaseUrlError;
use super::secret::SecretError;

/// An invalid `[upstreams]` configuration. The configuration or the environment is at fault. Nothing was created, and the
/// node does not start.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamConfigError {
    /// A name in use has neither a table nor a preset.
    #[error("no upstream is named {upstream:?}: use {known}, or add a table `[upstreams.{upstream}]` with a `url`")]
    UnknownName {
        /// Name of the upstream.
        upstream: String,
        /// The configured names and the presets.
        known: String,
    },

    /// A table has no URL and no preset provides one.
    #[error("upstream {upstream} has no `url`")]
    NoUrl {
        /// Name of the upstream.
        upstream: String,
    },

    /// The URL cannot be used. It is not repeated, because it may contain a secret by mistake.
    #[error("`url` of upstream {upstream} cannot be used")]
    Url {
        /// Name of the upstream.
        upstream: String,
        /// Reason.
        #[source]
        problem: BaseUrlError,
    },

    /// The secret of an upstream in use cannot be read.
    #[error("upstream {upstream} has no secret: provide it, or remove {upstream} from the sources")]
    Secret {
        /// Name of the upstream.
        upstream: String,
        /// Reason.
        #[source]
        problem: SecretError,
    },

    /// The configuration contains a secret itself. Checked for every upstream, in use or not.
    #[error(
        "`secret` of upstream {upstream} is the secret itself: store it elsewhere and name the place, with \
         {{ env = \"NAME\" }}, {{ file = \"PATH\" }} or {{ credential = \"NAME\" }}"
    )]
    SecretWrittenOut {
        /// Name of the upstream.
        upstream: String,
    },

    /// A secret has no placement or two, or a placement has no secret.
    #[error("upstream {upstream} needs `secret` together with one of `query` and `header`, or none of the three")]
    SecretPlacement {
        /// Name of the upstream.
        upstream: String,
    },

    /// A header, or the name of the query parameter, is malformed.
    #[error("upstream {upstream} has a malformed name or value for {name:?}")]
    Malformed {
        /// Name of the upstream.
        upstream: String,
        /// Name of the header or parameter.
        name: String,
    },

    /// A static header is one that carries secrets, or one that the HTTP client sets.
    #[error("upstream {upstream} may not set {name} in `headers`: a secret goes into `secret` and `header`")]
    ReservedHeader {
        /// Name of the upstream.
        upstream: String,
        /// Name of the header.
        name: String,
    },

    /// The table of `embedded` has a field that only applies to HTTP services.
    #[error("upstream {upstream} is part of the process and takes no `{field}`")]
    EmbeddedField {
        /// Name of the upstream.
        upstream: String,
        /// Name of the field.
        field: &'static str,
    },

    /// A number is out of bounds.
    #[error("`{field}` of upstream {upstream} is {found}, and may be 1 to {max}")]
    OutOfBounds {
        /// Name of the upstream.
        upstream: String,
        /// Name of the field.
        field: &'static str,
        /// Configured value.
        found: u64,
        /// Maximum; the minimum is 1.
        max: u64,
    },
}
