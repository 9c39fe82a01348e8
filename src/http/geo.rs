//! Regions, prefectures, communes and quartiers, read only (contract §1.2).

use axum::extract::{Path, State};
use axum::http::Uri;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};

use super::error::Problem;
use super::links::Links;
use super::pages::Page;
use super::router::App;
use crate::geo::{self, FullAddress};
use crate::store::{Commune, Prefecture, Quartier, Region};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/api/geography/regions", get(regions))
        .route("/api/geography/regions/{id}", get(region))
        .route(
            "/api/geography/regions/{id}/prefectures",
            get(prefectures_of),
        )
        .route("/api/geography/prefectures", get(prefectures))
        .route("/api/geography/prefectures/{id}", get(prefecture))
        .route("/api/geography/prefectures/{id}/communes", get(communes_of))
        .route("/api/geography/communes", get(communes))
        .route("/api/geography/communes/{id}", get(commune))
        .route("/api/geography/communes/{id}/quartiers", get(quartiers_of))
        .route("/api/geography/quartiers", get(quartiers))
        .route("/api/geography/quartiers/{id}", get(quartier))
        .route(
            "/api/geography/quartiers/{id}/full_address",
            get(full_address),
        )
        .route("/api/users/geographic-data", get(everything))
}

type Answer = Result<Json<Value>, Problem>;

/// One page of a table that is read whole: a hundred rows.
fn listed<T: Serialize>(links: &Links, uri: &Uri, all: &[T]) -> Answer {
    Ok(Json(Page::of(uri)?.cut(links.base(), uri, all)?))
}

/// The one with this id among all.
fn one<T>(all: Vec<T>, id: &str, id_of: impl Fn(&T) -> i64) -> Result<T, Problem> {
    // What is no number names nothing.
    let id: i64 = id.parse().map_err(|_| Problem::not_found())?;
    all.into_iter()
        .find(|place| id_of(place) == id)
        .ok_or_else(Problem::not_found)
}

async fn regions(State(app): State<App>, links: Links, uri: Uri) -> Answer {
    listed(&links, &uri, &app.services().store.regions().await?)
}

async fn region(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Region>, Problem> {
    let all = app.services().store.regions().await?;
    one(all, &id, |region| region.id).map(Json)
}

async fn prefectures_of(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Vec<Prefecture>>, Problem> {
    let store = &app.services().store;
    let region = one(store.regions().await?, &id, |region| region.id)?;
    let mut all = store.prefectures().await?;
    all.retain(|prefecture| prefecture.region.id == region.id);
    Ok(Json(all))
}

async fn prefectures(State(app): State<App>, links: Links, uri: Uri) -> Answer {
    listed(&links, &uri, &app.services().store.prefectures().await?)
}

async fn prefecture(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Prefecture>, Problem> {
    let all = app.services().store.prefectures().await?;
    one(all, &id, |prefecture| prefecture.id).map(Json)
}

async fn communes_of(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Vec<Commune>>, Problem> {
    let store = &app.services().store;
    let prefecture = one(store.prefectures().await?, &id, |prefecture| prefecture.id)?;
    let mut all = store.communes().await?;
    all.retain(|commune| commune.prefecture.id == prefecture.id);
    Ok(Json(all))
}

async fn communes(State(app): State<App>, links: Links, uri: Uri) -> Answer {
    listed(&links, &uri, &app.services().store.communes().await?)
}

async fn commune(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Commune>, Problem> {
    let all = app.services().store.communes().await?;
    one(all, &id, |commune| commune.id).map(Json)
}

async fn quartiers_of(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Vec<Quartier>>, Problem> {
    let store = &app.services().store;
    let commune = one(store.communes().await?, &id, |commune| commune.id)?;
    let mut all = store.quartiers().await?;
    all.retain(|quartier| quartier.commune.id == commune.id);
    Ok(Json(all))
}

async fn quartiers(State(app): State<App>, links: Links, uri: Uri) -> Answer {
    listed(&links, &uri, &app.services().store.quartiers().await?)
}

async fn quartier(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Quartier>, Problem> {
    let all = app.services().store.quartiers().await?;
    one(all, &id, |quartier| quartier.id).map(Json)
}

async fn full_address(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<FullAddress>, Problem> {
    let all = app.services().store.quartiers().await?;
    let quartier = one(all, &id, |quartier| quartier.id)?;
    Ok(Json(geo::full_address(&quartier)))
}

/// The whole tree, and the quartiers once more as a flat list with names.
async fn everything(State(app): State<App>) -> Answer {
    let store = &app.services().store;
    let (regions, prefectures) = (store.regions().await?, store.prefectures().await?);
    let (communes, quartiers) = (store.communes().await?, store.quartiers().await?);
    let tree: Vec<Value> = regions
        .iter()
        .map(|region| {
            let within = prefectures.iter().filter(|it| it.region.id == region.id);
            let prefectures: Vec<Value> = within
                .map(|prefecture| {
                    let within = communes
                        .iter()
                        .filter(|it| it.prefecture.id == prefecture.id);
                    let communes: Vec<Value> = within
                        .map(|commune| branch_of_quartiers(commune, &quartiers))
                        .collect();
                    json!({
                        "id": prefecture.id, "nom": prefecture.nom, "code": prefecture.code,
                        "communes": communes,
                    })
                })
                .collect();
            json!({
                "id": region.id, "nom": region.nom, "code": region.code, "prefectures": prefectures,
            })
        })
        .collect();
    let flat: Vec<Value> = quartiers
        .iter()
        .map(|quartier| {
            let commune = &quartier.commune;
            json!({
                "id": quartier.id, "nom": quartier.nom, "code": quartier.code,
                "commune": commune.nom,
                "prefecture": commune.prefecture.nom,
                "region": commune.prefecture.region.nom,
                "population_estimee": quartier.population_estimee,
                "superficie_km2": quartier.superficie_km2,
            })
        })
        .collect();
    Ok(Json(json!({"regions": tree, "quartiers": flat})))
}

fn branch_of_quartiers(commune: &Commune, quartiers: &[Quartier]) -> Value {
    let quartiers: Vec<Value> = quartiers
        .iter()
        .filter(|quartier| quartier.commune.id == commune.id)
        .map(|quartier| {
            json!({
                "id": quartier.id, "nom": quartier.nom, "code": quartier.code,
                "population_estimee": quartier.population_estimee,
                "superficie_km2": quartier.superficie_km2,
            })
        })
        .collect();
    json!({
        "id": commune.id, "nom": commune.nom, "type": commune.kind, "code": commune.code,
        "quartiers": quartiers,
    })
}
