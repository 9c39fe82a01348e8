//! The loader's file, and putting it into the store.

use serde::Deserialize;

use super::fold;
use crate::store::{GeoSeed, SeedPlace, Store, StoreError};

/// Contract §7. Its order gives the ids, which others rely on: append, never insert.
const GUINEA: &str = include_str!("../../fixtures/geo/guinea.json");

#[derive(Deserialize)]
struct Country {
    regions: Vec<Place>,
}

/// A place of any level: only the next lower level's list is filled.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    nom: String,
    code: Option<String>,
    #[serde(default, rename = "type")]
    kind: String,
    population_estimee: Option<i64>,
    superficie_km2: Option<f64>,
    #[serde(default)]
    prefectures: Vec<Place>,
    #[serde(default)]
    communes: Vec<Place>,
    #[serde(default)]
    quartiers: Vec<Place>,
}

/// The places of the loader's file (contract §7), parents before children, ids from 1 in its order.
///
/// # Panics
/// Never: the file is part of the program, and a test reads it.
#[must_use]
pub fn guinea() -> GeoSeed {
    let country: Country = serde_json::from_str(GUINEA).expect("the embedded file is well formed");
    let mut seed = GeoSeed::default();
    for region in country.regions {
        let region_id = add(&mut seed.regions, 0, &region);
        for prefecture in region.prefectures {
            let prefecture_id = add(&mut seed.prefectures, region_id, &prefecture);
            for commune in prefecture.communes {
                let commune_id = add(&mut seed.communes, prefecture_id, &commune);
                for quartier in commune.quartiers {
                    add(&mut seed.quartiers, commune_id, &quartier);
                }
            }
        }
    }
    seed
}

/// Puts the loader's places into the store; at each start, any number of times.
///
/// # Errors
/// As [`Store::seed_places`].
pub async fn seed(store: &Store) -> Result<(), StoreError> {
    store.seed_places(&guinea()).await
}

fn add(level: &mut Vec<SeedPlace>, parent: i64, place: &Place) -> i64 {
    let id = level.last().map_or(1, |last| last.id + 1);
    level.push(SeedPlace {
        id,
        parent,
        nom: place.nom.clone(),
        code: place.code.clone(),
        kind: place.kind.clone(),
        folded: fold(&place.nom),
        population_estimee: place.population_estimee,
        superficie_km2: place.superficie_km2,
    });
    id
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    // Counts, ids and codes: contract §7 and the Post object of §1.4.
    #[test]
    fn the_file_holds_what_the_contract_counts() {
        let seed = guinea();
        assert_eq!(seed.regions.len(), 7);
        assert_eq!(seed.prefectures.len(), 7);
        assert_eq!(seed.communes.len(), 11);
        assert_eq!(seed.quartiers.len(), 77);
        let per_commune: Vec<usize> = seed
            .communes
            .iter()
            .map(|commune| {
                let inside = |quartier: &&SeedPlace| quartier.parent == commune.id;
                seed.quartiers.iter().filter(inside).count()
            })
            .collect();
        assert_eq!(per_commune, [10, 13, 11, 9, 10, 4, 4, 4, 4, 4, 4]);
        let names: HashSet<&str> = seed.quartiers.iter().map(|q| q.nom.as_str()).collect();
        assert_eq!(names.len(), 48);
        assert!(seed.communes.iter().all(|c| c.kind == "commune urbaine"));
    }

    #[test]
    fn almamya_is_the_eleventh_quartier_and_lies_in_kaloum() {
        let seed = guinea();
        let almamya = &seed.quartiers[10];
        assert_eq!((almamya.id, almamya.nom.as_str()), (11, "Almamya"));
        assert_eq!(almamya.code.as_deref(), Some("ALM"));
        let kaloum = &seed.communes[1];
        assert_eq!((kaloum.id, kaloum.nom.as_str()), (2, "Kaloum"));
        assert_eq!(almamya.parent, 2);
        assert_eq!(seed.quartiers[76].nom, "Lola");
    }

    #[test]
    fn no_commune_has_two_quartiers_that_fold_to_one_name() {
        let seed = guinea();
        let keys: HashSet<(i64, &str)> = seed
            .quartiers
            .iter()
            .map(|quartier| (quartier.parent, quartier.folded.as_str()))
            .collect();
        assert_eq!(keys.len(), 77);
    }
}
