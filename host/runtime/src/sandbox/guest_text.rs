//! Texts from guests, made safe to show in a terminal, a table and a log.
//!
//! Knows nothing of where they come from and go to. Bounds: [`NAME_CHARS_MAX`] and [`TEXT_CHARS_MAX`].

/// Makes a message safe to show: cut to [`TEXT_CHARS_MAX`], without characters that change how others are shown.
pub(crate) fn printable(text: &str) -> String {
    cut(text, TEXT_CHARS_MAX)
}

/// Makes a name safe to show beside others: as a message, and cut to [`NAME_CHARS_MAX`].
pub(crate) fn printable_name(text: &str) -> String {
    cut(text, NAME_CHARS_MAX)
}

/// True for a character that changes nothing but its own place: no control character, which a terminal would obey, no
/// separator of lines, and none that is invisible or reverses the text behind it.
pub(crate) fn is_harmless(letter: char) -> bool {
    let is_format = matches!(
        letter,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    !letter.is_control() && !is_format
}

fn cut(text: &str, chars_max: usize) -> String {
    let shown = |letter: char| if is_harmless(letter) { letter } else { char::REPLACEMENT_CHARACTER };
    let mut cut: String = text.chars().take(chars_max).map(shown).collect();
    if text.chars().nth(chars_max).is_some() {
        cut.pop();
        cut.push('…');
    }
    cut
}

/// Characters of a name, a version or a command: a column of `herd status`.
const NAME_CHARS_MAX: usize = 64;
/// Characters of a message: about a screenful.
const TEXT_CHARS_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_text_of_a_name_is_short_and_changes_nothing_around_it() {
        assert_eq!(printable_name("Flüge 1.2"), "Flüge 1.2");
        assert_eq!(printable_name("a\u{202e}b\u{2066}c\x1b[2Jd\u{2028}e"), "a\u{fffd}b\u{fffd}c\u{fffd}[2Jd\u{fffd}e");
        let long = printable_name(&"n".repeat(1000));
        assert_eq!((long.chars().count(), long.chars().last()), (64, Some('…')));
        assert_eq!(printable_name(&"n".repeat(64)), "n".repeat(64));
    }
}
