use adelie_model::ProfileName;
use adelie_profile::Format;
use adelie_store::configuration::NewRevision;

use crate::file::Problem;
use crate::{WantedRule, WantedServer, rules_file, servers_file};

/// What a folder wants.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// The profiles; `None` when the folder has none.
    pub profiles: Option<Vec<WantedProfile>>,
    /// The rules, in their order; `None` when the folder says nothing of them.
    pub rules: Option<Vec<WantedRule>>,
    /// What is wanted of MDM servers.
    pub servers: Vec<WantedServer>,
}

/// A profile as a folder wants it.
#[derive(Clone, Debug, PartialEq)]
pub struct WantedProfile {
    /// Its name.
    pub name: ProfileName,
    /// What it says.
    pub revision: NewRevision,
}

/// A file of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderFile {
    /// Its path relative to the folder, with `/` between its parts.
    pub path: String,
    /// What stands in it.
    pub text: String,
}

/// What reading a folder needs of the world.
pub trait Reader {
    /// Reads and checks a file with a profile.
    ///
    /// # Errors
    /// What is wrong with it, a line for each mistake.
    fn profile(&self, file: &FolderFile, format: Format) -> Result<NewRevision, Vec<String>>;

    /// The serial numbers in a file, by its path in the folder.
    ///
    /// # Errors
    /// Why there are none.
    fn serials(&self, path: &str) -> Result<Vec<String>, String>;
}

impl Wanted {
    /// Reads a folder.
    ///
    /// # Errors
    /// Everything that is wrong with its files, all at once.
    pub fn read(files: &[FolderFile], reader: &dyn Reader) -> Result<Self, Vec<Problem>> {
        let mut wanted = Self::default();
        let mut problems = Vec::new();
        let mut servers: Option<&str> = None;
        let mut rules: Option<&str> = None;
        for file in files {
            let path = file.path.as_str();
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            let Some((stem, format)) = Format::of_path(name.as_ref())
                .zip(name.rsplit_once('.'))
                .map(|(format, (stem, _))| (stem, format))
            else {
                continue;
            };
            match (folder, stem) {
                ("profiles", stem) => match profile(&mut wanted, stem, file, format, reader) {
                    Ok(()) => {}
                    Err(wrong) => problems.extend(wrong),
                },
                ("", "rules") => match rules.replace(path) {
                    Some(other) => problems.push(twice(path, other)),
                    None => match rules_file::rules(path, &file.text, format, reader) {
                        Ok(rules) => wanted.rules = Some(rules),
                        Err(wrong) => problems.extend(wrong),
                    },
                },
                ("", "servers") => match servers.replace(path) {
                    Some(other) => problems.push(twice(path, other)),
                    None => match servers_file::servers(path, &file.text, format) {
                        Ok(servers) => wanted.servers = servers,
                        Err(wrong) => problems.extend(wrong),
                    },
                },
                // For editors; see `adelie profile schema`.
                ("", stem) if stem.ends_with(".schema") => {}
                ("", _) => problems.push(Problem::new(
                    path,
                    "it is none of rules, servers and profiles/NAME: move it, or mend its name",
                )),
                _ => {}
            }
        }
        if files.is_empty() || (wanted == Self::default() && problems.is_empty()) {
            problems.push(Problem::new(
                ".",
                "there is no rules.toml, no servers.toml and no profiles/NAME.toml: is it the right folder?",
            ));
        }
        if problems.is_empty() { Ok(wanted) } else { Err(problems) }
    }
}

fn profile(
    wanted: &mut Wanted,
    stem: &str,
    file: &FolderFile,
    format: Format,
    reader: &dyn Reader,
) -> Result<(), Vec<Problem>> {
    let problem = |message: String| Problem::new(&file.path, message);
    let name: ProfileName = stem.parse().map_err(|error| vec![problem(format!("{error}"))])?;
    let profiles = wanted.profiles.get_or_insert_default();
    if profiles.iter().any(|profile| profile.name == name) {
        return Err(vec![problem(format!("there is another file for profile {name}: remove one"))]);
    }
    let revision = reader.profile(file, format);
    let revision = revision.map_err(|wrong| wrong.into_iter().map(problem).collect::<Vec<_>>())?;
    profiles.push(WantedProfile { name, revision });
    Ok(())
}

fn twice(path: &str, other: &str) -> Problem {
    Problem::new(path, format!("there is {other} as well: remove one of them"))
}
