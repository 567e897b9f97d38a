//! Names of nodes as names of files.

/// A file name for a name, which may have anything in it. What is not plain is escaped, so that two names never share a
/// file, and none is hidden or leads elsewhere.
pub fn of(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    name.bytes()
        .enumerate()
        .map(|(index, byte)| match plain(byte) && (byte != b'.' || index > 0) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02x}"),
        })
        .collect()
}
