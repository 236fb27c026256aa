use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;

use adelie_model::{ProfileName, SerialNumber, Timestamp};
use adelie_plan::{Effect, Evaluator, FolderFile, Move, Prune, Reader, Wanted, changes, left_alone};
use adelie_profile::{Format, difference};
use adelie_store::configuration::{Change, Configuration, Edits, NewRevision, Version, edits};
use adelie_store::{DeviceFilter, DevicePosition};
use openssl::sha::Sha256;

use super::folder;
use crate::args::{Folder, Serials};
use crate::commands::rule::named;
use crate::context::Context;
use crate::documents::{self, Opened, Sealer};
use crate::exit::wrong;
use crate::profile_files;
use crate::serials;

/// Devices per query.
const PAGE: u32 = 1000;

/// A plan: what a folder would change, and for which devices.
pub struct Made {
    /// The version of the configuration that it was made for.
    pub version: Version,
    pub changes: Vec<Change>,
    /// A line for each change.
    pub lines: Vec<String>,
    /// What is otherwise in the profiles that get another revision, a line for each key.
    pub revised: Vec<(ProfileName, Vec<String>)>,
    pub effect: Effect,
    /// Devices that get something else, when they were asked for.
    pub moved: Vec<(SerialNumber, Move)>,
    /// What stays although the folder does not name it.
    pub left_alone: Vec<String>,
    /// Warnings about profiles of the folder.
    pub warnings: Vec<String>,
    /// The same for plans that do the same.
    pub name: String,
}

impl Made {
    pub async fn of(context: &Context, folder: &Folder, list: bool) -> anyhow::Result<Self> {
        let configuration = context.store.configuration().await?;
        let known = documents::open_all(context).await?;
        let (wanted, warnings) = wanted(context, &folder.dir, &known).await?;
        let prune = if folder.prune { Prune::Yes } else { Prune::No };
        let changes =
            changes(&configuration, &wanted, prune).map_err(|problems| refused(&folder.dir, &problems))?;
        let edits = edits(&configuration, &changes).map_err(|error| named(error, &configuration))?;
        let left_alone = if folder.prune { Vec::new() } else { left_alone(&configuration, &wanted) };
        let (effect, moved) = effect(context, &configuration, &edits, list).await?;
        let name = name(&configuration, &edits, &effect)?;
        let revised = changes.iter().filter_map(|change| revised(change, &known)).collect();
        let (version, lines) = (configuration.version, edits.lines);
        Ok(Self { version, changes, lines, revised, effect, moved, left_alone, warnings, name })
    }
}

/// What a folder wants, and what deserves a second look in it.
async fn wanted(
    context: &Context,
    dir: &Path,
    known: &HashMap<ProfileName, Opened>,
) -> anyhow::Result<(Wanted, Vec<String>)> {
    let files = folder::files(dir)?;
    let sealer = Sealer::new(context).await?;
    let warnings = RefCell::default();
    let reader = Disk { dir, known, sealer, now: context.clock.now(), warnings };
    let wanted = Wanted::read(&files, &reader).map_err(|problems| refused(dir, &problems))?;
    Ok((wanted, reader.warnings.into_inner()))
}

/// The files of a folder on the disk.
struct Disk<'d> {
    dir: &'d Path,
    known: &'d HashMap<ProfileName, Opened>,
    sealer: Sealer<'d>,
    now: Timestamp,
    /// What deserves a second look.
    warnings: RefCell<Vec<String>>,
}

impl Reader for Disk<'_> {
    fn profile(&self, file: &FolderFile, format: Format) -> Result<NewRevision, Vec<String>> {
        let path = self.dir.join(&file.path);
        let checked = profile_files::parse(&file.text, format, &path, self.now)
            .map_err(|findings| findings.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let told = checked.warnings.iter().map(|warning| format!("{}: {warning}", file.path));
        self.warnings.borrow_mut().extend(told);
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let before = stem.parse().ok().and_then(|name: ProfileName| self.known.get(&name));
        self.sealer.revision(checked.document, before, "").map_err(|error| vec![format!("{error:#}")])
    }

    fn serials(&self, path: &str) -> Result<Vec<String>, String> {
        let named = Serials { serials: Vec::new(), file: Some(self.dir.join(path)) };
        let serials = serials::required(&named).map_err(|error| error.to_string())?;
        Ok(serials.iter().map(ToString::to_string).collect())
    }
}

/// What is otherwise in a profile that gets another revision.
fn revised(change: &Change, known: &HashMap<ProfileName, Opened>) -> Option<(ProfileName, Vec<String>)> {
    let Change::Revise { profile, revision, .. } = change else { return None };
    let after = revision.document.as_ref().map_or(&revision.content, |document| &document.content);
    let before = known.get(profile)?.document.document();
    let mut lines: Vec<String> = difference(before, after).iter().map(ToString::to_string).collect();
    if lines.is_empty() {
        // The document is the same, and what follows from it is not: a password, or panes that a newer catalogue knows.
        let before = known.get(profile)?.document.apple();
        lines = difference(before, &revision.content).iter().map(ToString::to_string).collect();
    }
    if lines.is_empty() {
        lines.push("a password".to_owned());
    }
    Some((profile.clone(), lines))
}

fn refused(dir: &Path, problems: &[adelie_plan::Problem]) -> anyhow::Error {
    let lines: Vec<String> = problems.iter().map(|problem| format!("\n  {problem}")).collect();
    wrong(
        format!("{} cannot be used; nothing was changed{}", dir.display(), lines.concat()),
        "mend these and try again",
    )
}

/// What changes mean for all devices, and with `list` for which.
async fn effect(
    context: &Context,
    before: &Configuration,
    edits: &Edits,
    list: bool,
) -> anyhow::Result<(Effect, Vec<(SerialNumber, Move)>)> {
    let (mut effect, mut moved) = (Effect::default(), Vec::new());
    if edits.is_empty() {
        return Ok((effect, moved));
    }
    let evaluator = Evaluator::new(before, &edits.after);
    let mut after: Option<DevicePosition> = None;
    loop {
        let page = context.store.devices(&DeviceFilter::default(), after.as_ref(), PAGE).await?;
        for view in page.iter().filter(|view| view.device.removed_at.is_none()) {
            let change = evaluator.look(&view.device, &view.server);
            if list && let Some(change) = &change {
                moved.push((view.device.serial.clone(), change.clone()));
            }
            effect.count(change);
        }
        match page.last() {
            Some(last) if page.len() == PAGE as usize => {
                after =
                    Some(DevicePosition { server: last.device.server, serial: last.device.serial.clone() });
            }
            _ => return Ok((effect, moved)),
        }
    }
}

/// A short name for a plan: of the version that it was made for, what it changes, and what that means.
fn name(configuration: &Configuration, edits: &Edits, effect: &Effect) -> anyhow::Result<String> {
    let revisions: Vec<_> = edits
        .revisions
        .iter()
        .map(|edit| {
            let document = edit.revision.document.as_ref().map(|document| document.hash.as_str());
            (edit.profile.as_str(), edit.number, edit.revision.content_hash.as_str(), document)
        })
        .collect();
    let rules: Vec<_> = edits
        .after
        .rules
        .iter()
        .map(|rule| (rule.name.as_str(), rule.conditions.as_slice(), rule.profile.as_str(), &rule.only))
        .collect();
    let moves: Vec<_> = effect.moves.iter().collect();
    let text = serde_json::to_vec(&(configuration.version, &edits.lines, revisions, rules, moves))?;
    let mut hash = Sha256::new();
    hash.update(&text);
    Ok(hex::encode(&hash.finish()[..6]))
}
