//! A rank that depends on the node: the name of the node comes first, so that "equal reports are told apart".

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_test_guests::planted::{NodeRank, Planted};

herd_sdk::export!(Planted<NodeRank>);
