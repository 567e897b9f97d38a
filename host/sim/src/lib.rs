//! Simulator: whole herds in one thread on virtual time, from a seed, with faults.
