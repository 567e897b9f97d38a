//! A form that does not round-trip: records become shorter by the sign of the skew and the last decimals of a location.

#![cfg(target_family = "wasm")]
#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

use herd_test_guests::SecondForm;
use herd_test_guests::planted::LossyForm;

herd_sdk::export!(SecondForm<LossyForm>, forms);
