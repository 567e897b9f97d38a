//! The `WHATSAT` command: queries the sources of places one after the other and builds the reply.
//!
//! Owns the order of sources and the format of the reply. It must not know the format of a source's answer. The number of
//! configured sources bounds a search.
//!
//! A fetch carries two values to its answer: the token, from which the next source is queried if this one fails, and the
//! fallback reply, whose first line is the `AT` line.

use herd_sdk::{Context, Failure, Outcome};

use crate::at::AtLine;
use crate::command::Radius;
use crate::settings::HerdSettings;
use crate::sources::{Answer, Query, Source};

/// Queries the first source. Returns false if the client is unknown.
pub(crate) fn start(
    settings: &HerdSettings,
    client: &[u8],
    radius: Radius,
    bound: u8,
    context: &mut Context<'_>,
) -> bool {
    let Some(found) = context.record(client) else { return false };
    let Some(at) = AtLine::parse(&found.bytes) else { return false };
    let query = Query {
        latitude: at.location.latitude(),
        longitude: at.location.longitude(),
        radius_m: radius.metres(),
        bound,
    };
    let search = Search { query, source: 0, problem: None };
    search.fetch(settings, &found.bytes, context);
    true
}

/// Decides the answer of a source: replies, or queries the next source.
pub(crate) fn answer(
    settings: &HerdSettings,
    token: &[u8],
    otherwise: &[u8],
    outcome: Outcome<'_>,
    context: &mut Context<'_>,
) {
    // The fallback reply holds the `AT` line of the moment when the command arrived. A look-up now could return a later one.
    let at_line = otherwise.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let parsed = Search::parse(token).and_then(|search| Some((search, *settings.sources.get(search.source)?)));
    // Only a token of other settings or of another version fails to parse.
    let Some((mut search, source)) = parsed else { return context.reply(otherwise) };
    let last = search.source + 1 >= settings.sources.len();

    let problem = match read(source, outcome, &search.query) {
        Ok(Answer::Places(json)) => return reply(context, at_line, &with_degraded(source, search.problem, json)),
        Ok(Answer::Declined { json, .. }) if last => {
            return reply(context, at_line, &with_degraded(source, search.problem, json));
        }
        Ok(Answer::Declined { status, .. }) => status,
        Err(problem) => problem,
    };
    let problem = format!("{}: {problem}", source.name());
    if last {
        return reply(context, at_line, &unknown_error(&problem));
    }
    search.source += 1;
    // The first failure explains best why the preferred source is missing.
    search.problem = search.problem.or(Some(&problem));
    search.fetch(settings, at_line, context);
}

/// Error message of the fallback reply. It is written before the fetch, so it has to be true of every reason for which the host
/// sends it, and an upstream that answered must not be blamed for a swap.
const NO_ANSWER: &str = "no answer in time, or the logic was replaced meanwhile";

/// Search in progress.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Search<'a> {
    query: Query,
    /// Index of the source that is queried.
    source: usize,
    /// Failure of the first source.
    problem: Option<&'a str>,
}

impl<'a> Search<'a> {
    fn fetch(self, settings: &HerdSettings, at_line: &[u8], context: &mut Context<'_>) {
        let Some(source) = settings.sources.get(self.source) else { return };
        let mut otherwise = Vec::with_capacity(at_line.len() + 128);
        compose(&mut otherwise, at_line, &unknown_error(&format!("{}: {NO_ANSWER}", source.name())));
        let request = source.request(&self.query);
        match request.body {
            Some(body) => {
                context.fetch_post(source.name(), &request.path, body.as_bytes(), self.token().as_bytes(), &otherwise);
            }
            None => context.fetch(source.name(), &request.path, self.token().as_bytes(), &otherwise),
        }
    }

    /// Writes the search as text. Decimal text preserves doubles exactly. The problem stands last, since it may contain spaces.
    fn token(self) -> String {
        let Query { latitude, longitude, radius_m, bound } = self.query;
        let problem = self.problem.unwrap_or_default();
        format!("{} {latitude} {longitude} {radius_m} {bound} {problem}", self.source)
    }

