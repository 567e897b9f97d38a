//! WASI component of the default logic.
//!
//! Owns nothing but the export: `herd-sdk` converts types and `herd-logic` decides.

#![allow(unsafe_code, reason = "the exports of a component are unsafe symbols")]

herd_sdk::export!(herd_logic::Herd);
