//! Regions, prefectures, communes, quartiers: small tables, read whole.

use serde::Serialize;

use super::{Store, StoreError};

/// A region, as the contract shows it (§1.2).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Region {
    /// From 1, in the order of the loader's file.
    pub id: i64,
    /// Its name.
    pub nom: String,
    /// Three letters; not unique.
    pub code: Option<String>,
}

/// A prefecture within its region.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prefecture {
    /// From 1, in the order of the loader's file.
    pub id: i64,
    /// Its name.
    pub nom: String,
    /// Three letters; not unique.
    pub code: Option<String>,
    /// Which region.
    pub region: Region,
}

/// A commune within its prefecture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Commune {
    /// From 1, in the order of the loader's file.
    pub id: i64,
    /// Its name.
    pub nom: String,
    /// Three letters; not unique (MAT twice).
    pub code: Option<String>,
    /// `commune urbaine`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which prefecture.
    pub prefecture: Prefecture,
}

/// A quartier within its commune.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quartier {
    /// From 1, in the order of contract §7 (Almamya is 11).
    pub id: i64,
    /// Its name; not unique across communes.
    pub nom: String,
    /// Three letters; not unique.
    pub code: Option<String>,
    /// Which commune.
    pub commune: Commune,
    /// How many people live there, if known.
    pub population_estimee: Option<i64>,
    /// Its area in square kilometres, if known.
    pub superficie_km2: Option<f64>,
}

/// One place to be seeded.
#[derive(Clone, Debug, PartialEq)]
pub struct SeedPlace {
    /// Its id.
    pub id: i64,
    /// The id of the place one level up; ignored for a region.
    pub parent: i64,
    /// Its name.
    pub nom: String,
    /// Its code.
    pub code: Option<String>,
    /// A commune's type; empty elsewhere.
    pub kind: String,
    /// The name without accents and case, for look-ups.
    pub folded: String,
    /// A quartier's people.
    pub population_estimee: Option<i64>,
    /// A quartier's area.
    pub superficie_km2: Option<f64>,
}

/// All places to be seeded, parents before children.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GeoSeed {
    /// Regions.
    pub regions: Vec<SeedPlace>,
    /// Prefectures.
    pub prefectures: Vec<SeedPlace>,
    /// Communes.
    pub communes: Vec<SeedPlace>,
    /// Quartiers.
    pub quartiers: Vec<SeedPlace>,
}

impl Store {
    /// Inserts or updates every place by its id, all or none. Places that the seed lacks stay.
    ///
    /// # Errors
    /// `NotFound` when a parent is missing; `Conflict` when a parent has two children of one name.
    pub async fn seed_places(&self, _seed: &GeoSeed) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// All regions by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn regions(&self) -> Result<Vec<Region>, StoreError> {
        unimplemented!()
    }

    /// All prefectures by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prefectures(&self) -> Result<Vec<Prefecture>, StoreError> {
        unimplemented!()
    }

    /// All communes by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn communes(&self) -> Result<Vec<Commune>, StoreError> {
        unimplemented!()
    }

    /// All quartiers by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn quartiers(&self) -> Result<Vec<Quartier>, StoreError> {
        unimplemented!()
    }

    /// The quartier with this id, with its commune, prefecture and region.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn quartier(&self, _id: i64) -> Result<Option<Quartier>, StoreError> {
        unimplemented!()
    }

    /// The quartiers of this folded name, by id: several communes have one of the same name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn quartiers_by_folded_name(
        &self,
        _folded: &str,
    ) -> Result<Vec<Quartier>, StoreError> {
        unimplemented!()
    }
}
