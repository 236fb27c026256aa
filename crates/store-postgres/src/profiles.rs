//! Enrollment profiles, their revisions, and what of them Apple has.

use adelie_model::{ProfileId, ProfileName, RevisionId, ServerId, Timestamp, to_millis};
use adelie_store::{
    Lease, NewProfile, ProfileStore, PublishOutcome, Published, Result, Revision, StoreError,
};
use async_trait::async_trait;
use sqlx::PgPool;
use sqlx::types::Json;

use crate::PostgresStore;
use crate::batch::text;
use crate::failure::{Attempt, exists, run};
use crate::fence;
use crate::rows::{self, PublishedRow, RevisionRow, millis};
use crate::tokens::missing;

#[async_trait]
impl ProfileStore for PostgresStore {
    async fn add_profile(&self, profile: &NewProfile, now: Timestamp) -> Result<Revision> {
        run("add a profile", move || add(&self.pool, profile, now)).await
    }

    async fn profiles(&self) -> Result<Vec<Revision>> {
        run("list profiles", move || newest(&self.pool, None)).await
    }

    async fn profile(&self, name: &ProfileName) -> Result<Option<Revision>> {
        let mut found = run("look a profile up", move || newest(&self.pool, Some(name.as_str()))).await?;
        Ok(found.pop())
    }

    async fn revision(&self, id: RevisionId) -> Result<Option<Revision>> {
        run("read a revision of a profile", move || revision(&self.pool, id)).await
    }

    async fn published(&self, profile: ProfileId) -> Result<Vec<Published>> {
        run("list what Apple has of a profile", move || published(&self.pool, profile)).await
    }

    async fn published_at(&self, server: ServerId, revision: RevisionId) -> Result<Option<Published>> {
        run("read what Apple has of a profile", move || published_at(&self.pool, server, revision)).await
    }

    async fn set_published(
        &self,
        lease: &Lease,
        revision: RevisionId,
        outcome: &PublishOutcome,
        now: Timestamp,
    ) -> Result<()> {
        run("keep what Apple has of a profile", move || {
            set_published(&self.pool, lease, revision, outcome, now)
        })
        .await
    }

    async fn forget_published(&self, lease: &Lease, revision: RevisionId) -> Result<()> {
        run("forget a profile that Apple has lost", move || forget_published(&self.pool, lease, revision))
            .await
    }
}

