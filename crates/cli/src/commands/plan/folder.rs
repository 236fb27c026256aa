use std::path::{Path, PathBuf};

use adelie_plan::FolderFile;
use adelie_profile::Format;

use crate::exit::wrong;
use crate::profile_files;

/// The files of a folder that may say something: at its top, and its profiles.
pub fn files(dir: &Path) -> anyhow::Result<Vec<FolderFile>> {
    let mut files = of(dir, "")?;
    if dir.join("profiles").is_dir() {
        files.extend(of(&dir.join("profiles"), "profiles/")?);
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn of(dir: &Path, prefix: &str) -> anyhow::Result<Vec<FolderFile>> {
    let unreadable = |error: std::io::Error| {
        wrong(format!("the folder {} cannot be read: {error}", dir.display()), "check the path")
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let path: PathBuf = entry.map_err(unreadable)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        // macOS leaves such files behind on other file systems.
        if name.starts_with("._") || !path.is_file() || Format::of_path(&path).is_none() {
            continue;
        }
        files.push(FolderFile { path: format!("{prefix}{name}"), text: profile_files::text_of(&path)? });
    }
    Ok(files)
}
