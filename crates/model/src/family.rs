use serde::{Deserialize, Serialize};

use crate::wire_words::open_words;

open_words!(
    /// Apple's product family of a device (`device_family`, protocol section 4.6).
    DeviceFamily {
        /// Macs.
        Mac = "Mac",
        /// iPhones.
        IPhone = "iPhone",
        /// iPads.
        IPad = "iPad",
        /// iPods.
        IPod = "iPod",
        /// Apple TVs.
        AppleTv = "AppleTV",
        /// Apple Vision.
        Vision = "Vision",
    }
);

impl DeviceFamily {
    /// The families that Apple lists today, in the order of tables.
    pub const KNOWN: [Self; 6] =
        [Self::Mac, Self::IPhone, Self::IPad, Self::IPod, Self::AppleTv, Self::Vision];
}
