//! The User object: whole for the member alone, without what is private for everybody else (contract §1.1).

use serde_json::{Map, Value, json};

use super::error::Problem;
use super::language::Language;
use super::links::Links;
use super::router::App;
use super::words;
use crate::geo;
use crate::store::{Role, User};

/// What the earlier system showed to every reader, and what is nobody else's business.
const PRIVATE: [&str; 5] = [
    "email",
    "phone_number",
    "date_of_birth",
    "last_login",
    "is_active",
];

/// All 24 keys: for the member alone.
pub(super) async fn whole(app: &App, links: &Links, user: &User) -> Result<Value, Problem> {
    let quartier = match user.quartier_id {
        Some(id) => app.services().store.quartier(id).await?,
        None => None,
    };
    let location = match &quartier {
        Some(quartier) => geo::location_info(quartier),
        // A value and not a message: the same in both languages.
        None => words::NO_LOCATION.say(Language::French).to_owned(),
    };
    Ok(json!({
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "full_name": full_name(user),
        "phone_number": user.phone_number,
        "date_of_birth": user.date_of_birth,
        "bio": user.bio,
        "profile_picture": links.media(user.profile_picture.as_deref()),
        "quartier": user.quartier_id,
        "role": user.role.as_str(),
        "is_verified": user.is_verified,
        "is_geographically_verified": user.is_geographically_verified,
        "location_info": location,
        "is_ambassador": user.role == Role::Ambassador,
        "is_admin": user.role == Role::Admin,
        // Following is outside the contract (§8): the keys stay, the numbers are constant.
        "followers_count": 0,
        "following_count": 0,
        "is_following": false,
        "can_follow": false,
        "date_joined": user.date_joined,
        "last_login": user.last_login,
        "is_active": user.is_active,
    }))
}

/// The 19 keys that anybody who is logged in may see.
pub(super) async fn public(app: &App, links: &Links, user: &User) -> Result<Value, Problem> {
    let mut shown = whole(app, links, user).await?;
    if let Value::Object(keys) = &mut shown {
        keys.retain(|key, _| !PRIVATE.contains(&key.as_str()));
    }
    Ok(shown)
}

/// An entry of the search.
pub(super) fn found(links: &Links, user: &User) -> Map<String, Value> {
    let entry = json!({
        "id": user.id,
        "username": user.username,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "full_name": full_name(user),
        "profile_picture": links.media(user.profile_picture.as_deref()),
        "quartier": user.quartier_id,
        "is_following": false,
        "can_follow": false,
    });
    match entry {
        Value::Object(entry) => entry,
        _ => Map::new(),
    }
}

fn full_name(user: &User) -> String {
    let name = format!("{} {}", user.first_name, user.last_name);
    match name.trim() {
        "" => user.username.clone(),
        name => name.to_owned(),
    }
}
