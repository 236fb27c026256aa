use std::fmt;
use std::path::Path;

use serde_json::{Map, Value};

use crate::{Checked, EnrollmentProfile, Finding, Findings, Position, Rule};

mod table;

use table::Table;

/// Reads the text of a profile in Apple's own keys and checks it. [`read_document`](crate::read_document) reads files
/// of people, in either form and with account settings.
///
/// # Errors
/// All findings at once when one of them is an error; a single one when the text cannot be parsed.
pub fn read(text: &str, format: Format) -> Result<Checked, Findings> {
    EnrollmentProfile::check(parse(text, format)?)
}

/// Parses the text of a profile file to a table of keys, without checking them.
///
/// # Errors
/// One finding with line and column when the text is not of that format, is no table, or has a key twice.
pub fn parse(text: &str, format: Format) -> Result<Map<String, Value>, Findings> {
    // Some editors begin a file with a byte order mark, which no parser here expects.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let parsed = match format {
        Format::Json => serde_json::from_str::<Table>(text).map(|table| table.0).map_err(|error| {
            let position = Position { line: error.line(), column: error.column().max(1) };
            // The place has its own field, so it is taken off the text.
            let place = format!(" at line {} column {}", error.line(), error.column());
            let message = error.to_string();
            (message.strip_suffix(&place).unwrap_or(&message).to_owned(), Some(position))
        }),
        Format::Toml => toml::from_str::<toml::Table>(text).map(json_of_table).map_err(|error| {
            let position = error.span().map(|span| position_of(text, span.start));
            (error.message().to_owned(), position)
        }),
        Format::Yaml => yaml_serde::from_str::<Table>(text).map(|table| table.0).map_err(|error| {
            let position = error.location().map(|at| Position { line: at.line(), column: at.column() });
            let message = error.to_string();
            let place = position.map(|at| format!(" at line {} column {}", at.line, at.column));
            let message =
                place.and_then(|place| message.strip_suffix(&place).map(str::to_owned)).unwrap_or(message);
            (message, position)
        }),
    };
    parsed.map_err(|(message, position)| {
        let finding = Finding::error(
            "",
            Rule::Syntax,
            format!("the file cannot be read as {format}: {message}"),
            format!("correct the file: a profile is a {format} table of keys"),
        );
        Findings::new(vec![Finding { position, ..finding }])
    })
}

/// The format of a profile file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// JSON, as Apple has it.
    Json,
    /// TOML.
    Toml,
    /// YAML.
    Yaml,
}

impl Format {
    /// The format that belongs to the file's extension: `.json`, `.toml`, `.yaml` or `.yml` in any case.
    #[must_use]
    pub fn of_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "json" => Some(Self::Json),
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Json => "JSON",
            Self::Toml => "TOML",
            Self::Yaml => "YAML",
        })
    }
}

fn json_of_table(table: toml::Table) -> Map<String, Value> {
    table.into_iter().map(|(key, value)| (key, json_of(value))).collect()
}

/// JSON has no dates: a TOML date becomes its text.
fn json_of(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(moment) => moment.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json_of).collect(),
        toml::Value::Table(table) => json_of_table(table).into(),
    }
}

