//! Regions, prefectures, communes, quartiers: small tables, read whole.

use serde::Serialize;

use super::db::{in_tx, read, sql};
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

#[derive(sqlx::FromRow)]
struct RegionRow {
    region_id: i64,
    region_nom: String,
    region_code: Option<String>,
}

#[derive(sqlx::FromRow)]
struct PrefectureRow {
    prefecture_id: i64,
    prefecture_nom: String,
    prefecture_code: Option<String>,
    #[sqlx(flatten)]
    region: RegionRow,
}

#[derive(sqlx::FromRow)]
struct CommuneRow {
    commune_id: i64,
    commune_nom: String,
    commune_code: Option<String>,
    commune_kind: String,
    #[sqlx(flatten)]
    prefecture: PrefectureRow,
}

/// A quartier and all above it; a join selects it by [`quartier_columns`].
#[derive(sqlx::FromRow)]
pub(super) struct QuartierRow {
    quartier_id: i64,
    quartier_nom: String,
    quartier_code: Option<String>,
    population_estimee: Option<i64>,
    superficie_km2: Option<f64>,
    #[sqlx(flatten)]
    commune: CommuneRow,
}

impl From<RegionRow> for Region {
    fn from(row: RegionRow) -> Self {
        Self {
            id: row.region_id,
            nom: row.region_nom,
            code: row.region_code,
        }
    }
}

impl From<PrefectureRow> for Prefecture {
    fn from(row: PrefectureRow) -> Self {
        Self {
            id: row.prefecture_id,
            nom: row.prefecture_nom,
            code: row.prefecture_code,
            region: row.region.into(),
        }
    }
}

impl From<CommuneRow> for Commune {
    fn from(row: CommuneRow) -> Self {
        Self {
            id: row.commune_id,
            nom: row.commune_nom,
            code: row.commune_code,
            kind: row.commune_kind,
            prefecture: row.prefecture.into(),
        }
    }
}

impl From<QuartierRow> for Quartier {
    fn from(row: QuartierRow) -> Self {
        Self {
            id: row.quartier_id,
            nom: row.quartier_nom,
            code: row.quartier_code,
            commune: row.commune.into(),
            population_estimee: row.population_estimee,
            superficie_km2: row.superficie_km2,
        }
    }
}

macro_rules! region_columns {
    () => {
        "regions.id as region_id, regions.nom as region_nom, regions.code as region_code"
    };
}

macro_rules! prefecture_columns {
    () => {
        concat!(
            "prefectures.id as prefecture_id, prefectures.nom as prefecture_nom,
             prefectures.code as prefecture_code, ",
            $crate::store::places::region_columns!()
        )
    };
}

macro_rules! commune_columns {
    () => {
        concat!(
            "communes.id as commune_id, communes.nom as commune_nom, communes.code as commune_code,
             communes.kind as commune_kind, ",
            $crate::store::places::prefecture_columns!()
        )
    };
}

/// The columns of a [`QuartierRow`], from the four tables joined by [`quartier_joins`].
macro_rules! quartier_columns {
    () => {
        concat!(
            "quartiers.id as quartier_id, quartiers.nom as quartier_nom,
             quartiers.code as quartier_code, quartiers.population_estimee,
             quartiers.superficie_km2, ",
            $crate::store::places::commune_columns!()
        )
    };
}

/// What follows `quartiers` in a join up to its region.
macro_rules! quartier_joins {
    () => {
        " join communes on communes.id = quartiers.commune_id
          join prefectures on prefectures.id = communes.prefecture_id
          join regions on regions.id = prefectures.region_id "
    };
}

pub(super) use {
    commune_columns, prefecture_columns, quartier_columns, quartier_joins, region_columns,
};

