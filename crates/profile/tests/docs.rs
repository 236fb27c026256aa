//! The examples of docs/profiles.md are good profiles, and its table has every key.

use std::path::Path;

use adelie_profile::{Form, Format, Outside, parse, read_document, schema};
use chrono::DateTime;

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/profiles.md");
    std::fs::read_to_string(path).expect("docs/profiles.md")
}

/// The fenced examples as `(info, text)`. The info `toml fragment` is a file of which only a part is shown.
fn examples(page: &str) -> Vec<(String, String)> {
    let mut examples = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let text: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            examples.push((info.to_owned(), text.join("\n") + "\n"));
        }
    }
    examples
}

#[test]
fn every_example_is_a_good_profile() {
    let host =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/server.pem")).expect("a file");
    // A day on which the certificate of the examples is valid.
    let now = DateTime::from_timestamp(1_800_000_000, 0).expect("a moment");
    let outside = Outside { now, file: &|_| Ok(host.clone()) };
    let editor = jsonschema::validator_for(&schema()).expect("a JSON Schema");
    let mut seen = 0;
    for (info, text) in examples(&page()) {
        let (format, text) = match info.as_str() {
            "toml" => (Format::Toml, text),
            "toml fragment" => {
                (Format::Toml, format!("name = 'Macs'\nurl = 'https://mdm.example.org/enroll'\n{text}"))
            }
            "yaml" => (Format::Yaml, text),
            _ => continue,
        };
        seen += 1;
        match read_document(&text, format, &outside) {
            Ok(checked) => {
                assert!(checked.warnings.is_empty(), "{}\n{text}", checked.warnings);
                let raw = parse(&text, format).expect("it was read").into();
                // The schema is for our form alone.
                assert_eq!(editor.is_valid(&raw), checked.document.form() == Form::Ours, "{text}");
            }
            Err(findings) => panic!("{findings}\n{text}"),
        }
    }
    assert!(seen >= 6, "only {seen} examples were found");
}

#[test]
fn the_table_has_every_key() {
    let page = page();
    let keys = schema()["properties"].as_object().expect("properties").clone();
    for key in keys.keys() {
        assert!(
            page.contains(&format!("`{key}`")) || page.contains(&format!("\"{key}\"")),
            "{key} is missing"
        );
    }
}

/// Every field of the systems that administrators come from has a row in docs/settings.md.
#[test]
fn no_setting_of_other_systems_is_forgotten() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let reference = root.join("../../../shared/reference/settings-models.md");
    let Ok(reference) = std::fs::read_to_string(reference) else {
        println!("SKIPPED: ../shared/reference/settings-models.md is not there");
        return;
    };
    let page = std::fs::read_to_string(root.join("../../docs/settings.md")).expect("docs/settings.md");
    let is_field = |word: &str| {
        let inner_capital = word.chars().skip(1).any(char::is_uppercase);
        let first_small = word.starts_with(|c: char| c.is_ascii_lowercase());
        first_small
            && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && (inner_capital || word.contains('_'))
    };
    let missing: Vec<_> = reference
        .lines()
        // The versions of panes are the catalogue's, and limits are no fields.
        .filter(|line| !line.starts_with("macOS panes"))
        .flat_map(|line| line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')))
        .filter(|word| is_field(word) && !["macOS", "iOS", "visionOS", "tvOS", "iPadOS"].contains(word))
        .filter(|word| !page.contains(&format!("`{word}`")) && !page.contains(&format!("{{{word}}}")))
        .collect();
    assert!(missing.is_empty(), "docs/settings.md has no row for {missing:?}");
}
