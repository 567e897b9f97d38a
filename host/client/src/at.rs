//! Location of a client as a herd knows it: an `AT` line, parsed.

use herd_logic::AtLine;

/// Location of a client, with the node that received the report.
#[derive(Clone, Debug, PartialEq)]
pub struct At {
    /// Name of the node that received the report.
    pub node: String,
    /// Receipt time minus the client's time, in nanoseconds. Negative if the client's clock is ahead.
    pub skew_ns: i128,
    /// Name of the client.
    pub client: String,
    /// Latitude in degrees, north positive.
    pub latitude: f64,
    /// Longitude in degrees, east positive.
    pub longitude: f64,
    /// Time of the location by the client's clock, in nanoseconds since the Unix epoch.
    pub unix_ns: u128,
    /// The line, without its end, with the client's own notation of location and time.
    pub line: String,
}

impl At {
    /// Parses a line without its end, or returns None if it is no `AT` line, or has names that are not UTF-8.
    ///
    /// ```
    /// let at = herd_client::At::parse("AT Riley +0.5 kiwi +34-118 1479413884").unwrap();
    /// assert_eq!((at.client.as_str(), at.latitude, at.skew_ns), ("kiwi", 34.0, 500_000_000));
    /// assert!(herd_client::At::parse("? AT").is_none());
    /// ```
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let parsed = AtLine::parse(line.as_bytes())?;
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
        Some(Self {
            node: text(parsed.node)?,
            skew_ns: parsed.skew_ns,
            client: text(parsed.client)?,
            latitude: parsed.location.latitude(),
            longitude: parsed.location.longitude(),
            unix_ns: parsed.time.ns(),
            line: line.to_owned(),
        })
    }

    /// Returns whether this is certainly not news after `other`: neither the client nor the receiving node dates it later. A node that has been
    /// away may tell of such a report until it has caught up.
    pub(crate) fn is_no_news_after(&self, other: &Self) -> bool {
        let received_ns = |at: &Self| i128::try_from(at.unix_ns).unwrap_or(i128::MAX).saturating_add(at.skew_ns);
        self.unix_ns <= other.unix_ns && received_ns(self) <= received_ns(other)
    }
}
