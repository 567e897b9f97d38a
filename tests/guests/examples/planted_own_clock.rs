//! Answers by the node's own clock: a report that is old by it is not shown.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_test_guests::planted::{OwnClock, Planted};

herd_sdk::export!(Planted<OwnClock>);
