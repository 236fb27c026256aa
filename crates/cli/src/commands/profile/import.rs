use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use adelie_profile::Format;
use adelie_profile::import::{self, Imported, Note, NoteKind};
use serde_json::json;

use crate::args;
use crate::exit::{Exit, wrong};
use crate::output::Output;
use crate::profile_files;

/// Makes a file of each profile in a file of another system, and says what of it has no equivalent.
pub fn run(out: Output, asked: &args::Import) -> anyhow::Result<Exit> {
    let text = profile_files::text_of(&asked.file)?;
    let found = import::import(&text, asked.from).map_err(|findings| {
        wrong(
            format!("{} cannot be imported\n{}", asked.file.display(), profile_files::indented(&findings)),
            "give the JSON of a profile as the API of Jamf Pro or Graph returns it, or one in Apple's keys",
        )
    })?;
    let format = format_of(asked)?;
    let texts = found.profiles.iter().map(|one| written(one, format)).collect::<anyhow::Result<Vec<_>>>()?;
    let places = match &asked.out {
        Some(place) => places(place, &found.profiles, format)?,
        None if texts.len() > 1 && !out.json => {
            return Err(wrong(
                format!("{} has {} profiles", asked.file.display(), texts.len()),
                "give --out DIR for a file of each",
            ));
        }
        None => Vec::new(),
    };
    for (place, text) in places.iter().zip(&texts) {
        write_new(place, text)?;
    }
    for note in &found.notes {
        out.aside(&note.to_string())?;
    }
    for (at, (profile, text)) in found.profiles.iter().zip(&texts).enumerate() {
        let place = places.get(at);
        if out.json {
            out.object(&json!({
                "name": profile.name, "source": profile.source, "document": profile.document(),
                "notes": profile.notes, "file": place,
            }))?;
            continue;
        }
        match place {
            None => out.data(text)?,
            Some(place) => out.note(&format!("wrote {}", place.display()))?,
        }
        for note in &profile.notes {
            out.aside(&line(note, found.profiles.len() > 1, &profile.name))?;
        }
    }
    if !out.json {
        let file = places.first().map_or_else(|| "FILE".to_owned(), |place| place.display().to_string());
        let missing =
            found.profiles.iter().flat_map(|one| &one.notes).any(|note| note.kind == NoteKind::FillIn);
        let first = if missing { "fill in what is missing, then " } else { "" };
        out.hint(&format!("{first}check it with `adelie profile validate {file}`"))?;
    }
    Ok(Exit::Done)
}

fn line(note: &Note, several: bool, profile: &str) -> String {
    if several { format!("{profile}: {note}") } else { note.to_string() }
}

/// What was asked for, or what the name of the file says.
fn format_of(asked: &args::Import) -> anyhow::Result<Format> {
    let of_path = asked.out.as_deref().and_then(Format::of_path);
    match (asked.format, of_path) {
        (Some(format), Some(of_path)) if format != of_path => Err(wrong(
            format!("--format is {format}, and the file to write has the ending of {of_path}"),
            "leave --format out, or give the file another name",
        )),
        (format, of_path) => Ok(format.or(of_path).unwrap_or(Format::Toml)),
    }
}

/// The file's text. What has to be filled in stands at its head, where the format has comments.
fn written(profile: &Imported, format: Format) -> anyhow::Result<String> {
    let text = adelie_profile::write(&profile.document(), format)
        .map_err(|error| wrong(error.to_string(), "give another --format"))?;
    if format == Format::Json {
        return Ok(text);
    }
    let missing = profile.notes.iter().filter(|note| note.kind == NoteKind::FillIn);
    let head: String = missing.map(|note| format!("# fill in {}: {}\n", note.path, note.reason)).collect();
    Ok(head + &text)
}

/// Where each profile is to be written. All places are looked at first, so that nothing is written when one is taken.
fn places(place: &Path, profiles: &[Imported], format: Format) -> anyhow::Result<Vec<PathBuf>> {
    let is_folder =
        place.is_dir() || profiles.len() > 1 || place.as_os_str().to_string_lossy().ends_with('/');
    let places = if is_folder {
        std::fs::create_dir_all(place).map_err(|error| {
            wrong(
                format!("the folder {} cannot be made: {error}", place.display()),
                "give --out another folder",
            )
        })?;
        let mut taken = BTreeSet::new();
        profiles.iter().map(|profile| place.join(file_name(&profile.name, format, &mut taken))).collect()
    } else {
        vec![place.to_owned()]
    };
    match places.iter().find(|place| place.exists()) {
        Some(taken) => Err(already_there(taken)),
        None => Ok(places),
    }
}

/// A name in small letters, digits and hyphens that none of the others has.
fn file_name(profile: &str, format: Format, taken: &mut BTreeSet<String>) -> String {
    let mut stem = String::new();
    for c in profile.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            stem.push(c);
        } else if !stem.ends_with('-') && !stem.is_empty() {
            stem.push('-');
        }
    }
    let stem = match stem.trim_end_matches('-') {
        "" => "profile",
        stem => stem,
    };
    let ending = format.to_string().to_lowercase();
    let mut name = format!("{stem}.{ending}");
    let mut number = 2;
    while !taken.insert(name.clone()) {
        name = format!("{stem}-{number}.{ending}");
        number += 1;
    }
    name
}

fn write_new(place: &Path, text: &str) -> anyhow::Result<()> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(place)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(already_there(place)),
        Err(error) => Err(wrong(
            format!("{} cannot be written: {error}", place.display()),
            "give --out another file or folder",
        )),
    }
}

fn already_there(place: &Path) -> anyhow::Error {
    wrong(
        format!("{} is there already, and nothing is overwritten", place.display()),
        "give --out another place, or move the file away",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_plain_and_differ() {
        let mut taken = BTreeSet::new();
        for (name, file) in [
            ("Macs of IT", "macs-of-it.toml"),
            ("Macs/of: IT!", "macs-of-it-2.toml"),
            ("../../etc/passwd", "etc-passwd.toml"),
            ("Büro", "büro.toml"),
            ("", "profile.toml"),
            ("..", "profile-2.toml"),
        ] {
            assert_eq!(file_name(name, Format::Toml, &mut taken), file);
        }
    }
}
