//! Enrollment profiles, their revisions, and what of them Apple has.

use adelie_model::{ProfileId, ProfileName, ProfileUuid, RevisionId, ServerId, Timestamp, to_millis};
use adelie_store::{Lease, ProfileStore, PublishOutcome, Published, Result, Revision, Sealed, StoreError};
use async_trait::async_trait;
use sqlx::PgPool;
use uuid::Uuid;

use crate::PostgresStore;
use crate::batch::text;
use crate::failure::{Attempt, run};
use crate::fence;
use crate::rows::{self, PublishedRow, RevisionRow, millis};
use crate::tokens::missing;

#[async_trait]
impl ProfileStore for PostgresStore {
    async fn profiles(&self) -> Result<Vec<Revision>> {
        run("list profiles", move || in_force(&self.pool, None)).await
    }

    async fn profile(&self, name: &ProfileName) -> Result<Option<Revision>> {
        let mut found = run("look a profile up", move || in_force(&self.pool, Some(name.as_str()))).await?;
        Ok(found.pop())
    }

    async fn revisions(&self, name: &ProfileName) -> Result<Vec<Revision>> {
        run("list the revisions of a profile", move || revisions(&self.pool, name)).await
    }

    async fn secrets(&self, revision: RevisionId) -> Result<Option<(Uuid, Sealed)>> {
        run("read the passwords of a profile", move || secrets(&self.pool, revision)).await
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

    async fn published_as(&self, server: ServerId, content_hash: &str) -> Result<Option<ProfileUuid>> {
        run("look for what Apple has of a content", move || published_as(&self.pool, server, content_hash))
            .await
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

/// Revisions with their profiles, `r` and `p`, joined on a condition.
macro_rules! revisions {
    ($on:literal) => {
        concat!(
            "SELECT r.id, r.profile_id, p.name, r.number, r.content, r.content_hash, r.document, r.document_hash,
                 r.secrets IS NOT NULL AS has_secrets, r.author, r.note, r.created_at,
                 r.in_force_at
             FROM profiles p JOIN profile_revisions r ON ",
            $on
        )
    };
}

async fn in_force(pool: &PgPool, name: Option<&str>) -> Attempt<Vec<Revision>> {
    let found: Vec<RevisionRow> = sqlx::query_as(concat!(
        "-- revisions_in_force\n",
        revisions!("r.id = p.in_force_id"),
        " WHERE p.removed_at IS NULL AND ($1::text IS NULL OR p.name = $1) ORDER BY p.name",
    ))
    .bind(name)
    .fetch_all(pool)
    .await?;
    Ok(rows::all(found)?)
}

async fn revisions(pool: &PgPool, name: &ProfileName) -> Attempt<Vec<Revision>> {
    let found: Vec<RevisionRow> = sqlx::query_as(concat!(
        "-- revisions\n",
        revisions!("r.profile_id = p.id"),
        " WHERE p.name = $1 ORDER BY r.number DESC",
    ))
    .bind(name.as_str())
    .fetch_all(pool)
    .await?;
    Ok(rows::all(found)?)
}

async fn revision(pool: &PgPool, id: RevisionId) -> Attempt<Option<Revision>> {
    let found: Option<RevisionRow> =
        sqlx::query_as(concat!("-- revision\n", revisions!("r.profile_id = p.id"), " WHERE r.id = $1",))
            .bind(id.0)
            .fetch_optional(pool)
            .await?;
    Ok(found.map(Revision::try_from).transpose()?)
}

async fn secrets(pool: &PgPool, revision: RevisionId) -> Attempt<Option<(Uuid, Sealed)>> {
    let found: Option<(Uuid, Vec<u8>)> = sqlx::query_as(
        "-- secrets
         SELECT secrets_id, secrets FROM profile_revisions WHERE id = $1 AND secrets IS NOT NULL",
    )
    .bind(revision.0)
    .fetch_optional(pool)
    .await?;
    Ok(found.map(|(id, secrets)| (id, Sealed(secrets))))
}

async fn published(pool: &PgPool, profile: ProfileId) -> Attempt<Vec<Published>> {
    let found: Vec<PublishedRow> = sqlx::query_as(
        "-- published
         SELECT u.id, u.server_id, u.revision_id, u.profile_uuid, u.differs, u.error, u.next_attempt_at, u.at
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
         SELECT id, server_id, revision_id, profile_uuid, differs, error, next_attempt_at, at
         FROM published_profiles WHERE server_id = $1 AND revision_id = $2",
    )
    .bind(server.0)
    .bind(revision.0)
    .fetch_optional(pool)
    .await?;
    Ok(found.map(Published::from))
}

async fn published_as(pool: &PgPool, server: ServerId, content_hash: &str) -> Attempt<Option<ProfileUuid>> {
    let uuid: Option<String> = sqlx::query_scalar(
        "-- published_as
         SELECT u.profile_uuid FROM profile_revisions r
         JOIN published_profiles u ON u.revision_id = r.id AND u.server_id = $1
         WHERE r.content_hash = $2 AND u.profile_uuid IS NOT NULL ORDER BY u.id LIMIT 1",
    )
    .bind(server.0)
    .bind(content_hash)
    .fetch_optional(pool)
    .await?;
    Ok(uuid.map(ProfileUuid))
}

async fn set_published(
    pool: &PgPool,
    lease: &Lease,
    revision: RevisionId,
    outcome: &PublishOutcome,
    now: Timestamp,
) -> Attempt<()> {
    let (uuid, differs, error, next_attempt_at) = match outcome {
        PublishOutcome::Defined { uuid, differs } => {
            (Some(uuid.as_str()), differs.as_deref().map(text), None, None)
        }
        PublishOutcome::Refused { error, next_attempt_at } => {
            (None, None, Some(text(error)), Some(*next_attempt_at))
        }
    };
    let mut transaction = pool.begin().await?;
    // Alone, because pages are decided by the UUIDs that this sets.
    fence::alone(&mut transaction, lease).await?;
    sqlx::query(
        "-- set_published
         INSERT INTO published_profiles AS known
             (server_id, revision_id, profile_uuid, error, next_attempt_at, at, differs)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (server_id, revision_id) DO UPDATE SET
             profile_uuid = excluded.profile_uuid, differs = excluded.differs,
             error = excluded.error, next_attempt_at = excluded.next_attempt_at, at = excluded.at
         WHERE known.profile_uuid IS NULL",
    )
    .bind(lease.server.0)
    .bind(revision.0)
    .bind(uuid)
    .bind(error)
    .bind(millis(next_attempt_at))
    .bind(to_millis(now))
    .bind(differs)
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
         UPDATE published_profiles SET profile_uuid = NULL, differs = NULL, error = NULL, next_attempt_at = NULL
         WHERE server_id = $1 AND (revision_id = $2 OR profile_uuid = (SELECT u.profile_uuid
             FROM published_profiles u WHERE u.server_id = $1 AND u.revision_id = $2))",
    )
    .bind(lease.server.0)
    .bind(revision.0)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}
