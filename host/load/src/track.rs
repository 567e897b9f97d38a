//! GPS tracks: reads the points of a GPX file, and formats locations for the line protocol.
//!
//! Knows nothing of herds. Bound: `TRACK_BYTES_MAX` per file, which also bounds the number of points.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use gpx::errors::GpxError;
use jiff::Timestamp;
use thiserror::Error;

/// Point of a recorded track.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackPoint {
    /// Degrees north of the equator, -90 to 90.
    pub latitude_degrees: f64,
    /// Degrees east of Greenwich, -180 to 180.
    pub longitude_degrees: f64,
    /// Recorded time in nanoseconds since the Unix epoch, if any. Negative before 1970.
    pub time_ns: Option<i128>,
}

/// A file cannot be read as a track.
#[derive(Debug, Error)]
pub enum TrackError {
    /// The file does not exist or cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The file exceeds the size limit.
    #[error("{} is larger than {bytes_max} bytes", path.display())]
    TooLarge {
        /// Path of the file.
        path: PathBuf,
        /// Limit in bytes.
        bytes_max: u64,
    },
    /// The file is not XML, not GPX, or invalid GPX, such as one with a latitude over 90 degrees.
    #[error("{} is not a valid GPX file", path.display())]
    NotGpx {
        /// Path of the file.
        path: PathBuf,
        /// Error of the parser.
        source: Box<GpxError>,
    },
    /// The file has no track, or an empty one. Routes and waypoints do not count, because they are not recordings.
    #[error("{} has no track points", path.display())]
    NoPoints {
        /// Path of the file.
        path: PathBuf,
    },
    /// A time is outside the years -9999 to 9999.
    #[error("track point {number} of {} has a time out of range", path.display())]
    Time {
        /// Path of the file.
        path: PathBuf,
        /// Number of the point, from 1.
        number: usize,
    },
}

/// Reads the points of all tracks and segments of a GPX 1.0 or 1.1 file, in the order of the file.
///
/// Blocks on the file system and parses on the calling thread, so it must not be called on the workers of a node.
///
/// # Errors
///
/// See [`TrackError`].
pub fn read_track(path: &Path) -> Result<Vec<TrackPoint>, TrackError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(TRACK_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|source| TrackError::Read { path: path.to_owned(), source })?;
    if bytes.len() as u64 > TRACK_BYTES_MAX {
        return Err(TrackError::TooLarge { path: path.to_owned(), bytes_max: TRACK_BYTES_MAX });
    }
    parse_track(&bytes, path)
}

/// Formats a location as ISO 6709 decimal degrees: latitude and longitude, each with a sign and six decimals (a tenth of a
/// metre): `+34.068930-118.445127`.
pub(crate) fn format_location(latitude_degrees: f64, longitude_degrees: f64) -> String {
    let mut text = String::with_capacity("+34.068930-118.445127".len());
    for degrees in [latitude_degrees, longitude_degrees] {
        // Formatting rounds the exact binary value once; a multiplication by a million before it would round twice.
        let number = format!("{degrees:+.6}");
        text.push_str(if number == "-0.000000" { "+0.000000" } else { &number });
    }
    text
}

/// Parses the content of a file. `path` is for errors only.
fn parse_track(bytes: &[u8], path: &Path) -> Result<Vec<TrackPoint>, TrackError> {
    let recording =
        gpx::read(bytes).map_err(|source| TrackError::NotGpx { path: path.to_owned(), source: Box::new(source) })?;
    let fixes = recording.tracks.iter().flat_map(|track| &track.segments).flat_map(|segment| &segment.points);
    let mut points = Vec::new();
    for (index, fix) in fixes.enumerate() {
        let number = index + 1;
        let (longitude_degrees, latitude_degrees) = fix.point().x_y();
        let time_ns = fix.time.map(nanoseconds).transpose();
        let time_ns = time_ns.map_err(|TimeOutOfRange| TrackError::Time { path: path.to_owned(), number })?;
        points.push(TrackPoint { latitude_degrees, longitude_degrees, time_ns });
    }
    if points.is_empty() {
        return Err(TrackError::NoPoints { path: path.to_owned() });
    }
    Ok(points)
}

/// Time that a `Timestamp` cannot represent.
struct TimeOutOfRange;

/// Converts a time through its text, which is exact to the nanosecond and avoids a dependency on the crate of the parser's times.
fn nanoseconds(time: gpx::Time) -> Result<i128, TimeOutOfRange> {
    let text = time.format().map_err(|_| TimeOutOfRange)?;
    let timestamp: Timestamp = text.parse().map_err(|_| TimeOutOfRange)?;
    Ok(timestamp.as_nanosecond())
}