sql! {
    PUT_REGION = "insert into regions (id, nom, code, folded) values ($1, $2, $3, $4)
        on conflict (id) do update set nom = excluded.nom, code = excluded.code, folded = excluded.folded";
    PUT_PREFECTURE = "insert into prefectures (id, region_id, nom, code, folded) values ($1, $2, $3, $4, $5)
        on conflict (id) do update set region_id = excluded.region_id, nom = excluded.nom,
            code = excluded.code, folded = excluded.folded";
    PUT_COMMUNE = "insert into communes (id, prefecture_id, nom, code, folded, kind)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (id) do update set prefecture_id = excluded.prefecture_id, nom = excluded.nom,
            code = excluded.code, folded = excluded.folded, kind = excluded.kind";
    PUT_QUARTIER = "insert into quartiers (id, commune_id, nom, code, folded, population_estimee,
            superficie_km2)
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (id) do update set commune_id = excluded.commune_id, nom = excluded.nom,
            code = excluded.code, folded = excluded.folded,
            population_estimee = excluded.population_estimee, superficie_km2 = excluded.superficie_km2";
    REGIONS = concat!("select ", region_columns!(), " from regions order by regions.id");
    PREFECTURES = concat!(
        "select ", prefecture_columns!(),
        " from prefectures join regions on regions.id = prefectures.region_id order by prefectures.id"
    );
    COMMUNES = concat!(
        "select ", commune_columns!(),
        " from communes join prefectures on prefectures.id = communes.prefecture_id
          join regions on regions.id = prefectures.region_id order by communes.id"
    );
    QUARTIERS = concat!(
        "select ", quartier_columns!(), " from quartiers", quartier_joins!(), "order by quartiers.id"
    );
    QUARTIER = concat!(
        "select ", quartier_columns!(), " from quartiers", quartier_joins!(), "where quartiers.id = $1"
    );
    QUARTIERS_BY_NAME = concat!(
        "select ", quartier_columns!(), " from quartiers", quartier_joins!(),
        "where quartiers.folded = $1 order by quartiers.id"
    );
}

impl Store {
    /// Inserts or updates every place by its id, all or none. Places that the seed lacks stay.
    ///
    /// # Errors
    /// `NotFound` when a parent is missing; `Conflict` when a parent has two children of one name.
    pub async fn seed_places(&self, seed: &GeoSeed) -> Result<(), StoreError> {
        in_tx!(self, tx => {
            for place in &seed.regions {
                sqlx::query(PUT_REGION)
                    .bind(place.id)
                    .bind(&place.nom)
                    .bind(&place.code)
                    .bind(&place.folded)
                    .execute(&mut *tx)
                    .await?;
            }
            for place in &seed.prefectures {
                sqlx::query(PUT_PREFECTURE)
                    .bind(place.id)
                    .bind(place.parent)
                    .bind(&place.nom)
                    .bind(&place.code)
                    .bind(&place.folded)
                    .execute(&mut *tx)
                    .await?;
            }
            for place in &seed.communes {
                sqlx::query(PUT_COMMUNE)
                    .bind(place.id)
                    .bind(place.parent)
                    .bind(&place.nom)
                    .bind(&place.code)
                    .bind(&place.folded)
                    .bind(&place.kind)
                    .execute(&mut *tx)
                    .await?;
            }
            for place in &seed.quartiers {
                sqlx::query(PUT_QUARTIER)
                    .bind(place.id)
                    .bind(place.parent)
                    .bind(&place.nom)
                    .bind(&place.code)
                    .bind(&place.folded)
                    .bind(place.population_estimee)
                    .bind(place.superficie_km2)
                    .execute(&mut *tx)
                    .await?;
            }
        });
        Ok(())
    }

    /// All regions by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn regions(&self) -> Result<Vec<Region>, StoreError> {
        let rows: Vec<RegionRow> =
            read!(self, pool => sqlx::query_as(REGIONS).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(Region::from).collect())
    }

    /// All prefectures by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prefectures(&self) -> Result<Vec<Prefecture>, StoreError> {
        let rows: Vec<PrefectureRow> =
            read!(self, pool => sqlx::query_as(PREFECTURES).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(Prefecture::from).collect())
    }

    /// All communes by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn communes(&self) -> Result<Vec<Commune>, StoreError> {
        let rows: Vec<CommuneRow> =
            read!(self, pool => sqlx::query_as(COMMUNES).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(Commune::from).collect())
    }

    /// All quartiers by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn quartiers(&self) -> Result<Vec<Quartier>, StoreError> {
        let rows: Vec<QuartierRow> =
            read!(self, pool => sqlx::query_as(QUARTIERS).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(Quartier::from).collect())
    }

    /// The quartier with this id, with its commune, prefecture and region.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn quartier(&self, id: i64) -> Result<Option<Quartier>, StoreError> {
        let row: Option<QuartierRow> =
            read!(self, pool => sqlx::query_as(QUARTIER).bind(id).fetch_optional(pool).await)?;
        Ok(row.map(Quartier::from))
    }

    /// The quartiers of this folded name, by id: several communes have one of the same name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn quartiers_by_folded_name(
        &self,
        folded: &str,
    ) -> Result<Vec<Quartier>, StoreError> {
        let rows: Vec<QuartierRow> = read!(self, pool => sqlx::query_as(QUARTIERS_BY_NAME)
            .bind(folded).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(Quartier::from).collect())
    }
}
