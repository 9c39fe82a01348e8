//! Regions, prefectures, communes, quartiers.

use super::*;

pub(super) async fn places_are_seeded_again_without_a_trace(url: &str) {
    let store = open(url).await;
    let mut seed = griot::geo::guinea();
    store.seed_places(&seed).await.unwrap();
    let before = store.quartiers().await.unwrap();
    store.seed_places(&seed).await.unwrap();
    assert_eq!(store.quartiers().await.unwrap(), before);
    assert_eq!(before.len(), 77);
    assert_eq!(store.regions().await.unwrap().len(), 7);
    assert_eq!(store.prefectures().await.unwrap().len(), 7);
    let communes = store.communes().await.unwrap();
    assert_eq!(communes.len(), 11);
    assert_eq!(communes[1].kind, "commune urbaine");
    assert_eq!(communes[1].prefecture.region.nom, "Conakry");

    let almamya = store.quartier(11).await.unwrap().unwrap();
    assert_eq!(almamya, before[10]);
    assert_eq!(
        (almamya.nom.as_str(), almamya.commune.nom.as_str()),
        ("Almamya", "Kaloum")
    );
    assert_eq!(store.quartier(78).await.unwrap(), None);
    let named = store.quartiers_by_folded_name("bambeto").await.unwrap();
    assert_eq!(named.iter().map(|q| q.id).collect::<Vec<_>>(), [12, 24]);

    seed.quartiers[10].population_estimee = Some(12_000);
    seed.quartiers[10].superficie_km2 = Some(1.25);
    store.seed_places(&seed).await.unwrap();
    let almamya = store.quartier(11).await.unwrap().unwrap();
    assert_eq!(almamya.population_estimee, Some(12_000));
    assert_eq!(almamya.superficie_km2, Some(1.25));

    seed.regions[0].nom = "Kaloum".to_owned();
    seed.quartiers[10].parent = 12;
    assert!(is_not_found(&store.seed_places(&seed).await));
    assert_eq!(
        store.regions().await.unwrap()[0].nom,
        "Conakry",
        "all or none"
    );
}
