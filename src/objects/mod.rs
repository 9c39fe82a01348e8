//! Where finished bytes lie: object keys and the directory store.
