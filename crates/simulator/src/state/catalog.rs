//! What the simulated organization has bought: a table of models with colours and a seeded choice among them.

use super::device::{Device, NO_PROFILE, NO_SLOT, NOBODY, Status};
use super::mix;
use super::serial::Serial;

/// A kind of device.
pub(crate) struct Kind {
    pub(crate) model: &'static str,
    pub(crate) description: &'static str,
    pub(crate) family: &'static str,
    /// The `os` up to version 6 of the protocol.
    pub(crate) os: &'static str,
    pub(crate) colors: &'static [&'static str],
    pub(crate) cellular: bool,
    pub(crate) ethernet: bool,
    /// How many of a hundred and twenty devices are of this kind.
    share: u8,
}

const fn kind(
    model: &'static str,
    description: &'static str,
    family: &'static str,
    os: &'static str,
    colors: &'static [&'static str],
    share: u8,
) -> Kind {
    Kind { model, description, family, os, colors, cellular: false, ethernet: false, share }
}

/// Indexes are stored in devices, so the order is part of what a seed means.
pub(crate) static KINDS: [Kind; 18] = [
    kind(
        "MacBook Air",
        "MBA 13.6 M3/8C CPU/8GB/256GB",
        "Mac",
        "OSX",
        &["SPACE GRAY", "SILVER", "STARLIGHT", "MIDNIGHT"],
        22,
    ),
    kind("MacBook Pro", "MBP 14.2 M3 PRO/11C CPU/18GB/512GB", "Mac", "OSX", &["SPACE BLACK", "SILVER"], 14),
    kind("MacBook Pro", "MBP 16.2 M3 MAX/14C CPU/36GB/1TB", "Mac", "OSX", &["SPACE BLACK", "SILVER"], 4),
    Kind {
        ethernet: true,
        ..kind("iMac", "IMAC 24 M3/8C CPU/8GB/256GB", "Mac", "OSX", &["BLUE", "GREEN", "PINK", "SILVER"], 4)
    },
    Kind { ethernet: true, ..kind("Mac mini", "MAC MINI M2/8C CPU/8GB/256GB", "Mac", "OSX", &[], 5) },
    Kind { ethernet: true, ..kind("Mac Studio", "MAC STUDIO M2 MAX/32GB/512GB", "Mac", "OSX", &[], 1) },
    kind("iPad 9th Gen", "IPAD WI-FI 64GB SPACE GRAY", "iPad", "iOS", &["SPACE GRAY", "SILVER"], 20),
    kind("iPad 10th Gen", "IPAD WI-FI 64GB", "iPad", "iOS", &["BLUE", "PINK", "SILVER", "YELLOW"], 10),
    Kind {
        cellular: true,
        ..kind(
            "iPad Air 5th Gen",
            "IPAD AIR WI-FI + CELLULAR 64GB",
            "iPad",
            "iOS",
            &["SPACE GRAY", "STARLIGHT", "BLUE"],
            6,
        )
    },
    kind("iPad Pro 11-inch", "IPAD PRO 11 WI-FI 256GB", "iPad", "iOS", &["SPACE BLACK", "SILVER"], 3),
    kind(
        "iPad mini 6th Gen",
        "IPAD MINI WI-FI 64GB",
        "iPad",
        "iOS",
        &["SPACE GRAY", "PURPLE", "STARLIGHT"],
        2,
    ),
    Kind {
        cellular: true,
        ..kind("iPhone 13", "IPHONE 13 128GB", "iPhone", "iOS", &["MIDNIGHT", "STARLIGHT", "BLUE", "RED"], 9)
    },
    Kind {
        cellular: true,
        ..kind("iPhone 14", "IPHONE 14 128GB", "iPhone", "iOS", &["MIDNIGHT", "STARLIGHT", "PURPLE"], 8)
    },
    Kind {
        cellular: true,
        ..kind(
            "iPhone 15 Pro",
            "IPHONE 15 PRO 128GB",
            "iPhone",
            "iOS",
            &["BLACK TITANIUM", "NATURAL TITANIUM"],
            4,
        )
    },
    Kind {
        cellular: true,
        ..kind("iPhone SE 3rd Gen", "IPHONE SE 64GB", "iPhone", "iOS", &["MIDNIGHT", "RED"], 4)
    },
    Kind { ethernet: true, ..kind("Apple TV 4K", "APPLE TV 4K 128GB", "AppleTV", "tvOS", &["BLACK"], 2) },
    kind("Apple Vision Pro", "VISION PRO 256GB", "Vision", "visionOS", &[], 1),
    kind("iPod touch 7th Gen", "IPOD TOUCH 32GB", "iPod", "iOS", &["SPACE GRAY"], 1),
];

