//! Times compared as text: 099 is before 1.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_test_guests::planted::{Planted, TimesAsText};

herd_sdk::export!(Planted<TimesAsText>);
