//! Old reports forwarded: reports are ranked by when they arrive, so that a late one replaces a newer one everywhere.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_test_guests::planted::{OldReports, Planted};

herd_sdk::export!(Planted<OldReports>);
