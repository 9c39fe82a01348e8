//! Posts as far as a live needs one.
