//! Fuzz target; see the module of its name.
#![no_main]

herd_fuzz::target!(decisions);
