//! `WHATSAT` line.

use crate::error::InvalidArgument;
use crate::report::check_client;

/// Writes the query for at most `bound` places within `radius_km` of a client.
pub(crate) fn query(client: &str, radius_km: f64, bound: u8) -> Result<String, InvalidArgument> {
    check_client(client)?;
    if !(0.0..=RADIUS_KM_MAX).contains(&radius_km) {
        return Err(InvalidArgument::Radius(radius_km.into()));
    }
    if bound > BOUND_MAX {
        return Err(InvalidArgument::Bound(bound));
    }
    // -0 is within the range and has a sign, which the protocol does not know.
    let radius_km = radius_km.abs();
    Ok(format!("WHATSAT {client} {radius_km} {bound}"))
}

/// Limits of the protocol.
const RADIUS_KM_MAX: f64 = 50.0;
const BOUND_MAX: u8 = 20;
