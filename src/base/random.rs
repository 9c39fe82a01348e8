//! The operating system's random source.

/// `N` unpredictable bytes.
///
/// # Panics
/// When the operating system has no randomness to give: nothing secret can be made then.
#[must_use]
pub fn random_array<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// `2 × N` lower-case hexadecimal digits of unpredictable bytes.
#[must_use]
pub fn random_hex<const N: usize>() -> String {
    hex::encode(random_array::<N>())
}
