//! A store for the tests of the rooms above: a file of its own, with one quartier.

use super::{Config, GeoSeed, SeedPlace, Store};

/// A fresh SQLite store that lives as long as the folder, with Almamya (11) in Kaloum (2), Conakry (1).
pub(crate) async fn scratch_store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("griot.db").display());
    let store = Store::open(&Config { url }).await.unwrap();
    store.seed_places(&almamya()).await.unwrap();
    (folder, store)
}

fn almamya() -> GeoSeed {
    let place = |id, parent, nom: &str, code: &str, kind: &str| SeedPlace {
        id,
        parent,
        nom: nom.to_owned(),
        code: Some(code.to_owned()),
        kind: kind.to_owned(),
        folded: nom.to_lowercase(),
        population_estimee: None,
        superficie_km2: None,
    };
    GeoSeed {
        regions: vec![place(1, 0, "Conakry", "CON", "")],
        prefectures: vec![place(1, 1, "Conakry", "CON", "")],
        communes: vec![place(2, 1, "Kaloum", "KAL", "commune urbaine")],
        quartiers: vec![place(11, 2, "Almamya", "ALM", "")],
    }
}
