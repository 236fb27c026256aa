use std::os::unix::fs::PermissionsExt;

use adelie_rules::Finding as RuleFinding;
use adelie_scheduler::token_alerts;
use adelie_store::RuleBook;
use adelie_store::seal::{reseal, rotation};
use serde_json::json;

use crate::args::Check;
use crate::commands::{audit, token, webhook};
use crate::context::Context;
use crate::exit::{Exit, Wrong};
use crate::health;
use crate::master_keys::Place;
use crate::output::Output;
use crate::settings::{Database, Settings};
use crate::words::{count, minute};

/// One thing that was looked at.
struct Finding {
    name: String,
    good: bool,
    finding: String,
    fix: Option<String>,
}

/// Looks at everything that can be looked at without changing it, or only at what is `wanted`, and says what to do about
/// what is wrong.
pub async fn run(settings: Settings, wanted: &[Check]) -> anyhow::Result<Exit> {
    let out = Output::new(settings.json);
    let looks = |check: Check| wanted.is_empty() || wanted.contains(&check);
    let mut checks = Vec::new();
    if looks(Check::DataDir) {
        checks.push(data_dir(&settings));
    }
    // Opening would make a new installation; a doctor only looks.
    let new = match &settings.database {
        Database::Sqlite(path) => !path.exists(),
        Database::Postgres(_) => false,
    };
    if new {
        checks.push(good("database", "there is none yet; the first command makes it"));
    } else {
        match Context::open(settings).await {
            Ok(context) => {
                checks.push(good("database", "opens, and its schema is known"));
                if looks(Check::Key) {
                    checks.extend(keys(&context).await?);
                }
                if looks(Check::Tokens) {
                    checks.extend(tokens(&context).await?);
                }
                if looks(Check::Servers) {
                    checks.extend(servers(&context).await?);
                }
                if looks(Check::Rules) {
                    checks.extend(rules(&context).await?);
                }
                if looks(Check::Profiles) {
                    checks.extend(profiles(&context).await?);
                }
                if looks(Check::Webhooks) {
                    checks.extend(webhooks(&context).await?);
                }
                if looks(Check::Audit) {
                    checks.push(chain(&context).await?);
                }
            }
            Err(error) => checks.push(Finding {
                name: "database".to_owned(),
                good: false,
                finding: format!("{error:#}"),
                fix: Some("check --database or ADELIE_DATABASE_URL".to_owned()),
            }),
        }
    }
    let bad = checks.iter().filter(|check| !check.good).count() as u64;
    for check in &checks {
        if out.json {
            out.object(&json!({ "check": check.name, "good": check.good, "finding": check.finding, "fix": check.fix }))?;
            continue;
        }
        out.line(&format!("{} {}: {}", if check.good { "ok  " } else { "BAD " }, check.name, check.finding))?;
        if let Some(fix) = &check.fix {
            out.line(&format!("     fix: {fix}"))?;
        }
    }
    if bad > 0 && !out.json {
        out.warn(&format!("{} attention", count(bad, "thing needs", "things need")))?;
    }
    Ok(if bad == 0 { Exit::Done } else { Exit::Attention })
}

fn good(name: &str, finding: &str) -> Finding {
    Finding { name: name.to_owned(), good: true, finding: finding.to_owned(), fix: None }
}

fn data_dir(settings: &Settings) -> Finding {
    let dir = settings.data_dir.display();
    let Ok(meta) = settings.data_dir.metadata() else {
        return good("data directory", &format!("{dir} is not there yet; the first command makes it"));
    };
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return good("data directory", &format!("{dir} is its owner's alone"));
    }
    Finding {
        name: "data directory".to_owned(),
        good: false,
        finding: format!("{dir} is open to others (mode {mode:o})"),
        fix: Some(format!("chmod 700 {dir}")),
    }
}

/// Whether the master keys fit, and whether anything has been sealed under an old data key for longer than a rotation takes.
async fn keys(context: &Context) -> anyhow::Result<Vec<Finding>> {
    let place = Place::in_use(&context.settings);
    if let Err(error) = context.keyring().await {
        let fix = error.downcast_ref::<Wrong>().and_then(Wrong::hint);
        return Ok(vec![Finding {
            name: "master key".to_owned(),
            good: false,
            finding: format!("{error:#}"),
            fix: Some(fix.unwrap_or("look with `adelie key show`").to_owned()),
        }]);
    }
    let advice = match place {
        Place::KeyFile(_) => "; keep a copy of it apart from the database, see docs/keys.md",
        _ => "",
    };
    let mut checks = vec![good("master key", &format!("{place} fits the database{advice}"))];
    let (stored, counts) = (context.store.data_keys().await?, reseal::counts(&*context.store).await?);
    let Some(newest) = stored.last() else { return Ok(checks) };
    let old: u64 = counts.range(1..newest.version).map(|(_, count)| count).sum();
    if old > 0 && context.clock.now() - newest.created_at > rotation::KEPT {
        checks.push(Finding {
            name: "data keys".to_owned(),
            good: false,
            finding: format!(
                "{} sealed under an old data key, and there has been a newer one for more than a day",
                count(old, "secret is", "secrets are")
            ),
            fix: Some("adelie key rotate".to_owned()),
        });
    }
    if let Some(damaged) = counts.get(&0) {
        checks.push(Finding {
            name: "data keys".to_owned(),
            good: false,
            finding: format!(
                "{} nothing that Adelie has sealed",
                count(*damaged, "secret is", "secrets are")
            ),
            fix: Some("`adelie key rotate` names the rows; restore them from a backup".to_owned()),
        });
    }
    Ok(checks)
}

