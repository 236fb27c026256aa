//! Upper and lower case are alike in every comparison: Apple writes serial numbers in capitals, people do not.

/// The character in lower case. The one letter whose lower case is two characters (`İ`) stays as it is, so that a
/// text has as many characters as before and `?` stands for one of them.
pub(crate) fn char(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// Appends the text in lower case.
pub(crate) fn push(into: &mut Vec<u8>, text: &str) {
    let start = into.len();
    if text.is_ascii() {
        into.extend_from_slice(text.as_bytes());
        into[start..].make_ascii_lowercase();
    } else {
        let mut room = [0; 4];
        for c in text.chars() {
            into.extend_from_slice(char(c).encode_utf8(&mut room).as_bytes());
        }
    }
}

/// The text in lower case.
pub(crate) fn text(text: &str) -> Box<[u8]> {
    let mut folded = Vec::with_capacity(text.len());
    push(&mut folded, text);
    folded.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_lower_alike_and_keep_the_number_of_characters() {
        for (written, folded) in
            [("C02xYZ-1", "c02xyz-1"), ("Ärger ΣΑΣ", "ärger σασ"), ("İs", "İs"), ("", "")]
        {
            assert_eq!(*text(written), *folded.as_bytes());
            assert_eq!(written.chars().count(), folded.chars().count());
        }
    }
}