async fn add(pool: &PgPool, profile: &NewProfile, now: Timestamp) -> Attempt<Revision> {
    let mut transaction = pool.begin().await?;
    let id: i64 = sqlx::query_scalar(
        "-- add_profile
         INSERT INTO profiles (name, created_at) VALUES ($1, $2) RETURNING id",
    )
    .bind(profile.name.as_str())
    .bind(to_millis(now))
    .fetch_one(&mut *transaction)
    .await
    .map_err(|error| exists(error, "profile", &profile.name))?;
    let revision: i64 = sqlx::query_scalar(
        "-- add_first_revision
         INSERT INTO profile_revisions (profile_id, number, content, content_hash, created_at)
         VALUES ($1, 1, $2, $3, $4) RETURNING id",
    )
    .bind(id)
    .bind(Json(&profile.content))
    .bind(&profile.content_hash)
    .bind(to_millis(now))
    .fetch_one(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(Revision {
        id: RevisionId(revision),
        profile: ProfileId(id),
        name: profile.name.clone(),
        number: 1,
        content: profile.content.clone(),
        content_hash: profile.content_hash.clone(),
        created_at: to_millis(now),
    })
}

async fn newest(pool: &PgPool, name: Option<&str>) -> Attempt<Vec<Revision>> {
    let found: Vec<RevisionRow> = sqlx::query_as(
        "-- newest_revisions
         SELECT r.id, p.id AS profile_id, p.name, r.number, r.content, r.content_hash, r.created_at
         FROM profiles p
         CROSS JOIN LATERAL (
             SELECT * FROM profile_revisions WHERE profile_id = p.id ORDER BY number DESC LIMIT 1
         ) r
         WHERE $1::text IS NULL OR p.name = $1
         ORDER BY p.name",
    )
    .bind(name)
    .fetch_all(pool)
    .await?;
    Ok(rows::all(found)?)
}

async fn revision(pool: &PgPool, id: RevisionId) -> Attempt<Option<Revision>> {
    let found: Option<RevisionRow> = sqlx::query_as(
        "-- revision
         SELECT r.id, r.profile_id, p.name, r.number, r.content, r.content_hash, r.created_at
         FROM profile_revisions r JOIN profiles p ON p.id = r.profile_id WHERE r.id = $1",
    )
    .bind(id.0)
    .fetch_optional(pool)
    .await?;
    Ok(found.map(Revision::try_from).transpose()?)
}

async fn published(pool: &PgPool, profile: ProfileId) -> Attempt<Vec<Published>> {
    let found: Vec<PublishedRow> = sqlx::query_as(
        "-- published
         SELECT u.id, u.server_id, u.revision_id, u.profile_uuid, u.error, u.next_attempt_at, u.at
         FROM published_profiles u JOIN profile_revisions r ON r.id = u.revision_id
         WHERE r.profile_id = $1 ORDER BY u.id",
    )
    .bind(profile.0)
    .fetch_all(pool)
    .await?;
    Ok(found.into_iter().map(Published::from).collect())
}

async fn published_at(pool: &PgPool, server: ServerId, revision: RevisionId) -> Attempt<Option<Published>> {
    let found: Option<PublishedRow> = sqlx::query_as(
        "-- published_at
         SELECT id, server_id, revision_id, profile_uuid, error, next_attempt_at, at
         FROM published_profiles WHERE server_id = $1 AND revision_id = $2",
    )
    .bind(server.0)
    .bind(revision.0)
    .fetch_optional(pool)
    .await?;
    Ok(found.map(Published::from))
}

async fn set_published(
    pool: &PgPool,
    lease: &Lease,
    revision: RevisionId,
    outcome: &PublishOutcome,
    now: Timestamp,
) -> Attempt<()> {
    let (uuid, error, next_attempt_at) = match outcome {
        PublishOutcome::Defined(uuid) => (Some(uuid.as_str()), None, None),
        PublishOutcome::Refused { error, next_attempt_at } => {
            (None, Some(text(error)), Some(*next_attempt_at))
        }
    };
    let mut transaction = pool.begin().await?;
    // Alone, because pages are decided by the UUIDs that this sets.
    fence::alone(&mut transaction, lease).await?;
    sqlx::query(
        "-- set_published
         INSERT INTO published_profiles AS known
             (server_id, revision_id, profile_uuid, error, next_attempt_at, at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (server_id, revision_id) DO UPDATE SET
             profile_uuid = excluded.profile_uuid,
             error = excluded.error, next_attempt_at = excluded.next_attempt_at, at = excluded.at
         WHERE known.profile_uuid IS NULL",
    )
    .bind(lease.server.0)
    .bind(revision.0)
    .bind(uuid)
    .bind(error)
    .bind(millis(next_attempt_at))
    .bind(to_millis(now))
    .execute(&mut *transaction)
    .await
    .map_err(|error| {
        missing(error, || StoreError::Missing { what: "revision of a profile", name: revision.to_string() })
    })?;
    transaction.commit().await?;
    Ok(())
}

async fn forget_published(pool: &PgPool, lease: &Lease, revision: RevisionId) -> Attempt<()> {
    let mut transaction = pool.begin().await?;
    fence::alone(&mut transaction, lease).await?;
    sqlx::query(
        "-- forget_published
         UPDATE published_profiles SET profile_uuid = NULL, error = NULL, next_attempt_at = NULL
         WHERE server_id = $1 AND revision_id = $2",
    )
    .bind(lease.server.0)
    .bind(revision.0)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}
