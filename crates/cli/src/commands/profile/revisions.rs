//! Finding profiles and their revisions by what people call them.

use adelie_model::ProfileName;
use adelie_store::configuration::{Configuration, Head};
use adelie_store::{Revision, StoreError};

use crate::commands::rule::named;
use crate::context::Context;
use crate::exit::wrong;

/// A profile with all its revisions, newest first.
pub struct Known {
    pub head: Head,
    pub revisions: Vec<Revision>,
    pub configuration: Configuration,
}

/// Finds a profile.
pub async fn find(context: &Context, name: &ProfileName) -> anyhow::Result<Known> {
    let configuration = context.store.configuration().await?;
    let Some(head) = configuration.profile(name).cloned() else {
        let missing = StoreError::Missing { what: "profile", name: name.to_string() };
        return Err(named(missing, &configuration));
    };
    let revisions = context.store.revisions(name).await?;
    Ok(Known { head, revisions, configuration })
}

impl Known {
    /// One of its revisions.
    pub fn revision(&self, number: u32) -> anyhow::Result<&Revision> {
        self.revisions.iter().find(|revision| revision.number == number).ok_or_else(|| {
            wrong(
                format!("profile {} has no revision {number}", self.head.name),
                format!("it has 1 to {}; see `adelie profile history {}`", self.head.newest, self.head.name),
            )
        })
    }

    /// How a revision stands, in a word or two.
    pub fn standing(&self, revision: &Revision) -> String {
        let staged = self.head.staged.as_ref().filter(|staged| staged.revision.id == revision.id);
        match staged {
            Some(staged) if staged.paused => format!("{} %, paused", staged.percent),
            Some(staged) => format!("{} %", staged.percent),
            None if self.head.in_force.id == revision.id => "in force".to_owned(),
            None => String::new(),
        }
    }
}
