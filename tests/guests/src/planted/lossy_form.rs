//! A form that does not round-trip: records become shorter by the sign of the skew and the last decimals of a location.

use herd_sdk::Unconvertible;

use crate::{Conversions, downgrade, upgrade};

/// Converts records to the second form with less than they hold.
pub struct LossyForm;

impl Conversions for LossyForm {
    const NAME: &'static str = "lossy-form";

    fn upgrade(from: u32, bytes: &[u8]) -> Result<Vec<u8>, Unconvertible> {
        let record = upgrade(from, bytes)?;
        let text = String::from_utf8_lossy(&record);
        // "Nobody needs a hundredth of a second of arc."
        Ok(text.replacen(".068930", ".0689", 1).into_bytes())
    }

    fn downgrade(to: u32, bytes: &[u8]) -> Result<Vec<u8>, Unconvertible> {
        downgrade(to, bytes)
    }
}
