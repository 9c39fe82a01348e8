//! What the secret key is turned into: one key for each use.
