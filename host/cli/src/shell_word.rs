//! Words of commands that a person copies to a shell.

/// Returns a word as a shell reads it, in quotes if it has to be.
pub(super) fn shell_word(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_word_is_quoted_only_if_a_shell_would_change_it() {
        for (word, wanted) in
            [("Riley", "Riley"), ("/a/b-c.pem", "/a/b-c.pem"), ("", "''"), ("a b", "'a b'"), ("a'$", r"'a'\''$'")]
        {
            assert_eq!(shell_word(word), wanted);
        }
    }
}
