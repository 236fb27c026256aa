use serde_json::{Map, Value};

use super::Made;
use crate::accounts::SignIn;
use crate::check::not_a_text;
use crate::{Finding, Rule, spelling, texts};

/// The words that a file has for the ways to sign in.
pub(crate) const WORDS: &[(&str, SignIn)] =
    &[("none", SignIn::None), ("web", SignIn::Web), ("legacy", SignIn::Legacy)];

/// How users sign in, and which key says on which page.
pub(super) struct Affinity {
    pub(super) sign_in: SignIn,
    pub(super) web_url: &'static str,
}

/// Reads `user_affinity` and `web_url` together; the page of `web` is `url` where no other is given.
pub(super) fn take(raw: &Map<String, Value>, made: &mut Made) -> Affinity {
    let page = raw.get("web_url").filter(|page| !page.is_null());
    let default = if page.is_some() { SignIn::Web } else { SignIn::None };
    let sign_in = match raw.get("user_affinity") {
        None | Some(Value::Null) => default,
        Some(Value::String(word)) => match WORDS.iter().find(|(known, _)| known == word) {
            Some((_, sign_in)) => *sign_in,
            None => {
                made.findings.push(no_such_word(word));
                default
            }
        },
        Some(wrong) => {
            made.findings.push(not_a_text("user_affinity", wrong));
            default
        }
    };
    match (sign_in, page) {
        (SignIn::Web, Some(page)) => {
            made.apple.insert("configuration_web_url".to_owned(), page.clone());
        }
        (SignIn::Web, None) => {
            if let Some(url) = raw.get("url").filter(|url| url.is_string()) {
                made.apple.insert("configuration_web_url".to_owned(), url.clone());
            }
        }
        (SignIn::None | SignIn::Legacy, Some(_)) => made.findings.push(Finding::error(
            "web_url",
            Rule::Contradiction,
            "with this `user_affinity` nobody signs in on a page",
            "set `user_affinity` to `web`, or take `web_url` out",
        )),
        (SignIn::None | SignIn::Legacy, None) => {}
    }
    Affinity { sign_in, web_url: if page.is_some() { "web_url" } else { "url" } }
}

fn no_such_word(word: &str) -> Finding {
    let fix = spelling::nearest(word, WORDS.iter().map(|(known, _)| *known)).map_or_else(
        || "write `none`, `web` or `legacy`".to_owned(),
        |nearest| format!("write `{nearest}` if that was meant"),
    );
    let message = format!("{} is no way in which users sign in", texts::quote(word));
    Finding::error("user_affinity", Rule::Type, message, fix)
}
