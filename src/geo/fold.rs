//! Names without accents, case and punctuation.

/// The form in which names are compared: lower case, without accents, words joined by one space.
#[must_use]
pub fn fold(_name: &str) -> String {
    unimplemented!()
}
