//! Rules for texts: lengths, URLs, addresses, language and region.

use url::{Host, Url};

use crate::{Finding, Rule};

/// A text of 1 to `max` characters. Whether Apple counts characters or bytes is not known (protocol section
/// 5.2), so what lies between the two is a warning.
pub(crate) fn check_text(key: &str, text: &str, max: usize, findings: &mut Vec<Finding>) {
    if check_present(key, text, findings) {
        check_length(key, text.chars().count(), text.len(), max, findings);
    }
}

/// Like a text, and has the shape of an address.
pub(crate) fn check_email(key: &str, text: &str, max: usize, findings: &mut Vec<Finding>) {
    check_text(key, text, max, findings);
    let address = text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty());
    if !text.trim().is_empty() && !address {
        let message = format!("{} is no e-mail address", quote(text));
        findings.push(Finding::warning(key, Rule::Email, message, "write an address like it@example.org"));
    }
}

/// The URL at which devices enroll: https, or http to this very machine, as the simulator has it.
pub(crate) fn check_enroll_url(key: &str, text: &str, max: usize, findings: &mut Vec<Finding>) {
    let Some(url) = check_url(key, text, findings) else { return };
    let encoded = if text.is_ascii() { text.len() } else { url.as_str().len() };
    check_length(key, encoded, encoded, max, findings);
    if url.scheme() == "http" && !is_loopback(&url) {
        findings.push(Finding::warning(
            key,
            Rule::Https,
            "devices expect https here and may refuse to enroll over plain http",
            "use an https URL",
        ));
    }
}

/// The URL of a web page in Setup Assistant: https only.
pub(crate) fn check_web_url(key: &str, text: &str, findings: &mut Vec<Finding>) {
    if check_url(key, text, findings).is_some_and(|url| url.scheme() != "https") {
        let message = "Setup Assistant opens this page over https only";
        findings.push(Finding::error(key, Rule::Https, message, "use an https URL"));
    }
}

/// ISO 639: two lower-case letters, or three where a language has no code of two.
pub(crate) fn check_language(key: &str, text: &str, findings: &mut Vec<Finding>) {
    let good = (2..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase());
    if check_present(key, text, findings) && !good {
        findings.push(Finding::error(
            key,
            Rule::LocaleForm,
            format!("{} is no language code: Apple may answer LOCALE_INVALID", quote(text)),
            "write two or three lower-case letters of ISO 639, like en, nb or haw; the country goes in `region`",
        ));
    }
}

/// ISO 3166-1: two capitals.
pub(crate) fn check_region(key: &str, text: &str, findings: &mut Vec<Finding>) {
    let good = text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase());
    if check_present(key, text, findings) && !good {
        findings.push(Finding::error(
            key,
            Rule::LocaleForm,
            format!("{} is no region code: Apple may answer LOCALE_INVALID", quote(text)),
            "write the two capitals of ISO 3166-1, like US, GB or NO",
        ));
    }
}

/// What to do about an empty or null value.
pub(crate) fn fix_of_empty(key: &str) -> &'static str {
    match key {
        "profile_name" | "name" | "url" => "give it a value",
        _ => "leave the key out",
    }
}

/// A text in quotes, cut where it gets long.
pub(crate) fn quote(text: &str) -> String {
    let cut = first_characters(text);
    if cut.len() == text.len() { format!("{text:?}") } else { format!("{cut:?}…") }
}

/// A text, cut where it gets long.
pub(crate) fn cut(text: &str) -> String {
    let cut = first_characters(text);
    if cut.len() == text.len() { text.to_owned() } else { format!("{cut}…") }
}

fn first_characters(text: &str) -> &str {
    const LIMIT: usize = 60;
    text.char_indices().nth(LIMIT).map_or(text, |(end, _)| &text[..end])
}

/// Whether there is a text at all; if not, says so. White space alone is only a warning, because what Apple
/// makes of it is not known.
fn check_present(key: &str, text: &str, findings: &mut Vec<Finding>) -> bool {
    if text.is_empty() {
        let message = "the text is empty, which Apple does not take";
        findings.push(Finding::error(key, Rule::Empty, message, fix_of_empty(key)));
    } else if text.trim().is_empty() {
        let message = "the text is blank";
        findings.push(Finding::warning(key, Rule::Empty, message, fix_of_empty(key)));
    }
    !text.is_empty()
}

fn check_length(key: &str, chars: usize, bytes: usize, max: usize, findings: &mut Vec<Finding>) {
    if chars > max {
        let message = format!("the text has {chars} characters, and Apple takes {max}");
        findings.push(Finding::error(
            key,
            Rule::MaxLength,
            message,
            format!("shorten it by {}", chars - max),
        ));
    } else if bytes > max {
        findings.push(Finding::warning(
            key,
            Rule::MaxLength,
            format!(
                "the text has {chars} characters in {bytes} bytes; Apple takes {max} and does not say which it counts"
            ),
            format!("shorten it to {max} bytes to be safe"),
        ));
    }
}

/// An absolute http or https URL, written so that it can be sent as it is.
fn check_url(key: &str, text: &str, findings: &mut Vec<Finding>) -> Option<Url> {
    if !check_present(key, text, findings) {
        return None;
    }
    let mut refuse = |why: String| {
        let message = format!("{} is no URL that a device can open: {why}", quote(text));
        let fix = "write a whole URL like https://mdm.example.org/enroll";
        findings.push(Finding::error(key, Rule::Url, message, fix));
    };
    // The parser forgives spaces and missing slashes; Apple and devices get the text as it is.
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        refuse("it contains white space".into());
        return None;
    }
    let url = match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => url,
        Ok(url) => {
            refuse(format!("its scheme is {}", url.scheme()));
            return None;
        }
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            refuse("it does not begin with https://".into());
            return None;
        }
        Err(error) => {
            refuse(error.to_string());
            return None;
        }
    };
    let after_scheme = &text[url.scheme().len()..];
    if after_scheme.strip_prefix("://").is_none_or(|rest| rest.starts_with(['/', '\\'])) {
        refuse("two slashes and a host must follow the scheme".into());
        return None;
    }
    if !text.is_ascii() {
        findings.push(Finding::warning(
            key,
            Rule::Url,
            "the URL has characters that are not URL-encoded",
            format!("write it as {url}"),
        ));
    }
    Some(url)
}

/// Whether the URL is of the machine that asks for it.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