/// Twice a day of points, one per second, at 370 bytes each as a sports watch writes them.
const TRACK_BYTES_MAX: u64 = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(inner: &str) -> Result<Vec<TrackPoint>, TrackError> {
        let text = format!("<gpx version=\"1.1\" creator=\"test\">{inner}</gpx>");
        parse_track(text.as_bytes(), Path::new("walk.gpx"))
    }

    #[test]
    fn track_joins_segments_in_order() {
        let points = parse(
            "<wpt lat=\"9\" lon=\"9\"/>\
             <trk><trkseg><trkpt lat=\"1\" lon=\"2\"><time>1970-01-01T00:00:01.000000001Z</time></trkpt></trkseg>\
             <trkseg><trkpt lat=\"-3.5\" lon=\"4\"><time>1970-01-01T01:00:00+01:00</time></trkpt></trkseg></trk>\
             <trk><trkseg><trkpt lat=\"5\" lon=\"-6\"/></trkseg></trk>",
        )
        .unwrap();
        assert_eq!(points.iter().map(|point| point.latitude_degrees).collect::<Vec<_>>(), [1.0, -3.5, 5.0]);
        assert_eq!(points.iter().map(|point| point.longitude_degrees).collect::<Vec<_>>(), [2.0, 4.0, -6.0]);
        assert_eq!(points.iter().map(|point| point.time_ns).collect::<Vec<_>>(), [Some(1_000_000_001), Some(0), None]);
    }

    #[test]
    fn track_errors_name_the_file() {
        let message = |result: Result<Vec<TrackPoint>, TrackError>| result.unwrap_err().to_string();
        let broken = |text: &str| message(parse_track(text.as_bytes(), Path::new("walk.gpx")));
        assert_eq!(broken(""), "walk.gpx is not a valid GPX file");
        assert_eq!(broken("lat,lon\n1,2\n"), "walk.gpx is not a valid GPX file");
        assert_eq!(broken("<kml></kml>"), "walk.gpx is not a valid GPX file");
        assert_eq!(broken("<gpx version=\"1.1\"><trk>"), "walk.gpx is not a valid GPX file");
        assert_eq!(message(parse("<wpt lat=\"9\" lon=\"9\"/>")), "walk.gpx has no track points");
        assert_eq!(message(parse("<trk><trkseg/></trk>")), "walk.gpx has no track points");
        let point = |attributes: &str| format!("<trk><trkseg><trkpt {attributes}/></trkseg></trk>");
        assert_eq!(message(parse(&point("lat=\"91\" lon=\"0\""))), "walk.gpx is not a valid GPX file");
        assert_eq!(message(parse(&point("lat=\"NaN\" lon=\"0\""))), "walk.gpx is not a valid GPX file");
        assert_eq!(message(parse(&point("lat=\"0\""))), "walk.gpx is not a valid GPX file");
        assert_eq!(message(read_track(Path::new("/nonexistent/walk.gpx"))), "cannot read /nonexistent/walk.gpx");
    }

    #[test]
    fn track_over_the_size_limit_is_refused() {
        let path = std::env::temp_dir().join(format!("herd-track-{}.gpx", std::process::id()));
        File::create(&path).and_then(|file| file.set_len(TRACK_BYTES_MAX + 1)).unwrap();
        let result = read_track(&path);
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(result, Err(TrackError::TooLarge { bytes_max: TRACK_BYTES_MAX, .. })));
    }

    #[test]
    fn track_of_the_recorded_walk_is_complete() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/cerknicko-jezero.gpx");
        let points = read_track(Path::new(path)).unwrap();
        assert_eq!(points.len(), 296);
        assert!(points.iter().all(|point| point.time_ns.is_some()));
        assert!(points.is_sorted_by(|a, b| a.time_ns < b.time_ns));
        // 2010-08-05T14:23:59Z
        assert_eq!(points[0].time_ns, Some(1_281_018_239_000_000_000));
    }

    #[test]
    fn location_has_six_decimals_and_two_signs() {
        assert_eq!(format_location(34.06893, -118.445127), "+34.068930-118.445127");
        assert_eq!(format_location(0.0, -0.0), "+0.000000+0.000000");
        assert_eq!(format_location(-0.000_000_4, -0.000_000_6), "+0.000000-0.000001");
        assert_eq!(format_location(89.999_999_9, -179.999_999_9), "+90.000000-180.000000");
        assert_eq!(format_location(-1.0, 7.0), "-1.000000+7.000000");
        assert_eq!(format_location(45.772_175_035, 14.357_659_249), "+45.772175+14.357659");
    }
}
