//! Names of nodes as file names.

/// Returns a file name for any name. Bytes other than letters, digits, `-`, `_` and `.` are escaped, and so is a leading `.`:
/// two names never share a file, and no file is hidden or in another directory.
///
/// ```
/// assert_eq!(herd_sys::file_name::of("Jaquez"), "Jaquez");
/// assert_eq!(herd_sys::file_name::of("../a"), "%2e.%2fa");
/// ```
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
