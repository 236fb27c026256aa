//! Many renewals at once: each `.p7m` of a folder is for the MDM server for whose key it was encrypted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use adelie_model::{ServerId, ServerToken, TokenKeyId};
use adelie_store::{MdmServer, StoredKey};
use adelie_token::Addressees;
use serde_json::json;
use tokio::task::JoinSet;

use super::{import, watch};
use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::words::{minute, optional_time};

/// What became of a file.
struct Fate {
    file: PathBuf,
    server: Option<String>,
    /// A word for scripts: `renewed`, `in_use`, `older`, `not_yet_taken`, `refused`, `unmatched`, `unreadable`.
    result: &'static str,
    /// For people.
    text: String,
    expires_at: Option<adelie_model::Timestamp>,
}

impl Fate {
    fn is_good(&self) -> bool {
        matches!(self.result, "renewed" | "in_use" | "older")
    }
}

pub async fn run(context: &Context, dir: &Path, force: bool) -> anyhow::Result<Exit> {
    let files = watch::p7m_files(dir).map_err(|error| {
        wrong(format!("{} cannot be read: {error}", dir.display()), "give the folder with the .p7m files")
    })?;
    if files.is_empty() {
        return Err(wrong(
            format!("there is no .p7m file in {}", dir.display()),
            "give the folder with the files that were downloaded from Apple",
        ));
    }
    let servers = context.store.servers().await?;
    let mut keys = Vec::new();
    for server in &servers {
        keys.extend(context.store.token_keys(server.id).await?);
    }
    let addressees = Addressees::new(keys.iter().map(|key| key.certificate.as_slice()));
    let mut fates = Vec::new();
    let mut of_servers: BTreeMap<ServerId, Vec<(PathBuf, Vec<u8>)>> = BTreeMap::new();
    for (file, _) in files {
        match addressee(&file, &keys, &addressees) {
            Ok((server, bytes)) => of_servers.entry(server).or_default().push((file, bytes)),
            Err(fate) => fates.push(fate),
        }
    }
    fates.extend(take_all(context, &servers, of_servers, force).await?);
    // What needs somebody stands first.
    fates.sort_by(|a, b| (a.is_good(), &a.file).cmp(&(b.is_good(), &b.file)));
    tell(context, &fates)
}

/// Whose file it is. No private key is opened for that.
fn addressee(file: &Path, keys: &[StoredKey], addressees: &Addressees) -> Result<(ServerId, Vec<u8>), Fate> {
    let fate =
        |result, text: String| Fate { file: file.to_owned(), server: None, result, text, expires_at: None };
    let bytes = import::read_file(file).map_err(|error| fate("unreadable", format!("{error:#}")))?;
    match addressees.of(&bytes) {
        Ok(found) => match found.first() {
            Some(first) => Ok((keys[*first].server, bytes)),
            None => Err(fate("unmatched", "it is for no key of any MDM server here".to_owned())),
        },
        Err(error @ adelie_token::DecryptError::OtherKey { .. }) => {
            Err(fate("unmatched", format!("it is for no key of any MDM server here: {error}")))
        }
        Err(error) => Err(fate("unreadable", error.to_string())),
    }
}

/// Takes the files of all MDM servers, several servers at a time.
async fn take_all(
    context: &Context,
    servers: &[MdmServer],
    mut of_servers: BTreeMap<ServerId, Vec<(PathBuf, Vec<u8>)>>,
    force: bool,
) -> anyhow::Result<Vec<Fate>> {
    let mut work = JoinSet::new();
    let mut fates = Vec::new();
    loop {
        while work.len() < context.settings.engine.servers_at_once {
            let Some((id, files)) = of_servers.pop_first() else { break };
            let Some(server) = servers.iter().find(|server| server.id == id).cloned() else { continue };
            let context = context.clone();
            work.spawn(async move { take(&context, &server, files, force).await });
        }
        let Some(done) = work.join_next().await else { break };
        fates.extend(done?);
    }
    Ok(fates)
}

/// Takes the newest of the files of one MDM server. The others were ended by it at Apple.
async fn take(
    context: &Context,
    server: &MdmServer,
    files: Vec<(PathBuf, Vec<u8>)>,
    force: bool,
) -> Vec<Fate> {
    let mut fates = Vec::new();
    let mut opened: Vec<(PathBuf, TokenKeyId, ServerToken)> = Vec::new();
    let fate = |file: PathBuf, result, text: String, expires_at| Fate {
        file,
        server: Some(server.name.to_string()),
        result,
        text,
        expires_at,
    };
    for (file, bytes) in files {
        match import::decrypt(context, server, &bytes).await {
            Ok((key, token)) => opened.push((file, key, token)),
            Err(error) => fates.push(fate(file, "unreadable", format!("{error:#}"), None)),
        }
    }
    opened.sort_by_key(|(_, _, token)| std::cmp::Reverse(token.expires_at));
    let mut opened = opened.into_iter();
    if let Some((file, key, token)) = opened.next() {
        let newest = file.display().to_string();
        let expires_at = Some(token.expires_at);
        let until = minute(expires_at);
        let taken = async {
            let proven = import::prove(context, server, key, token, force).await?;
            import::switch(context, server, proven).await
        };
        fates.push(match taken.await {
            Ok(imported) => match imported.problem {
                Some(problem) => {
                    fate(file, "not_yet_taken", format!("Apple does not take it yet: {problem}"), expires_at)
                }
                None if imported.was_in_use => {
                    fate(file, "in_use", format!("in use already, valid until {until}"), expires_at)
                }
                None => fate(file, "renewed", format!("renewed, valid until {until}"), expires_at),
            },
            Err(error) => fate(file, "refused", format!("{error:#}"), expires_at),
        });
        for (file, _, token) in opened {
            fates.push(fate(
                file,
                "older",
                format!("older than {newest}, and passed over"),
                Some(token.expires_at),
            ));
        }
    }
    fates
}

fn tell(context: &Context, fates: &[Fate]) -> anyhow::Result<Exit> {
    if context.out.json {
        for fate in fates {
            context.out.object(&json!({
                "file": fate.file,
                "server": fate.server,
                "result": fate.result,
                "text": fate.text,
                "expires_at": optional_time(fate.expires_at),
            }))?;
        }
    } else {
        let rows = fates.iter().map(|fate| {
            let file = fate.file.file_name().unwrap_or(fate.file.as_os_str()).to_string_lossy().into_owned();
            vec![file, fate.server.clone().unwrap_or_else(|| "-".to_owned()), fate.text.clone()]
        });
        context.out.table(&["file", "server", "result"], rows.collect())?;
    }
    let bad = fates.iter().any(|fate| !fate.is_good());
    Ok(if bad { Exit::Attention } else { Exit::Done })
}
