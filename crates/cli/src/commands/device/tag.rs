use std::collections::{BTreeMap, BTreeSet};

use adelie_model::{SerialNumber, Tag};
use adelie_store::DeviceFilter;
use adelie_store::page::{Action, Outcome};
use adelie_store::{Reverse, Undo};

use super::list;
use crate::args::{Matching, Serials};
use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::operate::{self, Done, Place};
use crate::serials;

/// Which devices somebody names.
pub struct Named {
    pub devices: Serials,
    /// All that match `filter`, in place of `devices`.
    pub matching: bool,
    pub filter: Matching,
}

/// Gives devices tags and takes others away, and keeps how that is undone.
pub async fn run(
    context: &Context,
    Named { devices, matching, filter }: Named,
    add: Vec<Tag>,
    remove: Vec<Tag>,
) -> anyhow::Result<Exit> {
    if let Some(tag) = add.iter().find(|tag| remove.contains(tag)) {
        return Err(wrong(
            format!("{tag} is both to be given and to be taken away"),
            "leave one of them out",
        ));
    }
    let places = match matching {
        true => all_that_match(context, filter).await?,
        false if filter.everything() => operate::places(context, &serials::required(&devices)?, None).await?,
        // Heeded or not, it would not be clear which devices are meant.
        false => {
            return Err(wrong(
                "options like --family are for --matching; nothing was changed",
                "give --matching for all devices that match them, or serial numbers without them",
            ));
        }
    };
    let mut what: Vec<String> = add.iter().map(|tag| format!("+{tag}")).collect();
    what.extend(remove.iter().map(|tag| format!("-{tag}")));
    let parts = parts(context, places, &add, &remove).await?;
    let undo: Vec<Undo> = parts.iter().flat_map(Part::undo).collect();
    let devices: usize = undo.iter().map(|undo| undo.serials.len()).sum();
    operate::keep_undo(context, &format!("tagged {}", what.join(" ")), undo).await?;
    let mut done: Vec<Done> = Vec::new();
    for part in parts {
        done.extend(
            operate::at(context, part.places, &Action::Tag { add: part.add, remove: part.remove }).await?,
        );
    }
    let exit = operate::tell(context, &done, "tagged")?;
    if !context.out.json && devices > 1 && done.iter().any(|one| one.outcome == Outcome::Done) {
        context.out.hint("`adelie device undo` takes it back")?;
    }
    Ok(exit)
}

/// Devices whose tags change in the same way.
struct Part {
    places: Vec<Place>,
    add: Vec<Tag>,
    remove: Vec<Tag>,
}

impl Part {
    /// How it is undone, at each MDM server.
    fn undo(&self) -> Vec<Undo> {
        if self.add.is_empty() && self.remove.is_empty() {
            return Vec::new();
        }
        let (add, remove) = (self.remove.clone(), self.add.clone());
        operate::undo(self.places.iter(), &Reverse::Tag { add, remove })
    }
}

/// The devices by what changes for them, so that undoing it takes nothing from a device that it had before.
async fn parts(
    context: &Context,
    places: Vec<Place>,
    add: &[Tag],
    remove: &[Tag],
) -> anyhow::Result<Vec<Part>> {
    let mut parts: BTreeMap<(Vec<String>, Vec<String>), Part> = BTreeMap::new();
    for batch in places.chunks(operate::BATCH) {
        let serials: Vec<SerialNumber> = batch.iter().map(|place| place.serial.clone()).collect();
        let found = context.store.find(&serials).await?;
        for place in batch {
            let here =
                found.get(&place.serial).into_iter().flatten().find(|view| {
                    place.server.as_ref().is_some_and(|(server, _)| *server == view.device.server)
                });
            let tags: BTreeSet<&str> =
                here.iter().flat_map(|view| &view.device.tags).map(String::as_str).collect();
            let has = |tag: &&Tag| tags.contains(tag.as_str());
            let add: Vec<Tag> = add.iter().filter(|tag| !has(tag)).cloned().collect();
            let remove: Vec<Tag> = remove.iter().filter(has).cloned().collect();
            let key = (add.iter().map(Tag::to_string).collect(), remove.iter().map(Tag::to_string).collect());
            let part = parts.entry(key).or_insert_with(|| Part { places: Vec::new(), add, remove });
            part.places.push(place.clone());
        }
    }
    Ok(parts.into_values().collect())
}

async fn all_that_match(context: &Context, matching: Matching) -> anyhow::Result<Vec<Place>> {
    if matching.everything() {
        return Err(wrong(
            "--matching without another option means every device there is; nothing was changed",
            "say which, like --family ipad; for all of them name every MDM server with --server",
        ));
    }
    let filter: DeviceFilter = list::filter(context, matching).await?;
    let mut places = Vec::new();
    list::walk(context, &filter, u64::MAX, |view| {
        let server = Some((view.device.server, view.server.clone()));
        places.push(Place { serial: view.device.serial.clone(), server });
        Ok(())
    })
    .await?;
    if places.is_empty() {
        return Err(wrong(
            "no device matches; nothing was changed",
            "`adelie device list` takes the same options",
        ));
    }
    Ok(places)
}
