//! Profile files from the disk.

use std::path::Path;

use adelie_model::Timestamp;
use adelie_profile::{CheckedDocument, Findings, Format, Outside, read_document};

use crate::exit::wrong;

/// The largest file that is read as a profile or beside one; certificates make it big, nothing makes it huge.
const MAX_FILE: u64 = 4 << 20;

/// Reads a profile and the files that it names, by paths relative to its own. The outer error is about the file, the
/// inner one about what stands in it.
pub fn read(path: &Path, now: Timestamp) -> anyhow::Result<Result<CheckedDocument, Findings>> {
    let Some(format) = Format::of_path(path) else {
        return Err(wrong(
            format!("{} has no ending that tells its format", path.display()),
            "name it .json, .toml, .yaml or .yml",
        ));
    };
    Ok(parse(&text_of(path)?, format, path, now))
}

/// Reads the text of a profile at `path`, and the files that it names, by paths relative to that.
pub fn parse(text: &str, format: Format, path: &Path, now: Timestamp) -> Result<CheckedDocument, Findings> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let file = |name: &str| bytes_of(&folder.join(name));
    read_document(text, format, &Outside { now, file: &file })
}

/// The text of a file of a reasonable size.
pub fn text_of(path: &Path) -> anyhow::Result<String> {
    let unreadable = |error: String| {
        wrong(format!("{} cannot be read: {error}", path.display()), "check the path and the file")
    };
    let bytes = bytes_of(path).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|_| unreadable("it is no text in UTF-8".to_owned()))
}

/// The findings, one per line below the name of the file.
pub fn indented(findings: &Findings) -> String {
    findings.iter().map(|finding| format!("  {finding}")).collect::<Vec<_>>().join("\n")
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, String> {
    let facts = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !facts.is_file() {
        return Err("it is no file".to_owned());
    }
    if facts.len() > MAX_FILE {
        return Err(format!("it has {} bytes, and at most {MAX_FILE} are read", facts.len()));
    }
    std::fs::read(path).map_err(|error| error.to_string())
}
