//! "Will this device get the wanted profile if somebody switches it on now?", answered by asking Apple.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use adelie_model::{
    AssignState, ProfileStatus, ProfileUuid, RevisionId, SerialNumber, ServerId, ServerName, Timestamp,
};
use adelie_store::page::Record;
use adelie_store::{DeviceView, StoreError};
use serde::Serialize;

use crate::{Engine, Shown, WorkError};

/// Whether a device is ready to be switched on, and if not, why and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// The device.
    pub serial: SerialNumber,
    /// The MDM server that has it.
    pub server: Option<ServerName>,
    /// Whether Apple, asked just now, shows the wanted profile for it.
    pub ready: bool,
    /// A word for scripts that does not change: `ready`, or what is in the way.
    pub code: &'static str,
    /// Why, for people.
    pub reason: String,
    /// What to do next; `None` when there is nothing to do.
    pub next_step: Option<String>,
}

/// What Apple said of a device, or why it could not be asked.
type Answer<'a> = Result<&'a Shown, &'a str>;

impl Engine {
    /// Asks Apple about devices and says of each whether it is ready, in their order. What Apple shows is stored, too,
    /// unless another process works on that MDM server at this moment.
    ///
    /// # Errors
    /// Those of the store. An Apple that does not answer is the reason of the devices concerned.
    pub async fn readiness(&self, serials: &[SerialNumber]) -> Result<Vec<Readiness>, StoreError> {
        let mut by_server: HashMap<ServerId, Vec<SerialNumber>> = HashMap::new();
        let homes = self.homes(serials).await?;
        for serial in serials {
            if let Some(view) = homes.get(serial) {
                by_server.entry(view.device.server).or_default().push(serial.clone());
            }
        }
        let mut answers = HashMap::new();
        let mut failures = HashMap::new();
        for (server, serials) in by_server {
            let asked = match self.refresh(server, &serials, false).await {
                // Somebody else works on the server, or has just been given the right to: nothing is stored then.
                Err(WorkError::Busy { .. } | WorkError::Store(StoreError::LeaseLost(_))) => {
                    self.look(server, &serials).await
                }
                asked => asked,
            };
            match asked {
                Ok(shown) => answers.extend(serials.into_iter().zip(shown)),
                Err(WorkError::Store(error)) => return Err(error),
                Err(error) => drop(failures.insert(server, crate::chain(&error))),
            }
        }
        let mut all = Vec::with_capacity(serials.len());
        // Read again, because what Apple said has been stored meanwhile.
        let homes = self.homes(serials).await?;
        let mut published: HashMap<(ServerId, RevisionId), Option<ProfileUuid>> = HashMap::new();
        for serial in serials {
            let Some(view) = homes.get(serial) else {
                all.push(unknown(serial));
                continue;
            };
            let server = view.device.server;
            let wanted = match view.device.assignment.wanted {
                Some(revision) => match published.entry((server, revision)) {
                    Entry::Occupied(known) => known.get().clone(),
                    Entry::Vacant(place) => {
                        let found = self.store.published_at(server, revision).await?;
                        place.insert(found.and_then(|found| found.profile_uuid)).clone()
                    }
                },
                None => None,
            };
            let answer = match (answers.get(serial), failures.get(&server)) {
                (Some(shown), _) => Ok(shown),
                (None, Some(why)) => Err(why.as_str()),
                (None, None) => Err("it was not asked"),
            };
            all.push(judge(view, wanted.as_ref(), answer));
        }
        Ok(all)
    }

    /// Each device at the MDM server that has it now, else at the one that it left last.
    async fn homes(&self, serials: &[SerialNumber]) -> Result<HashMap<SerialNumber, DeviceView>, StoreError> {
        let latest = |view: &DeviceView| (view.device.removed_at.is_none(), view.device.last_seen_at);
        let found = self.store.find(serials).await?.into_iter();
        Ok(found
            .filter_map(|(serial, views)| Some((serial, views.into_iter().max_by_key(latest)?)))
            .collect())
    }
}

fn unknown(serial: &SerialNumber) -> Readiness {
    Readiness {
        serial: serial.clone(),
        server: None,
        ready: false,
        code: "unknown",
        reason: "no MDM server here has this device".to_owned(),
        next_step: Some(format!(
            "assign it to an MDM server in Apple Business or School Manager, then run `adelie device refresh {serial} \
             --server NAME`"
        )),
    }
}

