//! Suggestions for an unknown name.
//!
//! Knows nothing of what is named. Bound: the names that are known, of which the distance to each is computed.

/// Returns `; did you mean ...` if a known name is near, or else the list of known names. Starts with the separator, to be
/// appended to an error. Empty if no name is known.
///
/// ```
/// use herd_config::suggestion;
///
/// assert_eq!(suggestion("inof", ["warn", "info"]), "; did you mean `info`?");
/// assert_eq!(suggestion("nonsense", ["warn", "info"]), "; known are warn, info");
/// ```
pub fn suggestion<T: AsRef<str>>(name: &str, known: impl IntoIterator<Item = T>) -> String {
    let known: Vec<T> = known.into_iter().collect();
    let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    match nearest(name, known.iter().copied()) {
        Some(nearest) => format!("; did you mean `{nearest}`?"),
        None if known.is_empty() => String::new(),
        None => format!("; known are {}", known.join(", ")),
    }
}

/// Returns the nearest known name, if it is near enough to be what was meant. Case and underscores do not count.
pub fn nearest<T: AsRef<str>>(name: &str, known: impl IntoIterator<Item = T>) -> Option<T> {
    let plain = |name: &str| name.to_lowercase().replace('_', "");
    let wanted = plain(name);
    let distance = |other: &T| strsim::damerau_levenshtein(&wanted, &plain(other.as_ref()));
    let nearest = known.into_iter().min_by_key(|other| distance(other))?;
    (distance(&nearest) <= (wanted.len() / 2).clamp(1, DISTANCE_MAX)).then_some(nearest)
}

/// Largest number of edits between a name and a suggestion: more than that is another word.
const DISTANCE_MAX: usize = 4;
