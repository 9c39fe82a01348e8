//! Values that must not reach a log.

use std::fmt;

use serde::Deserialize;

/// A secret text: prints as `***` wherever it is formatted.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself: for the look-up, the signature or the owner's own page, never for a log.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The last two characters behind an ellipsis: enough to tell two keys apart in a log.
    #[must_use]
    pub fn hint(&self) -> String {
        let tail: Vec<char> = self.0.chars().rev().take(2).collect();
        if self.0.chars().count() < 8 {
            return "…".to_owned();
        }
        format!("…{}", tail.iter().rev().collect::<String>())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints_itself() {
        let key = Secret::new("live_1_0123456789abcdef");
        assert_eq!(format!("{key} {key:?}"), "*** ***");
        assert_eq!(key.hint(), "…ef");
        assert_eq!(Secret::new("short").hint(), "…");
    }
}
