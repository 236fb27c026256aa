use adelie_model::{ProfileId, SerialNumber};

/// Whether a device is among the first `percent` of those that get a staged revision of a profile.
///
/// Stable: a device that is among the first 10 % is among the first 50 %, too, whatever process asks and whenever. The
/// profile is part of it, so that it is not always the same devices that go first.
#[must_use]
pub fn is_among(serial: &SerialNumber, profile: ProfileId, percent: u8) -> bool {
    // FNV-1a, finished by the mixer of SplitMix64, because the last characters of a serial number alone hardly reach the
    // upper bits. Neither may ever change: a staged roll-out that is under way would take other devices.
    let bytes = profile.0.to_be_bytes().into_iter().chain(serial.as_str().bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (hash ^ (hash >> 31)) % 100 < u64::from(percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn among(count: u32, profile: i64, percent: u8) -> Vec<SerialNumber> {
        let serials = (0..count).map(|n| SerialNumber::from_apple(format!("F4KE{n:08}")));
        serials.filter(|serial| is_among(serial, ProfileId(profile), percent)).collect()
    }

    #[test]
    fn about_so_many_percent_are_taken_and_more_percent_take_the_same_and_others() {
        for (percent, least, most) in
            [(0, 0, 0), (1, 70, 130), (10, 900, 1100), (50, 4800, 5200), (100, 10_000, 10_000)]
        {
            let taken = among(10_000, 7, percent).len();
            assert!((least..=most).contains(&taken), "{percent} % took {taken}");
        }
        let (few, many) = (among(10_000, 7, 10), among(10_000, 7, 30));
        assert!(few.iter().all(|serial| many.contains(serial)));
    }

    #[test]
    fn each_profile_begins_with_others() {
        let (one, two) = (among(10_000, 1, 10), among(10_000, 2, 10));
        let both = one.iter().filter(|serial| two.contains(serial)).count();
        assert!((60..=140).contains(&both), "{both} of 1000 are the same");
    }

    /// Whoever changes this moves devices to and fro in the middle of a roll-out.
    #[test]
    fn the_choice_never_changes() {
        let chosen = among(20, 3, 40);
        let chosen: Vec<&str> = chosen.iter().map(|serial| &serial.as_str()[10..]).collect();
        // Computed by another implementation.
        assert_eq!(chosen, ["00", "03", "04", "06", "09", "11", "14", "18", "19"]);
    }
}
