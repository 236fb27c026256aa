//! A file that is there as a whole, or not at all.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use adelie_model::halt;

/// A file on its way to its place, for its owner's eyes only. It is gone when it is dropped before it is there.
pub struct Draft {
    file: File,
    path: PathBuf,
    place: PathBuf,
    kept: bool,
}

/// Why no draft can be begun.
#[derive(Debug, thiserror::Error)]
pub enum DraftError {
    /// Somebody else writes a file for the same place.
    #[error("another process is writing {0} right now")]
    Busy(PathBuf),
    /// The file system refuses.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Draft {
    /// Begins a file for this place, beside it. The draft always has the same name, so that what a killed process has left
    /// does not stay; its lock tells whether somebody still writes it.
    pub fn begin(place: &Path) -> Result<Self, DraftError> {
        let mut name = place.file_name().ok_or(std::io::Error::from(ErrorKind::InvalidInput))?.to_owned();
        name.push(".partial");
        let path = place.with_file_name(name);
        loop {
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => {
                    lock(&file, place)?;
                    // Who took it for a dead one's, in the moment before it was locked, has removed it.
                    if is_at(&file, &path)? {
                        return Ok(Self { file, path, place: place.to_owned(), kept: false });
                    }
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => remove_dead(&path, place)?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What is written to.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Puts the file in its place, down to the disk. Whatever is there gives way.
    pub fn keep(mut self) -> std::io::Result<()> {
        self.file.sync_all()?;
        halt::point("draft.before_rename");
        std::fs::rename(&self.path, &self.place)?;
        self.kept = true;
        let folder = self.place.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            // Why it was given up counts, and the next one removes it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Removes what a killed process has left.
fn remove_dead(path: &Path, place: &Path) -> Result<(), DraftError> {
    let meta = match path.symlink_metadata() {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if !meta.is_file() {
        let problem = format!("{} is in the way and is no file of Adelie's", path.display());
        return Err(std::io::Error::new(ErrorKind::AlreadyExists, problem).into());
    }
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    lock(&file, place)?;
    if is_at(&file, path)? {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

fn lock(file: &File, place: &Path) -> Result<(), DraftError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(DraftError::Busy(place.to_owned())),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Whether this is the file that has the name.
fn is_at(file: &File, path: &Path) -> std::io::Result<bool> {
    let ours = file.metadata()?;
    match path.symlink_metadata() {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().display().to_string())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_there_as_a_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("a.backup");
        let draft = Draft::begin(&place).expect("begun");
        draft.file().write_all(b"half").expect("written");
        assert_eq!(names(folder.path()), ["a.backup.partial"]);
        assert!(matches!(Draft::begin(&place), Err(DraftError::Busy(_))), "somebody writes it");
        drop(draft);
        assert!(names(folder.path()).is_empty());

        let draft = Draft::begin(&place).expect("begun");
        draft.file().write_all(b"all").expect("written");
        draft.keep().expect("kept");
        assert_eq!(names(folder.path()), ["a.backup"]);
        assert_eq!(std::fs::read(&place).expect("a file"), b"all");
        assert_eq!(place.metadata().expect("a file").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_a_dead_one_left_gives_way_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let (place, left) = (folder.path().join("a"), folder.path().join("a.partial"));
        std::fs::write(&left, "half of a long file").expect("a file");
        let draft = Draft::begin(&place).expect("begun");
        assert_eq!(draft.file().metadata().expect("a file").len(), 0);
        drop(draft);
        let other = folder.path().join("precious");
        std::fs::write(&other, "precious").expect("a file");
        std::os::unix::fs::symlink(&other, &left).expect("a link");
        assert!(matches!(Draft::begin(&place), Err(DraftError::Io(_))));
        assert_eq!(std::fs::read_to_string(&other).expect("a file"), "precious");
        assert!(Draft::begin(Path::new("/")).is_err() && Draft::begin(&folder.path().join("no/a")).is_err());
    }
}
