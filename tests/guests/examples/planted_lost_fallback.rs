//! The fallback forgotten: a `WHATSAT` whose source is silent gets no reply.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_test_guests::planted::{LostFallback, Planted};

herd_sdk::export!(Planted<LostFallback>);
