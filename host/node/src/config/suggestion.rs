//! Suggestions for an unknown name.
//!
//! Knows nothing of what is named. Bound: the names that are known, of which the distance to each is computed.

/// Returns `; did you mean ...` if a known name is near, or else the list of known names. Starts with the separator, to be
/// appended to an error.
pub(super) fn suggestion<T: AsRef<str>>(name: &str, known: impl IntoIterator<Item = T>) -> String {
    let known: Vec<T> = known.into_iter().collect();
    let distance = |other: &T| strsim::damerau_levenshtein(&name.to_lowercase(), &other.as_ref().to_lowercase());
    let nearest = known.iter().min_by_key(|other| distance(other));
    match nearest {
        Some(other) if distance(other) <= (name.len() / 2).clamp(1, 4) => {
            format!("; did you mean `{}`?", other.as_ref())
        }
        Some(_) => {
            let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
            format!("; known are {}", known.join(", "))
        }
        None => String::new(),
    }
}
