//! Results as JUnit XML, which build servers read.
//!
//! Owns the escapes of XML. Knows nothing of how transcripts run.

use std::fmt::Write;

use super::diff::{Paint, differences};
use super::report::Report;
use super::tester::{Tested, Verdict};

/// Writes a suite with a case for each transcript.
pub(super) fn xml(report: &Report, guest: &str) -> String {
    let count = |what: fn(&Verdict) -> bool| report.tested.iter().filter(|tested| what(&tested.verdict)).count();
    let errors = count(|verdict| matches!(verdict, Verdict::Unreadable(_)));
    let failures = count(|verdict| !matches!(verdict, Verdict::Holds | Verdict::Blessed)) - errors;
    let seconds: f64 = report.tested.iter().map(|tested| tested.took.as_secs_f64()).sum();
    let counts = format!("tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\"", report.tested.len());
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(out, "<testsuites {counts} time=\"{seconds:.3}\">");
    let _ = writeln!(out, "  <testsuite name=\"{}\" {counts} time=\"{seconds:.3}\">", escaped(guest));
    report.tested.iter().for_each(|tested| write_case(&mut out, tested, guest));
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

fn write_case(out: &mut String, Tested { name, took, verdict, .. }: &Tested, guest: &str) {
    let _ = write!(
        out,
        "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" time=\"{:.3}\"",
        escaped(guest),
        escaped(name),
        escaped(name),
        took.as_secs_f64()
    );
    let first = verdict.run().and_then(|run| run.differences().first());
    if let Some(first) = first {
        let _ = write!(out, " line=\"{}\"", first.line);
    }
    let (element, text) = match verdict {
        Verdict::Holds | Verdict::Blessed => {
            out.push_str("/>\n");
            return;
        }
        Verdict::Unreadable(_) => ("error", String::new()),
        _ => ("failure", verdict.run().map(|run| differences(run, Paint::Plain)).unwrap_or_default()),
    };
    let place = first.map(|first| format!("differs at {}:{}", first.name, first.line));
    let message: Vec<String> = place.into_iter().chain(verdict.reason()).collect();
    let message = message.join(", ");
    let _ = writeln!(out, ">\n      <{element} message=\"{}\">{}</{element}>", escaped(&message), escaped(&text));
    out.push_str("    </testcase>\n");
}

/// Escapes a text for an element or an attribute. XML 1.0 has no notation for most control characters.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            _ if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junit_escapes_what_xml_cannot_hold() {
        assert_eq!(escaped("a<b> & \"c\"\n\u{1b}[0m\0"), "a&lt;b&gt; &amp; &quot;c&quot;\n\u{fffd}[0m\u{fffd}");
    }
}
