//! Several tasks and processes on one database.

use std::collections::HashSet;
use std::sync::Arc;

use adelie_model::{AssignState, RevisionId, SerialNumber};

use super::world::{World, add_server, at, lease, phone, settlement, uuid};
use super::{Case, Fixture};
use crate::{Lease, Result, Settlement, Store};

const DEVICES: usize = 400;

/// Claims and settles in small batches until nothing is due.
async fn drain(store: Arc<dyn Store>, lease: Lease, revision: RevisionId) -> Result<Vec<SerialNumber>> {
    let mut all = Vec::new();
    loop {
        let claimed = store.claim_due(&lease, revision, 7, at(2), at(300)).await?;
        if claimed.is_empty() {
            return Ok(all);
        }
        let settlements: Vec<_> = claimed
            .iter()
            .map(|claim| Settlement {
                profile_uuid: Some(uuid("UUID-1")),
                ..settlement(&claim.serial, AssignState::Assigned)
            })
            .collect();
        store.settle(&lease, revision, &settlements, at(3)).await?;
        all.extend(claimed.into_iter().map(|claim| claim.serial));
    }
}

/// L18: even with one lease in two hands a device is in one request only.
pub async fn two_handles_never_claim_a_device_twice(fixture: &dyn Fixture) -> Case {
    let (world, revision) = World::with_default(fixture).await?;
    world.full((0..DEVICES).map(|number| phone(&format!("S{number:04}"))).collect(), 1).await?;
    let handles = [world.store.clone(), world.store.clone(), fixture.another().await];
    let tasks: Vec<_> = handles
        .into_iter()
        .map(|store| tokio::spawn(drain(store, world.lease.clone(), revision.id)))
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.expect("no panic")?);
    }
    assert_eq!(all.len(), DEVICES);
    assert_eq!(all.into_iter().collect::<HashSet<_>>().len(), DEVICES);
    let counts = world.store.state_counts(None).await?;
    assert_eq!(counts.len(), 1);
    assert_eq!((counts[0].state, counts[0].devices), (AssignState::Assigned, DEVICES as u64));
    Ok(())
}

/// Pages, claims and reads of several servers at once: everybody waits a little, nobody fails.
pub async fn writers_do_not_disturb_each_other(fixture: &dyn Fixture) -> Case {
    let mut tasks = Vec::new();
    for number in 0..4 {
        let store = if number % 2 == 0 { fixture.store() } else { fixture.another().await };
        let server = add_server(&*store, &format!("server {number}")).await?;
        let lease = lease(&*store, server, "us").await?;
        let world = World { store, server, lease };
        tasks.push(tokio::spawn(async move {
            let run = world.begin(adelie_model::SyncKind::Full, 1).await?;
            for page in 0..10 {
                let records = (0..50).map(|device| phone(&format!("P{page}D{device}"))).collect();
                world.fetch_page(&run, records, 2).await?;
                world.store.renew_lease(&world.lease, super::world::TTL).await?;
                world.all().await?;
            }
            world.end(&run, false, 3).await
        }));
    }
    for task in tasks {
        task.await.expect("no panic")?;
    }
    let counts = fixture.store().state_counts(None).await?;
    assert_eq!(counts.iter().map(|count| count.devices).collect::<Vec<_>>(), [500; 4]);
    Ok(())
}
