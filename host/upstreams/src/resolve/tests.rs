use super::*;
use crate::Upstreams;

const ENVIRONMENT: [(&str, &str); 2] = [("HERD_GOOGLE_KEY", "s3cret-key"), ("OTHER_KEY", "0th3r-key")];

fn resolve(name: &str, tables: &str, used: &[&str]) -> Result<Option<Resolved>, UpstreamConfigError> {
    let config = toml::from_str(tables).unwrap();
    let used: Vec<_> = used.iter().map(ToString::to_string).collect();
    Resolved::new(name, &config, &used, &|name| {
        ENVIRONMENT.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
    })
}

fn http(name: &str, tables: &str) -> HttpPlan {
    match resolve(name, tables, &[name]).unwrap().unwrap().service {
        ServicePlan::Http(plan) => *plan,
        other => panic!("{other:?}"),
    }
}

#[test]
fn preset_needs_no_table_and_is_overridden_field_by_field() {
    let plan = http("google", "");
    assert_eq!(plan.base.as_str(), "https://places.googleapis.com/");
    assert_eq!((plan.headers.len(), plan.connect_timeout), (2, Duration::from_secs(1)));
    let auth = plan.auth.unwrap();
    assert!(matches!(&auth.placement, SecretPlacement::Header(name) if name == "x-goog-api-key"));
    assert_eq!(auth.secret.expose(), "s3cret-key");

    let table = "[google]\nsecret = { env = \"OTHER_KEY\" }\nquery = \"key\"\nconnect_timeout_ms = 5\n\
                 headers = { x-goog-fieldmask = \"places.id\" }";
    let plan = http("google", table);
    assert_eq!(plan.base.as_str(), "https://places.googleapis.com/");
    assert_eq!((plan.headers.len(), plan.connect_timeout), (2, Duration::from_millis(5)));
    assert_eq!(
        (&plan.headers["X-Goog-FieldMask"], &plan.headers["Content-Type"]),
        (&HeaderValue::from_static("places.id"), &HeaderValue::from_static("application/json"))
    );
    let auth = plan.auth.unwrap();
    assert!(matches!(&auth.placement, SecretPlacement::Query(name) if name == "key"));
    assert_eq!(auth.secret.expose(), "0th3r-key");

    let limits = resolve("embedded", "", &[]).unwrap().unwrap().limits;
    let expected = UpstreamLimits { timeout: Duration::from_secs(10), body_bytes_max: 1 << 20, in_flight_max: 64 };
    assert_eq!(limits, expected);
}

#[test]
fn secret_is_required_only_of_an_upstream_in_use() {
    let nothing = |_: &str| None;
    let table: UpstreamsConfig = toml::from_str("[google]\ntimeout_ms = 5").unwrap();
    let none = UpstreamsConfig::default();
    let used = ["google".to_owned()];

    for config in [&table, &none] {
        let error = Resolved::new("google", config, &used, &nothing).unwrap_err();
        assert_eq!(error.to_string(), "upstream google has no secret: provide it, or remove google from the sources");
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(source.to_string(), "environment variable HERD_GOOGLE_KEY is not set");
    }
    assert!(Resolved::new("google", &none, &[], &nothing).unwrap().is_none());

    let upstreams = Upstreams::with_environment("Riley", &table, &[], &nothing).unwrap();
    let status = upstreams.status().upstreams.pop().unwrap();
    assert_eq!(status.name, "google");
    assert_eq!(status.problem.unwrap(), "environment variable HERD_GOOGLE_KEY is not set");
}

#[test]
fn table_with_an_error_is_refused_in_one_line_that_says_what_to_do() {
    let url = "url = \"https://example.org\"";
    for (table, expected) in [
        ("timeout_ms = 1", "upstream x has no `url`"),
        ("url = \"http://example.org\"", "`url` of upstream x cannot be used: not https: only 127.0.0.1, ::1 and"),
        ("url = \"https://u:s3cret@example.org\"", "cannot be used: it contains a user name or password"),
        ("secret = \"s3cret\"", "`secret` of upstream x is the secret itself: store it elsewhere"),
        ("secret = { env = \"OTHER_KEY\" }", "needs `secret` together with one of"),
        ("secret = { env = \"OTHER_KEY\" }\nquery = \"a\"\nheader = \"b\"", "needs `secret` together with one of"),
        ("query = \"key\"", "needs `secret` together with one of"),
        ("secret = { env = \"OTHER_KEY\" }\nheader = \"a b\"", "malformed name or value for \"a b\""),
        ("secret = { env = \"OTHER_KEY\" }\nquery = \"\"", "malformed name or value for \"\""),
        ("secret = { env = \"NONE\" }\nquery = \"key\"", "environment variable NONE is not set"),
        ("headers = { a = \"s3cret\\n\" }", "malformed name or value for \"a\""),
        ("headers = { Authorization = \"s3cret\" }", "may not set Authorization in `headers`"),
        ("headers = { Host = \"other\" }", "may not set Host in `headers`"),
        ("timeout_ms = 0", "`timeout_ms` of upstream x is 0, and may be 1 to 60000"),
        ("connect_timeout_ms = 60001", "`connect_timeout_ms` of upstream x is 60001"),
        (
            "body_kib_max = 9223372036854775807",
            "`body_kib_max` of upstream x is 9223372036854775807, and may be 1 to 8192",
        ),
        ("in_flight_max = 4097", "`in_flight_max` of upstream x is 4097"),
    ] {
        let url = if table.contains("url") || table == "timeout_ms = 1" { "" } else { url };
        let error = resolve("x", &format!("[x]\n{url}\n{table}"), &["x"]).unwrap_err();
        let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        let text = format!("{error}{source}");
        assert!(text.contains(expected) && !text.contains('\n'), "{text}");
        assert!(!format!("{text} {error:?}").contains("s3cret"), "{text} {error:?}");
    }
}

#[test]
fn embedded_accepts_limits_only_and_an_unknown_name_lists_the_known_ones() {
    let error = resolve("embedded", "[embedded]\nurl = \"https://example.org\"", &[]).unwrap_err();
    assert_eq!(error.to_string(), "upstream embedded is part of the process and takes no `url`");
    let limits = resolve("embedded", "[embedded]\nin_flight_max = 3", &[]).unwrap().unwrap().limits;
    assert_eq!((limits.in_flight_max, limits.timeout), (3, Duration::from_secs(10)));

    let error = resolve("gogle", "[weather]\nurl = \"https://example.org\"", &["gogle"]).unwrap_err();
    let expected = "no upstream is named \"gogle\": use embedded, google, google-legacy, weather, \
                    or add a table `[upstreams.gogle]` with a `url`";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn config_rejects_unknown_fields_and_reads_back_what_it_writes() {
    for table in ["[x]\nurls = \"\"", "[x]\nsecret = { value = \"s3cret\" }", "[x]\nsecret = 3"] {
        assert!(toml::from_str::<UpstreamsConfig>(table).is_err(), "{table}");
    }
    let text = "[x]\nurl = \"https://example.org\"\nsecret = { file = \"/run/key\" }\nheader = \"X-Key\"\n\
                headers = { A = \"b\" }\nin_flight_max = 2";
    let config: UpstreamsConfig = toml::from_str(text).unwrap();
    let written = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<UpstreamsConfig>(&written).unwrap(), config, "{written}");
}