/// Says whether a device is ready, by what Apple shows of it and what is wanted. `wanted` is Apple's UUID of the wanted
/// profile, if Apple has it.
fn judge(view: &DeviceView, wanted: Option<&ProfileUuid>, answer: Answer<'_>) -> Readiness {
    let serial = &view.device.serial;
    let verdict = |ready, code, reason: String, next_step: Option<String>| Readiness {
        serial: serial.clone(),
        server: Some(view.server.clone()),
        ready,
        code,
        reason,
        next_step,
    };
    let record = match answer {
        Ok(Shown::Device(record)) => record,
        Ok(Shown::NotOurs(_)) => {
            let reason = format!("Apple says that it is not at MDM server {}", view.server);
            let next =
                "assign it to this MDM server in Apple Business or School Manager, then run `adelie sync`";
            return verdict(false, "not_here", reason, Some(next.to_owned()));
        }
        Ok(Shown::Unclear(_)) => {
            let next = "ask again in a while".to_owned();
            return verdict(
                false,
                "not_told",
                "Apple does not say what it shows for it".to_owned(),
                Some(next),
            );
        }
        Err(why) => {
            let next = format!("see `adelie server show {}`, and ask again", view.server);
            return verdict(false, "apple_not_asked", format!("Apple could not be asked: {why}"), Some(next));
        }
    };
    if wanted.is_some() && has_profile(record) && record.actual.profile_uuid.as_ref() == wanted {
        let profile = view.wanted_profile.as_ref().map_or("the wanted profile", |name| name.as_str());
        let reason = match record.actual.profile_status {
            Some(ProfileStatus::Pushed) => format!("it has fetched {profile}"),
            _ => format!("Apple shows {profile} for it"),
        };
        return verdict(true, "ready", reason, None);
    }
    let shows = shows(record);
    let (state, why) = view.state();
    let when = |at: Option<Timestamp>| match at {
        Some(at) => format!("wait until {}", at.format("%F %R UTC")),
        None => format!("see `adelie device show {serial}`"),
    };
    let at = view.device.assignment.next_attempt_at;
    let (code, reason, next) = match state {
        AssignState::Unmatched => (
            "unmatched",
            format!("no default gives it a profile; {shows}"),
            format!("run `adelie server set {} --default any=PROFILE`, then `adelie sync {0}`", view.server),
        ),
        AssignState::Held if view.device.hold.is_some() => {
            ("held", format!("{why}; {shows}"), format!("run `adelie assign unhold {serial}`"))
        }
        AssignState::Held => (
            "held",
            format!("{why}; {shows}"),
            "mend the profile and give it to the server as a default".to_owned(),
        ),
        AssignState::Throttled => ("throttled", format!("{why}; {shows}"), when(at)),
        AssignState::Failed => (
            "failed",
            format!("{why}; {shows}"),
            format!("{}, or run `adelie assign retry {serial}`", when(at)),
        ),
        AssignState::Drifted => {
            ("drifted", format!("{why}; {shows}"), format!("run `adelie assign retry {serial}`"))
        }
        AssignState::Removed => (
            "removed",
            format!("it had left MDM server {}, and Apple has it there again", view.server),
            format!("run `adelie device refresh {serial}`"),
        ),
        AssignState::Due
        | AssignState::Sent
        | AssignState::Assigned
        | AssignState::Pushed
        | AssignState::NotAccessible => (
            "not_assigned_yet",
            format!("{shows}, and the wanted one is on its way"),
            format!("run `adelie sync {}`, or wait for the service, and ask again", view.server),
        ),
    };
    verdict(false, code, reason, Some(next))
}

/// Whether Apple would give the device a profile at all (field lesson L5).
fn has_profile(record: &Record) -> bool {
    matches!(record.actual.profile_status, Some(ProfileStatus::Assigned | ProfileStatus::Pushed))
}

fn shows(record: &Record) -> String {
    match &record.actual.profile_uuid {
        Some(uuid) if has_profile(record) => format!("Apple shows another profile, {uuid}"),
        _ => "Apple shows no profile for it: it would come up unmanaged".to_owned(),
    }
}
