/// The candidate that a misspelt word was probably meant to be. Upper and lower case count as equal, and about
/// one letter in three may be wrong: further off, a suggestion would mislead.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let allowed = (lower.chars().count() / 3).max(1);
    candidates
        .map(|candidate| (strsim::osa_distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_another_word_finds_none() {
        let words = ["AppleID", "Siri", "TOS", "iCloudStorage"];
        for (slip, word) in [
            ("appleid", Some("AppleID")),
            ("Sirri", Some("Siri")),
            ("Siir", Some("Siri")),
            ("ICloudStorge", Some("iCloudStorage")),
            ("ToS", Some("TOS")),
            ("Unknown", None),
            ("", None),
        ] {
            assert_eq!(nearest(slip, words.into_iter()), word, "{slip}");
        }
    }
}
