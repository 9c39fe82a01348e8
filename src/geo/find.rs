//! Finding a quartier by what an operator types.

use super::fold;
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
pub async fn resolve_quartier(store: &Store, id_or_name: &str) -> Result<Quartier, GeoError> {
    let unknown = || GeoError::Unknown(id_or_name.trim().to_owned());
    if let Ok(id) = id_or_name.trim().parse() {
        return store.quartier(id).await?.ok_or_else(unknown);
    }
    let (name, commune) = match id_or_name.split_once(',') {
        Some((name, commune)) => (fold(name), Some(fold(commune))),
        None => (fold(id_or_name), None),
    };
    let mut found = store.quartiers_by_folded_name(&name).await?;
    if let Some(commune) = commune {
        found.retain(|quartier| fold(&quartier.commune.nom) == commune);
    }
    match found.len() {
        0 | 1 => found.pop().ok_or_else(unknown),
        _ => Err(GeoError::Ambiguous(found)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::{full_address, location_info};
    use crate::store::Config;

    async fn seeded() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("griot.db").display());
        let store = Store::open(&Config { url }).await.unwrap();
        crate::geo::seed(&store).await.unwrap();
        (folder, store)
    }

    #[tokio::test]
    async fn a_quartier_is_found_by_id_and_by_its_only_name_without_accents() {
        let (_folder, store) = seeded().await;
        for typed in ["11", " Almamya ", "ALMAMYA", "almamya, kaloum"] {
            let found = resolve_quartier(&store, typed).await.unwrap();
            assert_eq!(found.id, 11, "{typed}");
        }
        let found = resolve_quartier(&store, "kerouane").await.unwrap();
        assert_eq!(found.nom, "Kérouané");
    }

    #[tokio::test]
    async fn a_name_that_several_communes_have_is_refused_with_the_candidates() {
        let (_folder, store) = seeded().await;
        let error = resolve_quartier(&store, "bambeto").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "several quartiers are called so, give the id: 12 Bambéto, Kaloum; 24 Bambéto, Matam"
        );
        let one = resolve_quartier(&store, "bambeto, matam").await.unwrap();
        assert_eq!(one.id, 24);
    }

    #[tokio::test]
    async fn an_unknown_name_or_id_is_refused() {
        let (_folder, store) = seeded().await;
        for typed in ["Paris", "78", "0", "", "almamya, matam"] {
            let error = resolve_quartier(&store, typed).await.unwrap_err();
            assert!(matches!(error, GeoError::Unknown(_)), "{typed}");
        }
    }

    #[tokio::test]
    async fn a_quartier_reads_from_its_name_to_its_region() {
        let (_folder, store) = seeded().await;
        let almamya = resolve_quartier(&store, "11").await.unwrap();
        assert_eq!(location_info(&almamya), "Almamya, Kaloum");
        assert_eq!(
            full_address(&almamya).full_address,
            "Almamya, Kaloum, Conakry, Conakry"
        );
    }
}