    fn parse(token: &'a [u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(token).ok()?.splitn(6, ' ');
        let source = parts.next()?.parse().ok()?;
        let query = Query {
            latitude: parts.next()?.parse().ok()?,
            longitude: parts.next()?.parse().ok()?,
            radius_m: parts.next()?.parse().ok()?,
            bound: parts.next()?.parse().ok()?,
        };
        Some(Self { query, source, problem: parts.next().filter(|problem| !problem.is_empty()) })
    }
}

/// Reads the outcome of a fetch, or returns the reason of a failure.
fn read(source: Source, outcome: Outcome<'_>, query: &Query) -> Result<Answer, String> {
    match outcome {
        Outcome::Answered { status, body } => source.read(status, body, query),
        Outcome::Failed(failure) => Err(reason(failure).into()),
    }
}

fn reason(failure: Failure) -> &'static str {
    match failure {
        Failure::Unknown => "not configured",
        Failure::Unreachable => "unreachable",
        Failure::Timeout => "timeout",
        Failure::TooLarge => "answer too large",
        Failure::Incomplete => "answer broke off",
        Failure::Busy => "too many requests under way",
    }
}

/// Adds `degraded`, the failure of the first source, to the answer of a later one. Also adds `source` for `google-legacy`,
/// whose text passes through unchanged; the other sources add it themselves.
fn with_degraded(source: Source, problem: Option<&str>, json: String) -> String {
    let Some(problem) = problem else { return json };
    let Some(rest) = json.trim_start().strip_prefix('{') else { return json };
    let degraded = serde_json::Value::from(problem);
    let named = if source == Source::GoogleLegacy { "\"source\": \"google-legacy\", " } else { "" };
    format!("{{{named}\"degraded\": {degraded}, {}", rest.trim_start())
}

fn unknown_error(problem: &str) -> String {
    let message = serde_json::Value::from(problem);
    format!(r#"{{"html_attributions":[],"results":[],"status":"UNKNOWN_ERROR","error_message":{message}}}"#)
}

fn reply(context: &mut Context<'_>, at_line: &[u8], json: &str) {
    context.reply_with(|out| compose(out, at_line, json));
}

/// Writes the `AT` line, a newline, the JSON without empty lines, and two newlines, which mark the end of the reply. A
/// newline in a JSON string is an escape and stays.
fn compose(out: &mut Vec<u8>, at_line: &[u8], json: &str) {
    out.extend_from_slice(at_line);
    out.push(b'\n');
    let mut lines = json.split(['\n', '\r']).filter(|line| !line.trim().is_empty());
    if let Some(first) = lines.next() {
        out.extend_from_slice(first.as_bytes());
    }
    for line in lines {
        out.push(b'\n');
        out.extend_from_slice(line.as_bytes());
    }
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reply_collapses_newlines_and_ends_with_two() {
        let mut out = vec![];
        compose(&mut out, b"AT x", "\n{\n\n\n \"a\" : \"b\\n\\nc\",\r\n\r\n \"d\" : 1\n}\n\n\n");
        assert_eq!(String::from_utf8(out).unwrap(), "AT x\n{\n \"a\" : \"b\\n\\nc\",\n \"d\" : 1\n}\n\n");
    }

    #[test]
    fn token_parses_to_the_same_search() {
        let query = Query { latitude: -33.865, longitude: 151.209_000_000_1, radius_m: 10_500.0, bound: 20 };
        for problem in [None, Some("google: HTTP 429, it says")] {
            let search = Search { query, source: 1, problem };
            assert_eq!(Search::parse(search.token().as_bytes()), Some(search));
        }
        assert_eq!(Search::parse(b"nonsense"), None);
    }

    #[test]
    fn degraded_answer_names_its_source() {
        let json = with_degraded(Source::GoogleLegacy, Some("google: \"quoted\""), "{\n \"status\": \"OK\"}".into());
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["degraded"], "google: \"quoted\"");
        assert_eq!(value["source"], "google-legacy");
        assert_eq!(value["status"], "OK");
    }
}
