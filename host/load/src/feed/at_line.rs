//! Check of `AT` lines.

/// Returns true if `line` is `AT <node> <skew> <fields>`, where the skew is a sign, digits, a point and nine digits.
pub(super) fn is_at_line(line: &str, node: &str, fields: &str) -> bool {
    let inner = line.strip_prefix("AT ").and_then(|rest| rest.strip_prefix(node)).and_then(|rest| {
        let skew = rest.strip_prefix(' ')?.strip_suffix(fields)?;
        skew.strip_suffix(' ')
    });
    let skew = inner.and_then(|skew| skew.strip_prefix(['+', '-'])).and_then(|skew| skew.split_once('.'));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    skew.is_some_and(|(whole, fraction)| digits(whole) && digits(fraction) && fraction.len() == 9)
}
