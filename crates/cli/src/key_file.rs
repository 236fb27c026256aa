//! The key file: the master key in the data directory, mode 0600.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use adelie_model::Entropy;
use adelie_store::MasterKey;
use anyhow::Context;
use zeroize::Zeroizing;

use crate::exit::{as_wrong, wrong};

/// Where the key file of a data directory is.
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("master.key")
}

/// Reads the key file; `None` when there is none.
pub fn read(path: &Path) -> anyhow::Result<Option<MasterKey>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(wrong(
                format!("the key file {} cannot be read: {error}", path.display()),
                "run adelie as the user that owns the data directory",
            ));
        }
    };
    let open = path.metadata().map(|meta| meta.permissions().mode() & 0o077).unwrap_or(0);
    if open != 0 {
        return Err(wrong(
            format!("the key file {} can be read by others (mode {:o})", path.display(), open | 0o600),
            format!(
                "run `chmod 600 {}`, and if others did read it, treat the tokens as known to them",
                path.display()
            ),
        ));
    }
    MasterKey::parse(&text).map(Some).map_err(|error| {
        wrong(format!("{}: {error}", path.display()), "put the right key file back, from your backup")
    })
}

/// Makes the key file of a new database, or takes the one that another process made at the same moment.
pub fn create(path: &Path, entropy: &dyn Entropy) -> anyhow::Result<MasterKey> {
    let key = MasterKey::generate(entropy);
    // Written whole under another name first, so that nobody ever sees half a key.
    let mut suffix = [0; 8];
    entropy.fill(&mut suffix);
    let draft = path.with_extension(format!("{:016x}", u64::from_le_bytes(suffix)));
    let doing = || format!("the key file {} could not be written", path.display());
    write_new(&draft, &key.to_text()).with_context(doing)?;
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft).with_context(doing)?;
    match linked {
        Ok(()) => {
            if let Some(dir) = path.parent() {
                File::open(dir).and_then(|dir| dir.sync_all()).with_context(doing)?;
            }
            Ok(key)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            read(path)?.with_context(|| format!("the key file {} was there and is gone", path.display()))
        }
        Err(error) => Err(error).with_context(doing),
    }
}

/// Writes a file that must not exist yet, for its owner's eyes only, down to the disk.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Makes the data directory, for its owner's eyes only.
pub fn make_data_dir(dir: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| {
        wrong(
            format!("the data directory {} cannot be made: {error}", dir.display()),
            "choose another with --data-dir or ADELIE_DATA_DIR, or make it and give it to this user",
        )
    })
}

/// The error of a database whose key file is missing.
pub fn missing(path: &Path, expected: &str) -> anyhow::Error {
    wrong(
        format!(
            "the key file {} is missing; the database was sealed under master key {expected}",
            path.display()
        ),
        "put the key file back from your backup; without it the tokens in the database cannot be opened",
    )
}

/// Shows a sealing error as wrong input.
pub fn refused(error: &adelie_store::SealError) -> anyhow::Error {
    as_wrong(error)
}
