//! The rendition file of a live: append, index, finish, read back by ranges while it grows and after.
