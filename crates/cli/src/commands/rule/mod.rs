mod change;
mod list;
mod test;

use adelie_model::RuleName;
use adelie_store::configuration::{Change, Configuration};
use adelie_store::{ConfigurationError, StoreError};

use crate::args::Rule;
use crate::context::Context;
use crate::exit::{Exit, wrong};

pub use change::make;
pub use test::{Told, tell};

pub async fn run(context: Context, command: Rule) -> anyhow::Result<Exit> {
    match command {
        Rule::Add { name, conditions, profile, server, before } => {
            change::add(&context, name, &conditions, profile, server.as_ref(), before).await
        }
        Rule::List => list::list(&context).await,
        Rule::Show { name } => list::show(&context, &name).await,
        Rule::Set { name, patch } => change::set(&context, name, *patch).await,
        Rule::Move { name, before, last: _ } => {
            let line = match &before {
                Some(before) => format!("{name} stands before {before}"),
                None => format!("{name} stands at the end"),
            };
            make(&context, &[Change::MoveRule { name, before }], &line).await
        }
        Rule::Remove { names } => {
            let words: Vec<&str> = names.iter().map(RuleName::as_str).collect();
            let line = format!("removed {}", words.join(", "));
            let changes: Vec<Change> =
                names.iter().map(|name| Change::RemoveRule { name: name.clone() }).collect();
            make(&context, &changes, &line).await
        }
        Rule::Test { serial, facts } => test::run(&context, &serial, &facts).await,
    }
}

/// An error of the store about names that somebody gave, with the names that there are.
pub fn named(error: StoreError, configuration: &Configuration) -> anyhow::Error {
    let listed = |names: Vec<&str>, none: &str, what: &str| match names.is_empty() {
        true => none.to_owned(),
        false => format!("the {what} are {}", names.join(", ")),
    };
    let hint = match &error {
        StoreError::Missing { what: "rule", .. } => listed(
            configuration.rules.iter().map(|rule| rule.name.as_str()).collect(),
            "there is no rule yet: add one with `adelie rule add NAME --when FIELD=PATTERN --profile PROFILE`",
            "rules",
        ),
        StoreError::Missing { what: "profile", name } => listed(
            configuration.profiles.iter().map(|head| head.name.as_str()).collect(),
            &format!("there is none yet: add it with `adelie profile new {name} --file FILE`"),
            "profiles",
        ),
        StoreError::Exists { what: "rule", name } => format!("see it with `adelie rule show {name}`"),
        StoreError::Configuration(ConfigurationError::InUse { .. }) => {
            "nothing was changed: give them another profile first, with `adelie rule set RULE --profile PROFILE` and \
             `adelie server set SERVER --default FAMILY=PROFILE`"
                .to_owned()
        }
        StoreError::Configuration(_) => "nothing was changed".to_owned(),
        _ => return error.into(),
    };
    wrong(error.to_string(), hint)
}
