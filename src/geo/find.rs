//! Finding a quartier by what an operator types.

use crate::base::ErrorKind;
use crate::store::{Quartier, Store, StoreError};

/// Why no quartier was found.
#[derive(Debug, thiserror::Error)]
pub enum GeoError {
    /// Neither an id nor a name of one.
    #[error("no quartier is called {0}")]
    Unknown(String),
    /// Several communes have one of this name; the text lists them as `id name, commune`.
    #[error("several quartiers are called so, give the id: {}", list(.0))]
    Ambiguous(Vec<Quartier>),
    /// The store's own answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl GeoError {
    /// What the caller's caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unknown(_) | Self::Ambiguous(_) => ErrorKind::Invalid,
            Self::Store(error) => error.kind(),
        }
    }
}

fn list(quartiers: &[Quartier]) -> String {
    quartiers
        .iter()
        .map(|quartier| format!("{} {}", quartier.id, super::location_info(quartier)))
        .collect::<Vec<_>>()
        .join("; ")
}

/// The quartier with this id, or the only one of this name, whatever its accents and case.
/// `name, commune` names one of several.
///
/// # Errors
/// `Unknown`, `Ambiguous` (design §9: refused), `Store`.
pub async fn resolve_quartier(_store: &Store, _id_or_name: &str) -> Result<Quartier, GeoError> {
    unimplemented!()
}
