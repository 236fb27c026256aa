//! What operators do by hand to devices and refused profiles.

use std::collections::HashMap;

use adelie_model::{SerialNumber, ServerId};
use adelie_store::Operator;
use adelie_store::audit::{device_operated, profiles_retried};
use adelie_store::event::{NewEvent, ProfilesRetried};
use adelie_store::page::{self, Action, Operated, Outcome};
use sqlx::SqliteConnection;

use crate::failure::Attempt;
use crate::policy::policy;
use crate::{SqliteStore, audit, batch, servers};

/// Does it to every serial number once, and says for each what came of it.
pub(crate) async fn devices(
    store: &SqliteStore,
    transaction: &mut SqliteConnection,
    server: ServerId,
    serials: &[SerialNumber],
    action: &Action,
    by: &Operator,
) -> Attempt<Vec<Operated>> {
    let name = audit::server_name(transaction, server).await?;
    let known = batch::load(transaction, server, serials).await?;
    let policy = policy(store, transaction, server).await?;
    let mut outcomes: HashMap<&SerialNumber, Outcome> = HashMap::with_capacity(serials.len());
    let (mut changed, mut events, mut entries) = (Vec::new(), Vec::new(), Vec::new());
    for serial in serials {
        outcomes.entry(serial).or_insert_with(|| {
            let Some(device) = known.get(serial) else { return Outcome::Unknown };
            let (outcome, done) = page::operate(device, &policy, action, by);
            if let Some((after, event)) = done {
                entries.push(device_operated(&name, action, device, &after));
                changed.push(after);
                events.push(event);
            }
            outcome
        });
    }
    if !changed.is_empty() {
        batch::upsert(transaction, &changed, None).await?;
        batch::events(transaction, server, None, &events, by.now).await?;
        due_at_once(transaction, server).await?;
        audit::write(transaction, by, &entries).await?;
    }
    let outcome = |serial| outcomes.get(serial).cloned().unwrap_or(Outcome::Unknown);
    Ok(serials.iter().map(|serial| Operated { serial: serial.clone(), outcome: outcome(serial) }).collect())
}

/// Makes refused profiles due to be defined again, and says how many there were.
pub(crate) async fn profiles(
    transaction: &mut SqliteConnection,
    server: ServerId,
    by: &Operator,
) -> Attempt<u64> {
    let name = audit::server_name(transaction, server).await?;
    let done = sqlx::query(
        "-- retry_profiles
         UPDATE published_profiles SET next_attempt_at = ?2 WHERE server_id = ?1 AND error IS NOT NULL",
    )
    .bind(server.0)
    .bind(by.now.timestamp_millis())
    .execute(&mut *transaction)
    .await?;
    let profiles = done.rows_affected();
    if profiles > 0 {
        let details = ProfilesRetried { by: by.name.clone(), profiles };
        let event = NewEvent::new("server.profiles_retried", &details);
        servers::changed(transaction, server, event, by).await?;
        due_at_once(transaction, server).await?;
        audit::write(transaction, by, &[profiles_retried(&name, profiles)]).await?;
    }
    Ok(profiles)
}

async fn due_at_once(transaction: &mut SqliteConnection, server: ServerId) -> Attempt<()> {
    sqlx::query("-- due_at_once\nUPDATE mdm_servers SET work_at = 0 WHERE id = ?1")
        .bind(server.0)
        .execute(transaction)
        .await?;
    Ok(())
}
