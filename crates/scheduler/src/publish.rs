use adelie_dep::Error;
use adelie_dep::endpoints::{define_profile, get_profile};
use adelie_model::{ProfileUuid, RevisionId};
use adelie_store::{PublishOutcome, Revision, StoreError};
use chrono::TimeDelta;

use crate::job::Job;
use crate::{Progress, WorkError};

mod shown;

/// How a revision stands at Apple, for one MDM server.
pub(crate) enum Standing {
    /// Apple has it.
    Defined(ProfileUuid),
    /// Apple does not take it: its devices wait, others do not (field lesson L27).
    Refused(String),
    /// Apple could not be asked, for a reason that is not about this profile.
    NoAnswer(Error),
}

/// Sees to it that Apple has a revision: once per MDM server and content.
pub(crate) async fn standing(job: &Job<'_>, revision: RevisionId) -> Result<Standing, WorkError> {
    let store = job.store();
    if let Some(published) = store.published_at(job.server.id, revision).await? {
        if let Some(uuid) = published.profile_uuid {
            return Ok(Standing::Defined(uuid));
        }
        if let (Some(error), Some(at)) = (published.error, published.next_attempt_at)
            && at > job.now()
        {
            return Ok(Standing::Refused(error));
        }
    }
    let profile = store
        .revision(revision)
        .await?
        .ok_or_else(|| StoreError::Missing { what: "profile revision", name: revision.to_string() })?;
    // Another revision, or another profile, that says the same is the same one for Apple.
    if let Some(uuid) = store.published_as(job.server.id, &profile.content_hash).await? {
        let outcome = PublishOutcome::Defined { uuid: uuid.clone(), differs: None };
        store.set_published(&job.lease, revision, &outcome, job.now()).await?;
        return Ok(Standing::Defined(uuid));
    }
    let request = define_profile::Request { profile: profile.content.clone(), devices: Vec::new() };
    let outcome = match job.client.send(&request).await {
        Ok(response) => {
            let differs = read_back(job, &profile, &response.profile_uuid).await;
            PublishOutcome::Defined { uuid: response.profile_uuid, differs }
        }
        // Neither the token's nor the network's trouble is the profile's.
        Err(error)
            if error.token_state().is_some() || (error.is_retryable() && !error.may_have_taken_effect()) =>
        {
            return Ok(Standing::NoAnswer(error));
        }
        Err(error) => {
            // After an unclear answer Apple may have it under a UUID that nobody knows; a second definition does
            // no harm, but not in a tight loop (protocol section 3.5).
            let wait =
                if error.may_have_taken_effect() { TimeDelta::minutes(5) } else { TimeDelta::hours(6) };
            PublishOutcome::Refused {
                error: format!("Apple does not take profile {}: {}", profile.name, crate::chain(&error)),
                next_attempt_at: job.now() + wait,
            }
        }
    };
    store.set_published(&job.lease, revision, &outcome, job.now()).await?;
    Ok(match outcome {
        PublishOutcome::Defined { uuid, .. } => {
            job.notice(Progress::Published { profile: profile.name.to_string() });
            Standing::Defined(uuid)
        }
        PublishOutcome::Refused { error, .. } => Standing::Refused(error),
    })
}

/// Reads back what Apple has made of a profile, and says what is otherwise than was sent. That it cannot be read is no
/// reason not to use it: Apple has taken it.
async fn read_back(job: &Job<'_>, profile: &Revision, uuid: &ProfileUuid) -> Option<String> {
    let request = get_profile::Request { profile_uuid: uuid.clone() };
    match job.client.send(&request).await {
        Ok(shown) => {
            let differs = shown::difference(&profile.content, &shown);
            if let Some(differs) = &differs {
                tracing::warn!(server = %job.server.name, profile = %profile.name, %uuid, "{differs}");
            }
            differs
        }
        Err(error) => {
            let error = crate::chain(&error);
            tracing::warn!(server = %job.server.name, profile = %profile.name, %uuid, error, "a profile could not be read back");
            None
        }
    }
}
