//! A fetch loop: an answer that is a failure is asked for again, and again.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_test_guests::planted::{FetchLoop, Planted};

herd_sdk::export!(Planted<FetchLoop>);
