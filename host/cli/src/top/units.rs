//! Units in which people read figures, in at most seven columns.

/// Describes a count or a rate with three digits or four: `0.3`, `9999`, `12.3k`, `1.23M`.
#[allow(clippy::float_cmp, reason = "a whole number is meant exactly")]
pub(super) fn count(value: f64) -> String {
    match value {
        value if value < 10.0 && value.fract() != 0.0 => format!("{value:.1}"),
        value if value < 9_999.5 => format!("{value:.0}"),
        value => scaled(value, 1e3, &["k", "M", "G", "T"]),
    }
}

/// Describes a number of bytes: `812 B`, `1.23 MB`.
pub(super) fn bytes(value: f64) -> String {
    match value {
        value if value < 999.5 => format!("{value:.0} B"),
        value => scaled(value, 1e3, &[" kB", " MB", " GB", " TB"]),
    }
}

/// Describes a time that is given in nanoseconds: `0.8µs`, `850µs`, `1.2ms`.
pub(super) fn nanoseconds(value: f64) -> String {
    let digits = |value: f64| if value < 9.95 { format!("{value:.1}") } else { format!("{value:.0}") };
    match value {
        value if value < 999_500.0 => format!("{}µs", digits(value / 1e3)),
        value if value < 999_500_000.0 => format!("{}ms", digits(value / 1e6)),
        value => format!("{}s", digits(value / 1e9)),
    }
}

/// Describes an age in its largest unit: `45s`, `12m`, `3h`, `5d`.
pub(super) fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Divides until at most three digits are left of the point, and shows three digits in all.
fn scaled(value: f64, factor: f64, units: &[&str]) -> String {
    let (mut value, mut units) = (value / factor, units.iter());
    let mut unit = units.next().copied().unwrap_or_default();
    for next in units {
        if value < 999.5 {
            break;
        }
        (value, unit) = (value / factor, next);
    }
    let decimals = match value {
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_shows_figures_in_few_columns() {
        let counts = [0.0, 0.25, 7.0, 9_999.0, 9_999.6, 12_345.0, 999_600.0, 1_234_567.0, 5e9];
        let shown = ["0", "0.2", "7", "9999", "10.0k", "12.3k", "1.00M", "1.23M", "5.00G"];
        assert_eq!(counts.map(count), shown);
        assert_eq!([0.0, 812.0, 1_000.0, 1_234_567.0].map(bytes), ["0 B", "812 B", "1.00 kB", "1.23 MB"]);
        let times = [0.0, 800.0, 12_300.0, 999_499.0, 999_500.0, 65_536_000.0, 2.5e9];
        assert_eq!(times.map(nanoseconds), ["0.0µs", "0.8µs", "12µs", "999µs", "1.0ms", "66ms", "2.5s"]);
        assert_eq!([0, 119, 120, 7_200, 172_800].map(age), ["0s", "119s", "2m", "2h", "2d"]);
    }
}
