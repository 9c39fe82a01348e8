//! A quartier in words.

use serde::Serialize;

use crate::store::Quartier;

/// The names from quartier to region (contract §1.2, `full_address`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FullAddress {
    /// Name.
    pub quartier: String,
    /// Name.
    pub commune: String,
    /// Name.
    pub prefecture: String,
    /// Name.
    pub region: String,
    /// The four, joined by `, `.
    pub full_address: String,
}

/// The names from quartier to region.
#[must_use]
pub fn full_address(quartier: &Quartier) -> FullAddress {
    let commune = &quartier.commune;
    let prefecture = &commune.prefecture;
    let names = [
        &quartier.nom,
        &commune.nom,
        &prefecture.nom,
        &prefecture.region.nom,
    ];
    FullAddress {
        quartier: quartier.nom.clone(),
        commune: commune.nom.clone(),
        prefecture: prefecture.nom.clone(),
        region: prefecture.region.nom.clone(),
        full_address: names.map(String::as_str).join(", "),
    }
}

/// `Almamya, Kaloum`: quartier and commune, as the User object has it (contract §1.1).
#[must_use]
pub fn location_info(quartier: &Quartier) -> String {
    format!("{}, {}", quartier.nom, quartier.commune.nom)
}
