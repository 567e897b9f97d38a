//! Names of users and groups, from `/etc/passwd` and `/etc/group`.
//!
//! Directory services are not asked: their accounts are shown and written as numbers. Bounds: both files are read whole.

use std::io;

/// Returns the name of a user, or `None` if the file does not have it.
#[must_use]
pub fn user_name(uid: u32) -> Option<String> {
    let text = std::fs::read_to_string("/etc/passwd").ok()?;
    entries(&text).find(|(_, id)| *id == uid).map(|(name, _)| name.into())
}

/// Returns the id of a group, which is written as its name or its number. `None` if no group has this name.
///
/// # Errors
///
/// The file cannot be read.
pub fn group_id(group: &str) -> io::Result<Option<u32>> {
    if let Ok(id) = group.parse() {
        return Ok(Some(id));
    }
    let text = std::fs::read_to_string("/etc/group")?;
    Ok(entries(&text).find(|(name, _)| *name == group).map(|(_, id)| id))
}

/// Names and ids: in both files the first and the third field of a line.
fn entries(text: &str) -> impl Iterator<Item = (&str, u32)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        Some((name, fields.nth(1)?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_from_the_first_and_third_field() {
        let text = "root:x:0:0:root:/root:/bin/bash\n# comment\n+nis\n:x:7:\nmira:x:1000:1000::/home/mira:/bin/sh\nbad:x:y:\nherd:x:990:mira,ole\n";
        assert_eq!(entries(text).collect::<Vec<_>>(), [("root", 0), ("mira", 1000), ("herd", 990)]);
    }

    #[test]
    fn accounts_of_this_machine_have_root_and_groups_may_be_numbers() {
        assert_eq!(user_name(0).as_deref(), Some("root"));
        assert_eq!((group_id("root").unwrap(), group_id("4711").unwrap()), (Some(0), Some(4711)));
        assert_eq!(group_id("no such group").unwrap(), None);
    }
}
