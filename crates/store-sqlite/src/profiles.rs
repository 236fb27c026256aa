//! Enrollment profiles and what Apple has of them.

use adelie_model::{ProfileId, ProfileName, ProfileUuid, PublishedId, RevisionId, ServerId, Timestamp};
use adelie_store::configuration::Document;
use adelie_store::{
    Lease, ProfileStore, PublishOutcome, Published, Result, Revision, Sealed, StoreError, moment,
};
use async_trait::async_trait;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::SqliteStore;
use crate::failure::{Attempt, run};
use crate::fence;
use crate::rows;

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

/// Revisions that say the same are few, whatever the number of profiles.
const PUBLISHED_AS: &str = "-- published_as
     SELECT p.profile_uuid FROM profile_revisions r INDEXED BY profile_revisions_by_content
     CROSS JOIN published_profiles p ON p.server_id = ?1 AND p.revision_id = r.id
     WHERE r.content_hash = ?2 AND p.profile_uuid IS NOT NULL ORDER BY p.id LIMIT 1";

#[async_trait]
impl ProfileStore for SqliteStore {
    async fn profiles(&self) -> Result<Vec<Revision>> {
        run("list the profiles", async {
            let found = sqlx::query(concat!(
                "-- profiles\n",
                revisions!("r.id = p.in_force_id"),
                " WHERE p.removed_at IS NULL ORDER BY p.name",
            ))
            .fetch_all(&mut *self.read().await?)
            .await?;
            found.iter().map(revision).collect()
        })
        .await
    }

    async fn profile(&self, name: &ProfileName) -> Result<Option<Revision>> {
        run("find a profile", async {
            let found = sqlx::query(concat!(
                "-- profile\n",
                revisions!("r.id = p.in_force_id"),
                " WHERE p.removed_at IS NULL AND p.name = ?1",
            ))
            .bind(name.as_str())
            .fetch_optional(&mut *self.read().await?)
            .await?;
            found.as_ref().map(revision).transpose()
        })
        .await
    }

    async fn revisions(&self, name: &ProfileName) -> Result<Vec<Revision>> {
        run("list the revisions of a profile", async {
            let found = sqlx::query(concat!(
                "-- revisions\n",
                revisions!("r.profile_id = p.id"),
                " WHERE p.name = ?1 ORDER BY r.number DESC",
            ))
            .bind(name.as_str())
            .fetch_all(&mut *self.read().await?)
            .await?;
            found.iter().map(revision).collect()
        })
        .await
    }

    async fn secrets(&self, revision: RevisionId) -> Result<Option<(Uuid, Sealed)>> {
        run("read the passwords of a profile", async {
            let found: Option<(Uuid, Vec<u8>)> = sqlx::query_as(
                "-- secrets
                 SELECT secrets_id, secrets FROM profile_revisions WHERE id = ?1 AND secrets IS NOT NULL",
            )
            .bind(revision.0)
            .fetch_optional(&mut *self.read().await?)
            .await?;
            Ok(found.map(|(id, secrets)| (id, Sealed(secrets))))
        })
        .await
    }

    async fn revision(&self, id: RevisionId) -> Result<Option<Revision>> {
        run("find a revision of a profile", async {
            let found =
                sqlx::query(concat!("-- revision\n", revisions!("r.profile_id = p.id"), " WHERE r.id = ?1"))
                    .bind(id.0)
                    .fetch_optional(&mut *self.read().await?)
                    .await?;
            found.as_ref().map(revision).transpose()
        })
        .await
    }

    async fn published(&self, profile: ProfileId) -> Result<Vec<Published>> {
        run("list what Apple has of a profile", async {
            let found = sqlx::query(
                "-- published
                 SELECT p.id, p.server_id, p.revision_id, p.profile_uuid, p.differs, p.error, p.next_attempt_at,
                     p.at
                 FROM profile_revisions r JOIN published_profiles p ON p.revision_id = r.id
                 WHERE r.profile_id = ?1 ORDER BY p.id",
            )
            .bind(profile.0)
            .fetch_all(&mut *self.read().await?)
            .await?;
            found.iter().map(published).collect()
        })
        .await
    }

    async fn published_at(&self, server: ServerId, revision: RevisionId) -> Result<Option<Published>> {
        run("look up what Apple has of a profile", async {
            let found = sqlx::query(
                "-- published_at
                 SELECT id, server_id, revision_id, profile_uuid, differs, error, next_attempt_at, at
                 FROM published_profiles WHERE server_id = ?1 AND revision_id = ?2",
            )
            .bind(server.0)
            .bind(revision.0)
            .fetch_optional(&mut *self.read().await?)
            .await?;
            found.as_ref().map(published).transpose()
        })
        .await
    }

