//! Links between our documents.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::process::verdict;

/// The table of contents of the book.
const CONTENTS: &str = "docs/README.md";

/// The step `links`: relative links lead to a file, and the contents name every page.
pub(crate) fn check(context: &Context) -> Result<()> {
    let mut findings = Vec::new();
    for page in pages(context)? {
        let text = context.read(&page)?;
        let folder = page.parent().unwrap_or(Path::new(""));
        for target in relative_links(&text) {
            if !context.root.join(folder).join(&target).exists() {
                findings.push(format!("{}: nothing is at `{target}`", page.display()));
            }
        }
    }
    let listed: BTreeSet<PathBuf> =
        relative_links(&context.read(CONTENTS)?).into_iter().map(PathBuf::from).collect();
    for page in pages_in(context, "docs")? {
        let name = page.strip_prefix("docs").unwrap_or(&page);
        if page != Path::new(CONTENTS) && !listed.contains(name) {
            findings.push(format!("{CONTENTS} does not list {}", name.display()));
        }
    }
    verdict(findings, "mend the link, or list the page in docs/README.md")
}

fn pages(context: &Context) -> Result<Vec<PathBuf>> {
    let mut pages = pages_in(context, "")?;
    pages.extend(pages_in(context, "docs")?);
    pages.extend(pages_in(context, "deploy")?);
    Ok(pages)
}

fn pages_in(context: &Context, folder: &str) -> Result<Vec<PathBuf>> {
    let path = context.root.join(folder);
    let entries = std::fs::read_dir(&path).with_context(|| format!("cannot list {}", path.display()))?;
    let mut pages = Vec::new();
    for entry in entries {
        let name = entry.with_context(|| format!("cannot list {}", path.display()))?.file_name();
        if Path::new(&name).extension().is_some_and(|extension| extension == "md") {
            pages.push(Path::new(folder).join(name));
        }
    }
    pages.sort();
    Ok(pages)
}

/// The targets of `[text](target)` that are files of ours, without their `#place`.
fn relative_links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for part in line.split("](").skip(1) {
            let Some((target, _)) = part.split_once(')') else { continue };
            let target = target.split('#').next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                links.push(target.to_owned());
            }
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_to_our_own_files_count() {
        let text =
            "[a](a.md), [b](../B.md#place) and [c](https://example.org/x) [d](#here)\n```\n[e](e.md)\n```\n";
        assert_eq!(relative_links(text), ["a.md", "../B.md"]);
    }
}