/// The end of the audit; `adelie audit verify` looks at all of it.
async fn chain(context: &Context) -> anyhow::Result<Finding> {
    let name = "audit".to_owned();
    Ok(match audit::verify_end(context).await? {
        Ok(0) => good(&name, "it is empty, and so is its head"),
        Ok(entries) => {
            let entries = count(entries, "entry fits", "entries fit");
            good(&name, &format!("its last {entries}, and its head does"))
        }
        Err(broken) => Finding {
            name,
            good: false,
            finding: broken.to_string(),
            fix: Some("find out who could write to the database; docs/audit.md says what to do".to_owned()),
        },
    })
}

async fn webhooks(context: &Context) -> anyhow::Result<Vec<Finding>> {
    let found = webhook::all_findings(context).await?;
    let mut checks = Vec::new();
    for (endpoint, mut findings) in found {
        findings.retain(|finding| finding.urgent);
        let name = format!("webhook endpoint {}", endpoint.id);
        if findings.is_empty() {
            checks.push(good(
                &name,
                &format!("{} is {}", webhook::shown_url(&endpoint), endpoint.state.as_str()),
            ));
        }
        checks.extend(findings.into_iter().map(|finding| Finding {
            name: name.clone(),
            good: false,
            finding: format!("{}: {}", webhook::shown_url(&endpoint), finding.text),
            fix: Some(finding.fix),
        }));
    }
    Ok(checks)
}

/// Every server token: whether its row opens, what Apple has last said of it, when it expires, and the clock that its
/// requests are signed by.
async fn tokens(context: &Context) -> anyhow::Result<Vec<Finding>> {
    let now = context.clock.now();
    // Without the key file no row opens, which is a finding of its own.
    let keyring = context.keyring().await.ok();
    let mut servers = context.store.servers().await?;
    servers.sort_by_key(|server| server.token.state_at(now).rank());
    let mut checks = Vec::new();
    for server in servers {
        let name = format!("token of {}", server.name);
        let alerts = token_alerts(&server, now);
        let damaged = token::damage(context, keyring.as_deref(), &server).await?;
        checks.extend(damaged.iter().map(|damage| Finding {
            name: name.clone(),
            good: false,
            finding: damage.clone(),
            fix: Some(token::damage_fix(&server.name)),
        }));
        let problems = health::problems(&alerts);
        checks.extend(problems.iter().map(|problem| Finding {
            name: name.clone(),
            good: false,
            finding: problem.text.clone(),
            fix: Some(problem.remedy.clone()),
        }));
        if problems.is_empty() && damaged.is_none() {
            let notices: Vec<_> = alerts.iter().collect();
            let until = minute(server.token.expires_at);
            checks
                .push(good(&name, &health::line(&notices).unwrap_or_else(|| format!("valid until {until}"))));
        }
    }
    Ok(checks)
}

async fn servers(context: &Context) -> anyhow::Result<Vec<Finding>> {
    let out = context.out;
    let counts = context.store.state_counts(None).await?;
    let mut checks = Vec::new();
    for server in context.store.servers().await? {
        let name = format!("MDM server {}", server.name);
        let mut alerts = health::of(context, &server, &counts);
        // Those are findings of the tokens.
        let told = token_alerts(&server, context.clock.now());
        alerts.retain(|alert| !told.contains(alert));
        let problems = health::problems(&alerts);
        checks.extend(problems.iter().map(|problem| Finding {
            name: name.clone(),
            good: false,
            finding: problem.text.clone(),
            fix: if out.json {
                Some(problem.remedy.clone())
            } else {
                health::fix(problem).map(str::to_owned)
            },
        }));
        if problems.is_empty() {
            let notices: Vec<_> = alerts.iter().collect();
            let finding = health::line(&notices).unwrap_or_else(|| "last sync good".to_owned());
            checks.push(good(&name, &finding));
        }
    }
    Ok(checks)
}

/// Rules that do nothing, or hide others.
async fn rules(context: &Context) -> anyhow::Result<Vec<Finding>> {
    let configuration = context.store.configuration().await?;
    let findings = RuleBook::new(&configuration).findings();
    if findings.is_empty() && !configuration.rules.is_empty() {
        let number = count(configuration.rules.len() as u64, "rule", "rules");
        return Ok(vec![good("rules", &format!("{number}, and each of them can decide"))]);
    }
    let check = |finding: RuleFinding| Finding {
        name: format!("rule {}", finding.rule),
        good: false,
        finding: finding.message,
        fix: Some(finding.fix),
    };
    Ok(findings.into_iter().map(check).collect())
}

/// Profiles that Apple has taken and shows otherwise than they were sent.
async fn profiles(context: &Context) -> anyhow::Result<Vec<Finding>> {
    let mut checks = Vec::new();
    for revision in context.store.profiles().await? {
        let published = context.store.published(revision.profile).await?;
        for one in published.into_iter().filter(|one| one.revision == revision.id) {
            if let Some(differs) = one.differs {
                checks.push(Finding {
                    name: format!("profile {}", revision.name),
                    good: false,
                    finding: differs,
                    fix: Some(format!(
                        "compare it with `adelie profile show {}`; devices get what Apple shows",
                        revision.name
                    )),
                });
            }
        }
    }
    Ok(checks)
}
