//! Selection of transcripts by name.
//!
//! Owns the meaning of a pattern. Knows no files. Bound: the product of the lengths of pattern and name.

use std::str::FromStr;

/// Pattern for `--only`.
#[derive(Clone, Debug)]
pub(super) struct NameFilter(String);

impl FromStr for NameFilter {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            Err("write a part of a name, or a pattern such as places-*")
        } else {
            Ok(Self(text.into()))
        }
    }
}

impl NameFilter {
    /// Returns whether the name contains the text, or matches a text with stars or question marks. Such a text matches the whole path, or
    /// the name of the file, with or without its ending.
    pub(super) fn matches(&self, name: &str) -> bool {
        if !self.0.contains(['*', '?']) {
            return name.contains(&self.0);
        }
        let file = name.rsplit('/').next().unwrap_or(name);
        let stem = file.strip_suffix(".herd").unwrap_or(file);
        [name, file, stem].iter().any(|name| glob(self.0.as_bytes(), name.as_bytes()))
    }
}

/// Matches with `*` for any bytes and `?` for one.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut in_name) = (0, 0);
    // Where the last star was and how much it has taken: only that star needs to take more.
    let mut star: Option<(usize, usize)> = None;
    while in_name < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, in_name));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[in_name] => (at, in_name) = (at + 1, in_name + 1),
            _ => {
                let Some((star_at, taken)) = star else { return false };
                star = Some((star_at, taken + 1));
                (at, in_name) = (star_at + 1, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_matches_parts_of_names_and_whole_patterns() {
        let matches = |pattern: &str, name| pattern.parse::<NameFilter>().unwrap().matches(name);
        assert!(matches("iam", "tests/transcripts/iamat.herd") && !matches("whatsat", "iamat"));
        assert!(
            matches("places-*", "tests/places-google.herd")
                && matches("*.herd", "a.herd")
                && matches("t*e", "tests/iamat/e")
        );
        assert!(matches("i?mat", "x/iamat.herd") && !matches("places-*", "x/other-places-a.herd"));
        assert!(matches("a*b*c", "aXbXbc") && !matches("a*b*c", "aXbXb") && !matches("?", ""));
        assert!("".parse::<NameFilter>().is_err());
    }
}
