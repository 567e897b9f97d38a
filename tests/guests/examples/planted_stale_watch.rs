//! A watch of a dead session: one session watches a client, by a record that nobody removes when the session ends.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_test_guests::planted::{Planted, StaleWatch};

herd_sdk::export!(Planted<StaleWatch>);
