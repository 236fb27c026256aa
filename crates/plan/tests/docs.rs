//! The examples of docs/folder.md are what a folder can hold.

use std::path::Path;

use adelie_plan::{FolderFile, Reader, Wanted};
use adelie_profile::Format;
use adelie_store::configuration::NewRevision;

/// The fenced examples that begin with the name of a file, like `# rules.toml`.
fn files() -> Vec<FolderFile> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/folder.md");
    let page = std::fs::read_to_string(path).expect("docs/folder.md");
    let mut files = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let text: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            if let Some(path) = text.first().and_then(|first| first.strip_prefix("# ")) {
                files.push(FolderFile { path: path.to_owned(), text: text.join("\n") + "\n" });
            }
        }
    }
    files
}

/// The examples have no profile and one list.
struct Examples;

impl Reader for Examples {
    fn profile(&self, file: &FolderFile, _: Format) -> Result<NewRevision, Vec<String>> {
        Err(vec![format!("{} is a profile", file.path)])
    }

    fn serials(&self, path: &str) -> Result<Vec<String>, String> {
        assert_eq!(path, "lists/carts.csv");
        Ok(vec!["C02EXAMPLE01".to_owned()])
    }
}

fn read(file: &FolderFile) -> Wanted {
    Wanted::read(std::slice::from_ref(file), &Examples).unwrap_or_else(|problems| panic!("{problems:?}"))
}

#[test]
fn the_examples_are_read_and_say_the_same_in_either_format() {
    let files = files();
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["rules.toml", "rules.yaml", "servers.toml"]);
    let [toml, yaml, servers] = [0, 1, 2].map(|at| read(&files[at]));
    assert_eq!(toml.rules.as_ref().map(Vec::len), Some(2));
    assert_eq!(toml, yaml);
    let names: Vec<&str> = servers.servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names, ["acme", "school"]);
}
