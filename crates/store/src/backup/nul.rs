use std::borrow::Cow;

/// JSON in whose texts U+FFFD stands for each NUL, which PostgreSQL cannot keep: as everywhere where Apple sends one. Says
/// how many there were.
#[must_use]
pub fn without_nul(json: &str) -> (Cow<'_, str>, u64) {
    const NUL: &str = r"\u0000";
    if !json.contains(NUL) {
        return (json.into(), 0);
    }
    let (mut clean, mut rest, mut replaced) = (String::with_capacity(json.len()), json, 0);
    // A backslash takes the next character with it, so that one behind another begins nothing.
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        clean.push_str(before);
        if let Some(after) = escape.strip_prefix(NUL) {
            clean.push_str(r"\ufffd");
            replaced += 1;
            rest = after;
        } else {
            let length = 1 + escape.chars().nth(1).map_or(0, char::len_utf8);
            clean.push_str(&escape[..length]);
            rest = &escape[length..];
        }
    }
    clean.push_str(rest);
    (clean.into(), replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_nul_is_replaced() {
        assert_eq!(without_nul(r#"["a\u0000b\u0000"]"#), (r#"["a\ufffdb\ufffd"]"#.into(), 2));
        // A text about JSON, as the audit has them: a backslash and the letters.
        let quoted = r#"["\\u0000", "\\\\u0000", "\n\"ü"]"#;
        assert_eq!(without_nul(quoted), (quoted.into(), 0));
        assert_eq!(without_nul(r#"["\\\u0000"]"#), (r#"["\\\ufffd"]"#.into(), 1));
        assert!(matches!(without_nul("[1]"), (Cow::Borrowed(_), 0)));
    }
}
