//! Members: passwords, tokens, stream keys.
