//! The key file: master keys in the data directory, mode 0600. And how files with keys are written at all.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use adelie_model::{Entropy, halt};
use adelie_store::{MasterKey, MasterKeys};
use anyhow::Context;

use crate::exit::wrong;
use crate::master_keys::{Place, refused};

/// Where the key file of a data directory is.
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("master.key")
}

/// Makes the key file of a new database, or takes the one that another process made at the same moment.
pub fn create(path: &Path, entropy: &dyn Entropy) -> anyhow::Result<MasterKeys> {
    let place = Place::KeyFile(path.to_owned());
    let keys = MasterKeys::one(MasterKey::generate(entropy), place.to_string());
    match publish(path, &keys.to_text(), entropy) {
        Ok(()) => Ok(keys),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => place
            .read()
            .map_err(refused)?
            .with_context(|| format!("the key file {} was there and is gone", path.display())),
        Err(error) => Err(error).with_context(|| {
            format!(
                "{}; nothing was sealed yet: check the data directory, its permissions and the disk, and try again",
                unwritten(path)
            )
        }),
    }
}

/// Writes a new file for its owner's eyes only, whole or not at all, and down to the disk.
///
/// # Errors
/// `AlreadyExists` when there is one; it is left as it is.
pub fn publish(path: &Path, text: &str, entropy: &dyn Entropy) -> std::io::Result<()> {
    let mut suffix = [0; 8];
    entropy.fill(&mut suffix);
    let mut name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{:016x}", u64::from_le_bytes(suffix)));
    // Written under another name first, so that nobody ever sees half a key.
    let draft = path.with_file_name(name);
    let linked = write_new(&draft, text).and_then(|()| std::fs::hard_link(&draft, path));
    // A draft that could not be written is not there, and the reason for that counts.
    let removed = std::fs::remove_file(&draft);
    linked.and(removed)?;
    sync_folder(path)
}

/// The key file, held for as long as its keys are exchanged: a second process is refused.
pub struct Exchange {
    path: PathBuf,
    /// Locked. The lock ends with the process, however that ends.
    _folder: File,
}

impl Exchange {
    /// Holds the key file.
    pub fn begin(path: &Path) -> anyhow::Result<Self> {
        // A link stays a link. Whether there is a file at all is found out when it is read.
        let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let folder = path.parent().unwrap_or(Path::new("."));
        let doing = || format!("the folder of the key file {} cannot be held", path.display());
        let held = File::open(folder).with_context(doing)?;
        match held.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _folder: held }),
            Err(std::fs::TryLockError::WouldBlock) => Err(wrong(
                format!("another process exchanges the key file {} right now", path.display()),
                "wait for it; `adelie key show` shows what came of it",
            )),
            Err(std::fs::TryLockError::Error(error)) => Err(error).with_context(doing),
        }
    }

    /// Replaces the keys in the file, whole or not at all.
    pub fn replace(&self, keys: &MasterKeys) -> anyhow::Result<()> {
        // Always the same name, so that what a killed process has left does not stay.
        let draft = self.path.with_extension("key.new");
        let free = match std::fs::remove_file(&draft) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        let written = free.and_then(|()| write_new(&draft, &keys.to_text())).and_then(|()| {
            halt::point("key.before_rename");
            std::fs::rename(&draft, &self.path)
        });
        written.with_context(|| {
            format!(
                "{}; it is as it was, and its keys open everything: check its folder, the permissions and the disk, and run \
                 this again",
                unwritten(&self.path)
            )
        })?;
        sync_folder(&self.path).with_context(|| unwritten(&self.path))
    }
}

/// Writes a file that must not exist yet, for its owner's eyes only, down to the disk.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a key is of no use; why it is only half counts.
        let _ = std::fs::remove_file(path);
    }
    written
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all())
}

fn unwritten(path: &Path) -> String {
    format!("the key file {} could not be written", path.display())
}

/// Makes the data directory, for its owner's eyes only.
pub fn make_data_dir(dir: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| {
        wrong(
            format!("the data directory {} cannot be made: {error}", dir.display()),
            "choose another with --data-dir or ADELIE_DATA_DIR, or make it and give it to this user",
        )
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use adelie_model::SeededEntropy;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).expect("a folder").flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().display().to_string()).collect();
        names.sort();
        names
    }

    #[test]
    fn who_comes_second_takes_the_key_that_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, entropy) = (path(folder.path()), SeededEntropy::new(1));
        let first = create(&path, &entropy).expect("made");
        let second = create(&path, &entropy).expect("read");
        assert_eq!(first.ids(), second.ids());
        let error = publish(&path, "another", &entropy).expect_err("never written over");
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(names(folder.path()), ["master.key"], "no draft is left");
        let nowhere = folder.path().join("nowhere/a.key");
        assert_eq!(publish(&nowhere, "a key", &entropy).expect_err("no folder").kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_key_file_is_replaced_whole_by_one_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let elsewhere = tempfile::tempdir().expect("a folder");
        let (path, entropy) = (path(folder.path()), SeededEntropy::new(2));
        let real = elsewhere.path().join("real.key");
        let old = create(&real, &entropy).expect("made");
        std::os::unix::fs::symlink(&real, &path).expect("a link");
        // What a killed process has left.
        std::fs::write(real.with_extension("key.new"), "half a k").expect("a draft");

        let exchange = Exchange::begin(&path).expect("held");
        assert!(Exchange::begin(&path).is_err(), "a second one is refused");
        let both = old.led_by(&MasterKey::generate(&entropy));
        exchange.replace(&both).expect("replaced");
        let read = Place::KeyFile(path.clone()).read().expect("readable").expect("there");
        assert_eq!(read.ids(), both.ids());
        assert!(path.is_symlink(), "a link stays a link");
        assert_eq!(real.metadata().expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(names(elsewhere.path()), ["real.key"]);
        drop(exchange);
        Exchange::begin(&path).expect("the next one may");
    }
}
