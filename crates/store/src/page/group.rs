use std::collections::{HashMap, HashSet};

use adelie_model::{Device, SerialNumber, ServerId, to_millis};

use super::{PageContext, PagePlan, Ready, plan, send_ahead, serials};
use crate::{PageCommit, Policy, SendAhead};

/// What a driver has to write for consecutive pages: one plan for each, in their order.
#[derive(Clone, Debug, Default)]
pub struct GroupPlan {
    /// What each page changes.
    pub pages: Vec<PagePlan>,
    /// The devices that are `sent` by it.
    pub ready: Vec<Ready>,
}

/// Works out what consecutive pages change, each on top of those before it. `existing` holds the stored devices among
/// the serial numbers of all of them.
#[must_use]
pub fn plan_group(
    server: ServerId,
    first_import: bool,
    pages: &[PageCommit],
    mut existing: HashMap<SerialNumber, Device>,
    policy: &Policy,
    ahead: Option<SendAhead>,
) -> GroupPlan {
    let mut group = GroupPlan::default();
    let repeated = repeated(pages);
    for page in pages {
        let context = PageContext {
            server,
            seen_run: page.seen_run,
            now: to_millis(page.now),
            source: page.phase.into(),
            first_import,
        };
        let known = page.records.iter().filter_map(|record| existing.remove_entry(&record.serial));
        let known: HashMap<_, _> = known.collect();
        let mut after: HashMap<_, _> =
            known.iter().filter(|(serial, _)| repeated.contains(*serial)).map(own).collect();
        let mut plan = plan(&context, &page.records, known, policy);
        if let Some(ahead) = ahead {
            group.ready.extend(send_ahead(&mut plan, policy, context.now, to_millis(ahead.verify_at)));
        }
        if !repeated.is_empty() {
            for device in after.values_mut() {
                (device.seen_run, device.last_seen_at) = (page.seen_run, device.last_seen_at.max(page.now));
            }
            let written = plan.writes.iter().chain(plan.sent.iter()).map(|device| (&device.serial, device));
            after.extend(written.filter(|(serial, _)| repeated.contains(*serial)).map(own));
            existing.extend(after);
        }
        group.pages.push(plan);
    }
    group
}

/// The serial numbers that are in more than one of the pages; as a rule there are none.
fn repeated(pages: &[PageCommit]) -> HashSet<&SerialNumber> {
    let (mut once, mut repeated) = (HashSet::new(), HashSet::new());
    if pages.len() > 1 {
        for page in pages {
            repeated.extend(serials(&page.records).into_iter().filter(|serial| !once.insert(*serial)));
        }
    }
    repeated
}

fn own((serial, device): (&SerialNumber, &Device)) -> (SerialNumber, Device) {
    (serial.clone(), device.clone())
}
