//! Why the upstreams of a configuration were refused.

use super::base_url::BaseUrlError;
use super::secret::SecretError;

/// Why the upstreams of a configuration were refused. The configuration or the environment is at fault, and nothing
/// was started.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamConfigError {
    /// The node is to ask an upstream that neither has a table nor is built in.
    #[error("no upstream is named {upstream:?}: use {known}, or add a table `[upstreams.{upstream}]` with a `url`")]
    UnknownName {
        /// The name.
        upstream: String,
        /// The names that are there.
        known: String,
    },

    /// A table that no preset completes lacks a URL.
    #[error("upstream {upstream} has no `url`")]
    NoUrl {
        /// The name.
        upstream: String,
    },

    /// The URL cannot be used. It is not repeated, for it may hold a secret by mistake.
    #[error("`url` of upstream {upstream} cannot be used")]
    Url {
        /// The name.
        upstream: String,
        /// What is wrong with it.
        #[source]
        problem: BaseUrlError,
    },

    /// The secret of an upstream that is used cannot be had.
    #[error("upstream {upstream} has no secret: provide it, or take {upstream} out of the sources")]
    Secret {
        /// The name.
        upstream: String,
        /// What is wrong.
        #[source]
        problem: SecretError,
    },

    /// A secret is written into the configuration itself, whether it is used or not.
    #[error(
        "`secret` of upstream {upstream} is written out: keep it elsewhere and say where, with \
         {{ env = \"NAME\" }}, {{ file = \"PATH\" }} or {{ credential = \"NAME\" }}"
    )]
    SecretWrittenOut {
        /// The name.
        upstream: String,
    },

    /// Nothing, or two things, say where the secret goes; or there is a place for it but no secret.
    #[error("upstream {upstream} needs `secret` together with one of `query` and `header`, or none of the three")]
    SecretPlacement {
        /// The name.
        upstream: String,
    },

    /// A header, or the name of the query parameter, is not one.
    #[error("upstream {upstream} has a malformed name or value for {name:?}")]
    Malformed {
        /// The name of the upstream.
        upstream: String,
        /// The name of the header or parameter.
        name: String,
    },

    /// A header that carries secrets, or that the client sets itself, is among the static ones.
    #[error("upstream {upstream} may not set {name} in `headers`: a secret goes into `secret` and `header`")]
    ReservedHeader {
        /// The name of the upstream.
        upstream: String,
        /// The name of the header.
        name: String,
    },

    /// The upstream inside the process is given something that only makes sense outside.
    #[error("upstream {upstream} is inside the process and takes no `{field}`")]
    EmbeddedField {
        /// The name.
        upstream: String,
        /// The field.
        field: &'static str,
    },

    /// A number is too small or too large.
    #[error("`{field}` of upstream {upstream} is {found}, and may be 1 to {max}")]
    OutOfBounds {
        /// The name.
        upstream: String,
        /// The field.
        field: &'static str,
        /// What it is.
        found: u64,
        /// The most it may be.
        max: u64,
    },
}
