//! The yearly renewal, step by step. Nothing changes before Apple has taken the new token, so that it can be broken off
//! at any point.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use adelie_model::ServerName;
use adelie_store::MdmServer;
use serde_json::json;

use super::import::{self, Proven};
use super::key::{self, ForRenewal, Origin};
use super::{folder, show, watch};
use crate::args::Renew;
use crate::commands::server::file_name;
use crate::context::Context;
use crate::exit::{self, Exit, wrong};

pub async fn run(context: &Context, command: &Renew) -> anyhow::Result<Exit> {
    if let Some(dir) = &command.folder {
        return folder::run(context, dir, command.force).await;
    }
    let Some(name) = &command.name else {
        return Err(wrong("no MDM server is named", "run `adelie token renew NAME`, or with --folder DIR"));
    };
    let server = context.server(name).await?;
    // The file that was downloaded, as far as it is known: Apple has ended the token in use then.
    let downloaded = Mutex::new(command.file.clone());
    let proven = async {
        match &command.file {
            Some(file) => take(context, &server, file, command.force)
                .await
                .map(Some)
                .map_err(|error| error.context(format!("{} was not imported", file.display()))),
            None => guide(context, &server, command, &downloaded).await,
        }
    };
    let proven = tokio::select! {
        proven = proven => proven?,
        _ = tokio::signal::ctrl_c() => None,
    };
    // From here on Ctrl-C comes too late: the switch is one transaction.
    match proven {
        Some(proven) => {
            let imported = import::switch(context, &server, proven).await?;
            import::tell(context, &server, &imported).await
        }
        None => {
            let downloaded = downloaded.into_inner().unwrap_or_else(PoisonError::into_inner);
            how_to_go_on(context, name, downloaded.as_deref())?;
            Ok(Exit::Attention)
        }
    }
}

/// Leads up to a token that Apple has taken; `None` when nobody has given one.
async fn guide(
    context: &Context,
    server: &MdmServer,
    command: &Renew,
    downloaded: &Mutex<Option<PathBuf>>,
) -> anyhow::Result<Option<Proven>> {
    if let Some(dir) = &command.watch
        && !dir.is_dir()
    {
        return Err(wrong(
            format!("{} is no folder", dir.display()),
            "give the folder into which the browser downloads",
        ));
    }
    let key = key::for_renewal(context, server, command.reuse_key).await?;
    let certificate = match key.origin {
        Origin::Present => None,
        Origin::Fresh | Origin::TakenUp => {
            let path = match &command.out {
                Some(path) => path.clone(),
                None => PathBuf::from(format!("{}.pem", file_name(&server.name))),
            };
            key::write_certificate(context, server, &path, &key.key.certificate_pem()).await?;
            Some(path)
        }
    };
    let steps = Steps::new(context, server, &key, certificate.as_deref()).await?;
    let asks = std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && !context.out.json;
    if let Some(dir) = &command.watch {
        context
            .out
            .aside(&steps.all(&format!("Save the .p7m file in {}: it is taken by itself.", dir.display())))?;
        return watch::wait(context, server, dir, command.force).await.map(Some);
    }
    if asks {
        return ask(context, server, &steps, command.force, downloaded).await;
    }
    if context.out.json {
        context.out.object(&json!({
            "server": server.name,
            "key_id": key.id,
            "fingerprint": key.key.fingerprint(),
            "certificate_file": certificate,
            "made_by": server.account.as_ref().and_then(|account| account.admin_id.clone()),
            "steps": [steps.portal, steps.upload, steps.warning, steps.download],
            "then": format!("adelie token renew {} FILE.p7m", server.name),
        }))?;
    } else {
        let last = format!("Run `adelie token renew {} FILE.p7m` with the downloaded file.", server.name);
        context.out.line(&steps.all(&last))?;
    }
    Ok(None)
}

/// What the administrator does in the portal.
struct Steps {
    portal: String,
    upload: String,
    warning: String,
    download: String,
}

impl Steps {
    async fn new(
        context: &Context,
        server: &MdmServer,
        key: &ForRenewal,
        certificate: Option<&Path>,
    ) -> anyhow::Result<Self> {
        // The one who made the token in use; the account of the MDM server may be of a token that was only tried.
        let current = context.store.current_token(server.id).await?;
        let account = current.and_then(|current| current.token.account).or_else(|| server.account.clone());
        let account = account.unwrap_or_default();
        let (portal, url) = match account.org_type.as_deref() {
            Some("edu") => ("Apple School Manager", "https://school.apple.com"),
            Some("org") => ("Apple Business Manager", "https://business.apple.com"),
            _ => {
                ("Apple Business or School Manager", "https://business.apple.com or https://school.apple.com")
            }
        };
        let who = match (&account.admin_id, show::contact(&account).as_str()) {
            (Some(admin), "") => format!(" The last token was made by {admin}."),
            (Some(admin), contact) => {
                format!(" The last token was made by {admin}; the organization's contact: {contact}.")
            }
            (None, _) => String::new(),
        };
        let at_apple = account.server_name.unwrap_or_else(|| server.name.to_string());
        let upload = match certificate {
            Some(path) => {
                let origin = match key.origin {
                    Origin::TakenUp => " (left by an interrupted renewal)",
                    _ => "",
                };
                format!(
                    "Click your name, Preferences, then the MDM server {at_apple:?} and Edit. Upload {}{origin} as its \
                     public key, and save.",
                    path.display()
                )
            }
            None => format!(
                "Click your name, Preferences, then the MDM server {at_apple:?}. Nothing is uploaded: Apple keeps the \
                 certificate that it has."
            ),
        };
        Ok(Self {
            portal: format!("Sign in to {portal} ({url}).{who}"),
            upload,
            warning: "WARNING: downloading a new token ends the old one at once. From that click until the new one is \
                      taken here, nothing is synced or assigned. Download it only when you can go on right away."
                .to_owned(),
            download: "Click Download Token, and keep the .p7m file.".to_owned(),
        })
    }

