use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use adelie_scheduler::secrets;
use adelie_store::MdmServer;

use super::import::{self, Proven};
use crate::context::Context;
use crate::exit;

/// Between two looks into the folder.
const LOOK: Duration = Duration::from_millis(500);
/// Between two tries of a token that Apple could not be asked about.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// Waits for a `.p7m` in a folder that one of the server's keys opens and that is newer than the token in use, and proves
/// it. Files that were there before count too, so that a renewal that was interrupted after the download goes on.
pub async fn wait(context: &Context, server: &MdmServer, dir: &Path, force: bool) -> anyhow::Result<Proven> {
    let current = context.store.current_token(server.id).await?;
    let expires_at = current.as_ref().map(|current| current.token.expires_at);
    let keyring = context.keyring().await?;
    let in_use = match &current {
        Some(current) => secrets::open_token(&keyring, current).await.ok(),
        None => None,
    };
    // What was looked at and is of no use, until it changes: it may still be being written.
    let mut seen: HashMap<PathBuf, Version> = HashMap::new();
    loop {
        for (path, version) in p7m_files(dir)? {
            if seen.get(&path) == Some(&version) {
                continue;
            }
            seen.insert(path.clone(), version);
            let Ok(bytes) = import::read_file(&path) else { continue };
            let Ok((key, token)) = import::decrypt(context, server, &bytes).await else { continue };
            let old = expires_at.is_some_and(|at| token.expires_at < at)
                || in_use.as_ref().is_some_and(|in_use| import::is_same(in_use, &token));
            if old {
                continue;
            }
            context.out.note(&format!("found {}", path.display()))?;
            match import::prove(context, server, key, token, force).await {
                Ok(proven) => return Ok(proven),
                Err(error) => {
                    // It may be taken later, or be followed by another one.
                    exit::complain(&error);
                    seen.remove(&path);
                    context.clock.sleep(TRY_AGAIN).await;
                }
            }
        }
        context.clock.sleep(LOOK).await;
    }
}

/// What changes of a file when it is written to: its length, and when that happened.
pub type Version = (u64, Option<SystemTime>);

/// The `.p7m` files of a folder, last written first.
pub fn p7m_files(dir: &Path) -> std::io::Result<Vec<(PathBuf, Version)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let is_p7m = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("p7m"));
        // One that has gone meanwhile is none.
        let Ok(meta) = std::fs::metadata(&path) else { continue };
        if is_p7m && meta.is_file() {
            found.push((path, (meta.len(), meta.modified().ok())));
        }
    }
    found.sort_by(|(a, (_, a_time)), (b, (_, b_time))| b_time.cmp(a_time).then_with(|| a.cmp(b)));
    Ok(found)
}
