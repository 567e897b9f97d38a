//! Options of a canary or a shadow, and their form as a query.

use herd_model::{Share, SwapOptions};
use serde::{Deserialize, Serialize};

/// Options of a canary or a shadow, beyond the guest itself. The share has no default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ShareQuery", into = "ShareQuery")]
pub struct ShareOptions {
    /// Share of the sessions (canary) or calls (shadow).
    pub share: Share,
    /// Options that a swap has too, except for `force`: a canary or a shadow decides beside the active generation, on the same
    /// records, so it has to read them.
    pub swap: SwapOptions,
}

/// [`ShareOptions`] as its query has it. Flat and spelled out, because serde cannot both flatten a struct and deny unknown
/// fields.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShareQuery {
    share: Share,
    #[serde(default)]
    again: bool,
    #[serde(default)]
    unrehearsed: bool,
    #[serde(default)]
    reversible: bool,
}

impl From<ShareQuery> for ShareOptions {
    fn from(ShareQuery { share, again, unrehearsed, reversible }: ShareQuery) -> Self {
        Self { share, swap: SwapOptions { again, unrehearsed, reversible, force: false } }
    }
}

impl From<ShareOptions> for ShareQuery {
    fn from(ShareOptions { share, swap }: ShareOptions) -> Self {
        let SwapOptions { again, unrehearsed, reversible, force: _ } = swap;
        Self { share, again, unrehearsed, reversible }
    }
}