    /// All of them, with what comes last.
    fn all(&self, last: &str) -> String {
        let Self { portal, upload, warning, download } = self;
        format!("1. {portal}\n2. {upload}\n\n   {warning}\n\n3. {download}\n4. {last}")
    }
}

/// Asks for the file until one is taken.
async fn ask(
    context: &Context,
    server: &MdmServer,
    steps: &Steps,
    force: bool,
    downloaded: &Mutex<Option<PathBuf>>,
) -> anyhow::Result<Option<Proven>> {
    context.out.aside(&format!("1. {}\n2. {}", steps.portal, steps.upload))?;
    if prompt("   Press Enter when it is saved: ").await?.is_none() {
        return Ok(None);
    }
    context.out.aside(&format!("\n   {}\n\n3. {}", steps.warning, steps.download))?;
    let mut last: Option<PathBuf> = None;
    loop {
        let question = match &last {
            Some(path) => format!("4. The .p7m file (Enter for {} again): ", path.display()),
            None => "4. The .p7m file (drag it here, or type its path): ".to_owned(),
        };
        let Some(answer) = prompt(&question).await? else { return Ok(None) };
        if !answer.trim().is_empty() {
            last = Some(typed_path(&answer));
        }
        let Some(path) = &last else { continue };
        *downloaded.lock().unwrap_or_else(PoisonError::into_inner) = Some(path.clone());
        match take(context, server, path, force).await {
            Ok(proven) => return Ok(Some(proven)),
            // The next try may be with another file, or with a network that is back.
            Err(error) => exit::complain(&error),
        }
        *downloaded.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

async fn take(context: &Context, server: &MdmServer, path: &Path, force: bool) -> anyhow::Result<Proven> {
    let bytes = import::read_file(path)?;
    let (key, token) = import::decrypt(context, server, &bytes).await?;
    import::prove(context, server, key, token, force).await
}

/// A line from the terminal; `None` at its end.
async fn prompt(question: &str) -> anyhow::Result<Option<String>> {
    write!(std::io::stderr(), "{question}")?;
    std::io::stderr().flush()?;
    // A thread of its own, which is left behind when Ctrl-C ends the wait.
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|read| (read > 0).then_some(line))
    });
    Ok(line.await??)
}

/// A path as a terminal gives it when a file is dragged there: with quotes or backslashes, or with a tilde.
fn typed_path(text: &str) -> PathBuf {
    let text = text.trim();
    let quoted = ['\'', '"'].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
    let plain = match quoted {
        Some(inside) => inside.to_owned(),
        None => {
            let mut plain = String::new();
            let mut letters = text.chars();
            while let Some(letter) = letters.next() {
                plain.extend(if letter == '\\' { letters.next() } else { Some(letter) });
            }
            plain
        }
    };
    match (plain.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(plain),
    }
}

/// What to say when a renewal ends before a token was taken.
fn how_to_go_on(context: &Context, name: &ServerName, downloaded: Option<&Path>) -> anyhow::Result<()> {
    if let Some(file) = downloaded {
        let file = file.display();
        context.out.note(&format!(
            "the renewal of {name} is not finished; the token in use stays, and if {file} is a new token for it, Apple has \
             ended it when that was downloaded: until {file} is taken, nothing is synced or assigned"
        ))?;
        return context.out.hint(&format!("go on with `adelie token renew {name} {file}`"));
    }
    context.out.note(&format!(
        "the renewal of {name} is not finished; the token in use stays, and ends at Apple only when a new one is \
         downloaded"
    ))?;
    context.out.hint(&format!(
        "go on with `adelie token renew {name}`, or with `adelie token renew {name} FILE.p7m` once the file is there"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_was_dragged_to_the_terminal_is_understood() {
        for (typed, path) in [
            ("/tmp/a.p7m\n", "/tmp/a.p7m"),
            (" '/tmp/my token.p7m' \n", "/tmp/my token.p7m"),
            ("\"/tmp/my token.p7m\"", "/tmp/my token.p7m"),
            (r"/tmp/my\ token\ \(2\).p7m ", "/tmp/my token (2).p7m"),
        ] {
            assert_eq!(typed_path(typed), PathBuf::from(path), "{typed:?}");
        }
    }
}
