//! Passwords: argon2id, off the async threads, a few at a time.

/// How dear a password hash is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory, KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl PasswordCost {
    /// 19 MiB and two passes: OWASP's advice for argon2id on one lane.
    pub const STANDARD: Self = Self {
        memory_kib: 19 * 1_024,
        passes: 2,
    };
    /// The least that argon2 takes: for tests only, where nobody attacks the hash.
    pub const FOR_TESTS: Self = Self {
        memory_kib: 8,
        passes: 1,
    };
}