/// Who assigned devices; `-1` stands for an automatic assignment.
pub(crate) static ASSIGNERS: [&str; 5] =
    ["it@example.org", "logistics@example.org", "reseller@example.com", "-1", "desk@example.org"];

/// Stands for "no colour" in a device.
pub(crate) const NO_COLOR: u8 = u8::MAX;

/// The kinds that fit a wish, as indexes; all of them without one.
pub(crate) fn kinds_of(family: Option<&str>, model: Option<&str>) -> Vec<u8> {
    (0_u8..)
        .zip(&KINDS)
        .filter(|(_, kind)| family.is_none_or(|family| kind.family.eq_ignore_ascii_case(family)))
        .filter(|(_, kind)| model.is_none_or(|model| kind.model.eq_ignore_ascii_case(model)))
        .flat_map(|(index, kind)| std::iter::repeat_n(index, usize::from(kind.share)))
        .collect()
}

/// The device with that running number: the same for the same seed, kinds and number.
pub(crate) fn generate(number: u32, seed: u64, kinds: &[u8]) -> Device {
    let chance = mix(seed.wrapping_mul(0x9E37_79B9).wrapping_add(u64::from(number)));
    let kind = pick(kinds, chance).unwrap_or(0);
    dress(Serial::generate(number, seed, kind), kind, chance)
}

/// A device with a given serial number.
pub(crate) fn with_serial(serial: Serial, kinds: &[u8]) -> Device {
    let chance = serial.as_bytes().iter().fold(7, |hash, byte| mix(hash ^ u64::from(*byte)));
    dress(serial, pick(kinds, chance).unwrap_or(0), chance)
}

fn pick(kinds: &[u8], chance: u64) -> Option<u8> {
    let place = usize::try_from(chance >> 40).unwrap_or(0).checked_rem(kinds.len())?;
    kinds.get(place).copied()
}

fn dress(serial: Serial, kind: u8, chance: u64) -> Device {
    let colors = KINDS[usize::from(kind)].colors.len();
    let low = usize::try_from(chance & 0xFFFF).unwrap_or(0);
    // Apple leaves the colour out on some models and now and then elsewhere.
    let color = if colors == 0 || low.is_multiple_of(31) {
        NO_COLOR
    } else {
        u8::try_from(low % colors).unwrap_or(0)
    };
    Device {
        serial,
        kind,
        color,
        assigned_by: u8::try_from(usize::try_from(chance >> 20 & 0xFF).unwrap_or(0) % ASSIGNERS.len())
            .unwrap_or(0),
        owner: NOBODY,
        slot: NO_SLOT,
        profile: NO_PROFILE,
        status: Status::Empty,
        flags: 0,
        assigned_at: 0,
        assign_time: 0,
        push_time: 0,
        assigns: 0,
        overrides: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_there_and_a_wish_is_kept() {
        let all = kinds_of(None, None);
        let families: std::collections::HashSet<&str> =
            (0..2000).map(|n| KINDS[usize::from(generate(n, 1, &all).kind)].family).collect();
        assert!(families.is_superset(&["Mac", "iPad", "iPhone", "AppleTV", "Vision"].into()), "{families:?}");
        let macs = kinds_of(Some("mac"), None);
        assert!((0..500).all(|n| KINDS[usize::from(generate(n, 1, &macs).kind)].family == "Mac"));
        assert!(kinds_of(Some("Toaster"), None).is_empty());
    }

    #[test]
    fn some_devices_have_no_colour() {
        let all = kinds_of(None, None);
        let bare = (0..1000).filter(|n| generate(*n, 1, &all).color == NO_COLOR).count();
        assert!((20..500).contains(&bare), "{bare}");
    }
}
