//! `griot demo`: a member to try everything with.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

use anyhow::Context;
use serde::Serialize;

use super::output;
use crate::accounts::NewAccount;
use crate::app::{Addresses, Config, DataDir, Rooms};
use crate::base::{Secret, random_hex};
use crate::geo;
use crate::store::User;

const USERNAME: &str = "demo";
const EMAIL: &str = "demo@griot.example";
const QUARTIER: &str = "Almamya";
const PASSWORD_FILE: &str = "demo-password";

/// What one needs to log in as `demo` and to set up an encoder.
#[derive(Debug, Serialize)]
struct Demo {
    email: &'static str,
    password: String,
    page: String,
    rtmp_server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtmps_server: Option<String>,
    stream_key: String,
}

pub(super) async fn demo(config: &Config) -> anyhow::Result<()> {
    let rooms = Rooms::open(config, &mut |_| {}).await?;
    let demo = prepare(&rooms, config).await;
    rooms.close().await;
    output::json(&demo?)
}

async fn prepare(rooms: &Rooms, config: &Config) -> anyhow::Result<Demo> {
    let (user, password) = demo_member(rooms).await?;
    let key = rooms.accounts.stream_key(user.id).await?;
    let addresses = addresses(config, &rooms.folder);
    Ok(Demo {
        email: EMAIL,
        password: password.expose().to_owned(),
        page: addresses.page_url(config),
        rtmp_server: addresses.rtmp_url(config),
        rtmps_server: addresses.rtmps_url(config),
        stream_key: key.expose().to_owned(),
    })
}

/// Where the running server listens, or else where the settings want it.
pub(super) fn addresses(config: &Config, folder: &DataDir) -> Addresses {
    folder
        .note_of_server()
        .and_then(|line| Addresses::parse(&line))
        .unwrap_or_else(|| Addresses::asked_for(config))
}

/// The demo member's stream key; the member is made when it is not there.
pub(super) async fn demo_stream_key(rooms: &Rooms) -> anyhow::Result<Secret> {
    let (user, _) = demo_member(rooms).await?;
    Ok(rooms.accounts.stream_key(user.id).await?)
}

/// The member and the password. A password that somebody has changed by hand is not known here; removing
/// the file sets a new one.
async fn demo_member(rooms: &Rooms) -> anyhow::Result<(User, Secret)> {
    let accounts = &rooms.accounts;
    let kept = kept_password(&rooms.folder)?;
    let password = match &kept {
        Some(password) => password.clone(),
        None => keep_password(&rooms.folder)?,
    };
    if let Some(user) = accounts.find_user(EMAIL).await? {
        if kept.is_none() {
            accounts.set_password(user.id, &password).await?;
        }
        return Ok((user, password));
    }
    let quartier = geo::resolve_quartier(&rooms.store, QUARTIER).await?;
    let user = accounts
        .create_user(NewAccount {
            username: USERNAME.to_owned(),
            email: EMAIL.to_owned(),
            password: Some(password.clone()),
            first_name: "Démo".to_owned(),
            last_name: "Griot".to_owned(),
            quartier_id: Some(quartier.id),
            ..NewAccount::default()
        })
        .await
        .context("the member demo cannot be made")?;
    Ok((user, password))
}

fn kept_password(folder: &DataDir) -> anyhow::Result<Option<Secret>> {
    let path = folder.join(PASSWORD_FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(Secret::new(text.trim()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// Only its hash is in the database, so that it can be shown again it lies here, for its owner alone.
fn keep_password(folder: &DataDir) -> anyhow::Result<Secret> {
    let path = folder.join(PASSWORD_FILE);
    let password = Secret::new(random_hex::<8>());
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| writeln!(file, "{}", password.expose()))
        .with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(password)
}
