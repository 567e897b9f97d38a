//! Refuses what another wrote: only the node that has a client may report it.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_test_guests::planted::{Planted, RefusedOthers};

herd_sdk::export!(Planted<RefusedOthers>);
