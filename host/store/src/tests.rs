//! Tests of the store as a whole, over simulated files.

mod model;