fn position_of(text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Position { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"profile_name": "Macs", "url": "https://mdm.example.org/enroll", "is_supervised": true,
        "is_mdm_removable": false, "region": "NO", "language": "nb", "skip_setup_items": ["Siri", "TOS"]}"#;
    const TOML: &str = "\u{feff}profile_name = 'Macs'\nurl = 'https://mdm.example.org/enroll'\nis_supervised = true\n\
        is_mdm_removable = false\nregion = 'NO'\nlanguage = 'nb'\nskip_setup_items = [\n 'Siri', # no voice\n 'TOS'\n]\n";
    const YAML: &str = "profile_name: Macs\nurl: https://mdm.example.org/enroll\nis_supervised: true\r\n\
        is_mdm_removable: false\nregion: NO\nlanguage: nb\nskip_setup_items: [Siri, 'TOS']\n";

    #[test]
    fn the_three_formats_say_the_same() {
        let json = read(JSON, Format::Json).expect("good");
        assert_eq!(json.warnings, Findings::default());
        for (text, format) in [(TOML, Format::Toml), (YAML, Format::Yaml)] {
            assert_eq!(read(text, format).expect("good").profile, json.profile, "{format}");
        }
    }

    #[test]
    fn the_format_follows_the_extension() {
        for (path, format) in [
            ("a/b.json", Some(Format::Json)),
            ("B.TOML", Some(Format::Toml)),
            ("x.yaml", Some(Format::Yaml)),
            ("x.tar.yml", Some(Format::Yaml)),
            ("x.plist", None),
            ("json", None),
        ] {
            assert_eq!(Format::of_path(Path::new(path)), format, "{path}");
        }
    }

    fn syntax_error(text: &str, format: Format) -> Finding {
        let findings = parse(text, format).expect_err("bad syntax");
        let [finding] = &findings[..] else { panic!("one finding, not {findings}") };
        assert_eq!(finding.rule, Rule::Syntax);
        finding.clone()
    }

    #[test]
    fn a_syntax_error_has_its_line_and_column() {
        let json = syntax_error("{\n  \"url\": nope\n}", Format::Json);
        assert_eq!(json.position.map(|at| at.line), Some(2), "{json}");
        assert!(!json.message.contains("line 2"), "the place is said once: {json}");
        let toml = syntax_error("profile_name = 'ä'\nurl = = 1\n", Format::Toml);
        assert_eq!(toml.position, Some(Position { line: 2, column: 7 }), "{toml}");
        let yaml = syntax_error("profile_name: x\nurl: [a, b\n", Format::Yaml);
        assert!(yaml.position.is_some_and(|at| at.line >= 2), "{yaml}");
    }

    #[test]
    fn a_key_that_is_there_twice_is_refused() {
        for (text, format) in [
            ("{\"url\": \"a\", \"url\": \"b\"}", Format::Json),
            ("url = 'a'\nurl = 'b'\n", Format::Toml),
            ("url: a\nurl: b\n", Format::Yaml),
            ("{\"extra\": {\"a\": 1, \"a\": 2}}", Format::Json),
            ("panes:\n  skip: [a]\n  skip: [b]\n", Format::Yaml),
        ] {
            let finding = syntax_error(text, format);
            assert!(finding.position.is_some(), "{finding}");
        }
    }

    #[test]
    fn anything_but_a_table_is_refused() {
        for (text, format) in [
            ("", Format::Json),
            ("[]", Format::Json),
            ("null", Format::Json),
            ("{} {}", Format::Json),
            ("just words", Format::Toml),
            ("- a\n- b\n", Format::Yaml),
            ("a: 1\n---\nb: 2\n", Format::Yaml),
            ("-----BEGIN CERTIFICATE-----\nMIIB\n", Format::Yaml),
        ] {
            syntax_error(text, format);
        }
    }

    #[test]
    fn an_empty_file_lacks_what_every_profile_needs() {
        for (text, format) in [("{}", Format::Json), ("# later\n", Format::Toml), ("", Format::Yaml)] {
            let findings = read(text, format).expect_err("nothing in it");
            assert!(findings.iter().all(|finding| finding.rule == Rule::Required), "{findings}");
            assert_eq!(findings.len(), 2, "{findings}");
        }
    }

    /// The traps of YAML: what looks like a number or a flag is either read as text or told of.
    #[test]
    fn yaml_does_not_change_a_value_in_silence() {
        for (line, rule) in [
            ("support_phone_number: 5550100", Some(Rule::Type)),
            ("support_phone_number: +1 555 0100", None),
            ("support_phone_number: 0301234567", None),
            ("department: yes", None),
            ("is_supervised: yes", Some(Rule::Type)),
            ("department:", Some(Rule::Empty)),
            ("department: !secret x", Some(Rule::Syntax)),
        ] {
            let text = format!("profile_name: Macs\nurl: https://m.example/\n{line}\n");
            let found = read(&text, Format::Yaml).map(|checked| checked.warnings);
            let found = found.unwrap_or_else(|findings| findings);
            assert_eq!(found.first().map(|finding| finding.rule), rule, "{line}: {found}");
        }
    }

    #[test]
    fn a_toml_date_passes_as_text() {
        let table = parse("since = 2026-03-01\ndeep = { at = 2026-03-01T10:00:00Z }", Format::Toml);
        let expected = serde_json::json!({"since": "2026-03-01", "deep": {"at": "2026-03-01T10:00:00Z"}});
        assert_eq!(Value::from(table.expect("good")), expected);
    }
}
