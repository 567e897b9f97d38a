//! A counter in memory: reports of one time are told apart by the number of lines that the instance has seen.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_test_guests::planted::{HiddenCounter, Planted};

herd_sdk::export!(Planted<HiddenCounter>);
