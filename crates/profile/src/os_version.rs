use std::fmt;
use std::str::FromStr;

/// The version of an operating system, compared number by number: 10.9 comes before 10.12.4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OsVersion {
    major: u16,
    minor: u16,
    patch: u16,
}

/// A text that is no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no version: write up to three numbers with dots between them, like 26.1")]
pub struct NoVersion(String);

impl FromStr for OsVersion {
    type Err = NoVersion;

    /// Takes one to three numbers; what is left out is zero.
    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let no_version = || NoVersion(text.to_owned());
        let mut numbers = [0; 3];
        for (at, part) in text.split('.').enumerate() {
            // `u16` would also take a plus sign.
            if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
                return Err(no_version());
            }
            *numbers.get_mut(at).ok_or_else(no_version)? = part.parse().map_err(|_| no_version())?;
        }
        let [major, minor, patch] = numbers;
        Ok(Self { major, minor, patch })
    }
}

impl fmt::Display for OsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        if self.patch > 0 {
            write!(f, ".{}", self.patch)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        let version = |text: &str| text.parse::<OsVersion>().expect(text);
        assert!(version("10.9") < version("10.12.4"));
        assert!(version("26") == version("26.0.0") && version("26.1") > version("26"));
        assert_eq!(version("26").to_string(), "26.0");
        assert_eq!(version("10.12.4").to_string(), "10.12.4");
        for bad in ["", "26.", ".1", "26.1.0.1", "v26", "+26", "26 ", "99999"] {
            assert!(bad.parse::<OsVersion>().is_err(), "{bad}");
        }
    }
}