    async fn published_as(&self, server: ServerId, content_hash: &str) -> Result<Option<ProfileUuid>> {
        run("look for what Apple has of a content", async {
            let uuid: Option<String> = sqlx::query_scalar(PUBLISHED_AS)
                .bind(server.0)
                .bind(content_hash)
                .fetch_optional(&mut *self.read().await?)
                .await?;
            Ok(uuid.map(ProfileUuid))
        })
        .await
    }

    async fn set_published(
        &self,
        lease: &Lease,
        revision: RevisionId,
        outcome: &PublishOutcome,
        now: Timestamp,
    ) -> Result<()> {
        let (uuid, differs, error, next_attempt_at) = match outcome {
            PublishOutcome::Defined { uuid, differs } => {
                (Some(uuid.as_str()), differs.as_deref(), None, None)
            }
            PublishOutcome::Refused { error, next_attempt_at } => {
                (None, None, Some(error.as_str()), Some(next_attempt_at.timestamp_millis()))
            }
        };
        run("keep what came of defining a profile", async {
            let mut transaction = self.write().await?;
            fence::pass(&mut transaction, lease).await?;
            // A revision that does not exist is the only way to insert nothing without a UUID in the way.
            let known: Option<i64> =
                sqlx::query_scalar("-- has_revision\nSELECT id FROM profile_revisions WHERE id = ?1")
                    .bind(revision.0)
                    .fetch_optional(&mut *transaction)
                    .await?;
            if known.is_none() {
                return Err(
                    StoreError::Missing { what: "profile revision", name: revision.to_string() }.into()
                );
            }
            sqlx::query(
                "-- set_published
                 INSERT INTO published_profiles (server_id, revision_id, profile_uuid, error, next_attempt_at, at, differs)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (server_id, revision_id) DO UPDATE SET profile_uuid = excluded.profile_uuid,
                     differs = excluded.differs, error = excluded.error, next_attempt_at = excluded.next_attempt_at, at = excluded.at
                 WHERE published_profiles.profile_uuid IS NULL",
            )
            .bind(lease.server.0)
            .bind(revision.0)
            .bind(uuid)
            .bind(error)
            .bind(next_attempt_at)
            .bind(now.timestamp_millis())
            .bind(differs)
            .execute(&mut *transaction)
            .await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn forget_published(&self, lease: &Lease, revision: RevisionId) -> Result<()> {
        run("forget a profile that Apple no longer knows", async {
            let mut transaction = self.write().await?;
            fence::pass(&mut transaction, lease).await?;
            sqlx::query(
                "-- forget_published
                 UPDATE published_profiles SET profile_uuid = NULL, differs = NULL, error = NULL, next_attempt_at = NULL
                 WHERE server_id = ?1 AND (revision_id = ?2 OR profile_uuid = (SELECT p.profile_uuid
                     FROM published_profiles p WHERE p.server_id = ?1 AND p.revision_id = ?2))",
            )
            .bind(lease.server.0)
            .bind(revision.0)
            .execute(&mut *transaction)
            .await?;
            Ok(transaction.commit().await?)
        })
        .await
    }
}

fn revision(row: &SqliteRow) -> Attempt<Revision> {
    let document: Option<&str> = row.try_get("document")?;
    let document = document.map(|text| rows::json("profile_revisions.document", text)).transpose()?;
    Ok(Revision {
        id: RevisionId(row.try_get("id")?),
        profile: ProfileId(row.try_get("profile_id")?),
        name: rows::name("profiles.name", row.try_get("name")?)?,
        number: rows::count("profile_revisions.number", row.try_get("number")?)?,
        content: rows::json("profile_revisions.content", row.try_get("content")?)?,
        content_hash: row.try_get("content_hash")?,
        document: document
            .zip(row.try_get("document_hash")?)
            .map(|(content, hash)| Document { content, hash }),
        has_secrets: row.try_get("has_secrets")?,
        author: row.try_get("author")?,
        note: row.try_get("note")?,
        created_at: moment("profile_revisions.created_at", row.try_get("created_at")?)?,
        in_force_at: rows::maybe("profile_revisions.in_force_at", row.try_get("in_force_at")?)?,
    })
}

fn published(row: &SqliteRow) -> Attempt<Published> {
    Ok(Published {
        id: PublishedId(row.try_get("id")?),
        server: ServerId(row.try_get("server_id")?),
        revision: RevisionId(row.try_get("revision_id")?),
        profile_uuid: row.try_get::<Option<String>, _>("profile_uuid")?.map(ProfileUuid),
        differs: row.try_get("differs")?,
        error: row.try_get("error")?,
        next_attempt_at: rows::maybe("published_profiles.next_attempt_at", row.try_get("next_attempt_at")?)?,
        at: moment("published_profiles.at", row.try_get("at")?)?,
    })
}
