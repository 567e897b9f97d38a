//! A reply before its keep: clients are told at once, and not once the report is safe.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_test_guests::planted::{EarlyReply, Planted};

herd_sdk::export!(Planted<EarlyReply>);
