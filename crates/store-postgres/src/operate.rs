//! What an operator does by hand, in turn with whoever holds the lease.

use std::collections::HashMap;

use adelie_model::{SerialNumber, ServerId, to_millis};
use adelie_store::Operator;
use adelie_store::audit::{device_operated, profiles_retried};
use adelie_store::event::{NewEvent, ProfilesRetried};
use adelie_store::page::{self, Action, Operated, Outcome};
use sqlx::PgPool;

use crate::failure::Attempt;
use crate::policy::policy;
use crate::{PostgresStore, audit, batch, fence, servers};

/// Does what an operator asks for to devices of one MDM server.
pub(crate) async fn devices(
    store: &PostgresStore,
    server: ServerId,
    serials: &[SerialNumber],
    action: &Action,
    by: &Operator,
) -> Attempt<Vec<Operated>> {
    let by = &Operator { now: to_millis(by.now), ..by.clone() };
    let mut transaction = store.pool.begin().await?;
    fence::without_lease(&mut transaction, server).await?;
    let name = audit::server_name(&mut transaction, server).await?;
    let policy = policy(store, &mut transaction, server).await?;
    let devices = batch::load_by_serial(&mut transaction, server, serials).await?;
    let mut outcomes: HashMap<&SerialNumber, Outcome> = HashMap::with_capacity(serials.len());
    let (mut changed, mut events, mut entries) = (Vec::new(), Vec::new(), Vec::new());
    let mut answers = Vec::with_capacity(serials.len());
    for serial in serials {
        // What is asked for twice is done once.
        let outcome = outcomes.entry(serial).or_insert_with(|| {
            let Some(device) = devices.get(serial) else { return Outcome::Unknown };
            let (outcome, done) = page::operate(device, &policy, action, by);
            if let Some((after, event)) = done {
                entries.push(device_operated(&name, action, device, &after));
                changed.push(after);
                events.push(event);
            }
            outcome
        });
        answers.push(Operated { serial: serial.clone(), outcome: outcome.clone() });
    }
    if !changed.is_empty() {
        batch::upsert(&mut transaction, server, &mut changed, None).await?;
        batch::events(&mut transaction, server, None, &events, by.now).await?;
        fence::wake(&mut transaction, server).await?;
        audit::write(&mut transaction, by, &entries).await?;
    }
    transaction.commit().await?;
    Ok(answers)
}

/// Makes refused profiles due to be tried again at once.
pub(crate) async fn retry_profiles(pool: &PgPool, server: ServerId, by: &Operator) -> Attempt<u64> {
    let mut transaction = pool.begin().await?;
    fence::without_lease(&mut transaction, server).await?;
    let refused = sqlx::query(
        "-- retry_profiles
         UPDATE published_profiles SET next_attempt_at = $2 WHERE server_id = $1 AND error IS NOT NULL",
    )
    .bind(server.0)
    .bind(to_millis(by.now))
    .execute(&mut *transaction)
    .await?
    .rows_affected();
    if refused > 0 {
        let details = ProfilesRetried { by: by.name.clone(), profiles: refused };
        let event = NewEvent::new("server.profiles_retried", &details);
        servers::tell(&mut transaction, server, event, by).await?;
        fence::wake(&mut transaction, server).await?;
        let name = audit::server_name(&mut transaction, server).await?;
        audit::write(&mut transaction, by, &[profiles_retried(&name, refused)]).await?;
    }
    transaction.commit().await?;
    Ok(refused)
}
