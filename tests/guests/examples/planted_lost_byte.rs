//! A byte lost at a cut: a rest of one byte is taken for the second half of a line end.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_test_guests::planted::{LostByte, Planted};

herd_sdk::export!(Planted<LostByte>);
