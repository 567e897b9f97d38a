//! Report of a client's location.

use herd_sys::clock;

use crate::error::InvalidArgument;
use crate::input::start_of;

/// Location of a client at a time.
///
/// The same report may be sent any number of times, to any nodes: it counts once. So keep it, and not its fields, to send it again.
///
/// ```
/// use herd_client::Report;
///
/// let report = Report::at("kiwi", 34.06893, -118.445127, 1_479_413_884_392_014_450)?;
/// assert_eq!(report.to_string(), "IAMAT kiwi +34.06893-118.445127 1479413884.392014450");
/// assert!(Report::now("kiwi", 91.0, 0.0).is_err());
/// # Ok::<(), herd_client::InvalidArgument>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    line: String,
    client_bytes: usize,
}

impl Report {
    /// Makes a report with the present time. Coordinates are in degrees, north and east positive.
    ///
    /// # Errors
    ///
    /// See [`InvalidArgument`]: the name or the coordinates.
    pub fn now(client: &str, latitude: f64, longitude: f64) -> Result<Self, InvalidArgument> {
        Self::at(client, latitude, longitude, u128::from(clock::unix_now_ns()))
    }

    /// Makes a report of a time in nanoseconds since the Unix epoch, below 10^27.
    ///
    /// # Errors
    ///
    /// See [`InvalidArgument`]: the name, the coordinates or the time.
    pub fn at(client: &str, latitude: f64, longitude: f64, unix_ns: u128) -> Result<Self, InvalidArgument> {
        check_client(client)?;
        if !(latitude.abs() <= 90.0 && longitude.abs() <= 180.0) {
            let (latitude, longitude) = (latitude.into(), longitude.into());
            return Err(InvalidArgument::Location { latitude, longitude });
        }
        if unix_ns >= UNIX_NS_END {
            return Err(InvalidArgument::Time(unix_ns));
        }
        // Display of a double has as many digits as tell it from its neighbours, and no exponent. Tiny ones would be longer than a location
        // may be; fifteen decimals are below the size of an atom.
        let [latitude, longitude] = [latitude, longitude]
            .map(|degrees| if degrees.abs() < 1e-15 { "+0".to_owned() } else { format!("{degrees:+}") });
        let (seconds, nanoseconds) = (unix_ns / NS_PER_S, unix_ns % NS_PER_S);
        let line = format!("IAMAT {client} {latitude}{longitude} {seconds}.{nanoseconds:09}");
        Ok(Self { line, client_bytes: client.len() })
    }

    /// Name of the client.
    #[must_use]
    pub fn client(&self) -> &str {
        &self.line[COMMAND.len()..COMMAND.len() + self.client_bytes]
    }
}

/// The line of the protocol.
impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.line)
    }
}

/// Checks the name of a client.
pub(crate) fn check_client(client: &str) -> Result<(), InvalidArgument> {
    let is_white = |byte: u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c);
    if (1..=CLIENT_BYTES_MAX).contains(&client.len()) && !client.bytes().any(is_white) {
        return Ok(());
    }
    Err(InvalidArgument::Client(start_of(client)))
}

const COMMAND: &str = "IAMAT ";
const NS_PER_S: u128 = 1_000_000_000;
/// 18 digits of seconds.
const UNIX_NS_END: u128 = 1_000_000_000_000_000_000 * NS_PER_S;
/// Names that nodes keep by default, and far more than any needs.
const CLIENT_BYTES_MAX: usize = 1024;
