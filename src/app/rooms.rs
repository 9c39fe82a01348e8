//! The rooms that every command needs: data folder, rows, members.

use std::path::PathBuf;

use anyhow::Context;

use super::{Config, DataDir, SecretKey, node};
use crate::accounts::Accounts;
use crate::base::{Clock, IdMaker};
use crate::geo;
use crate::jobs::Jobs;
use crate::rendition::Places;
use crate::store::{self, Migrating, Store};

/// Opened together and closed together. Any number of processes may have them open.
#[derive(Clone, Debug)]
pub struct Rooms {
    /// Where everything lies.
    pub folder: DataDir,
    /// The rows.
    pub store: Store,
    /// Members and their keys.
    pub accounts: Accounts,
    /// Work that outlives a request.
    pub jobs: Jobs,
    /// This process's only maker of ids.
    pub ids: IdMaker,
    /// The machine's clock.
    pub clock: Clock,
}

impl Rooms {
    /// Makes what is missing (folder, secret, database), brings the schema and the places to this
    /// program's version, and tells `progress` of each migration before it runs.
    ///
    /// # Errors
    /// What cannot work; the message names the key to change.
    pub async fn open(
        config: &Config,
        progress: &mut (dyn FnMut(Migrating) + Send),
    ) -> anyhow::Result<Self> {
        let folder = DataDir::open_or_create(&config.data_dir)?;
        let secret = SecretKey::resolve(config, &folder)?;
        let store_config = store::Config {
            url: config.database.url_in(&folder),
        };
        let store = Store::open_telling(&store_config, progress)
            .await
            .context(
                "the database cannot be opened; change database.url (GRIOT_DATABASE_URL) or data_dir (GRIOT_DATA_DIR)",
            )?;
        geo::seed(&store)
            .await
            .context("the places of Guinea cannot be written to the database")?;
        let clock = Clock::system();
        let ids = IdMaker::new(clock.clone());
        let accounts = Accounts::new(store.clone(), &secret, clock.clone(), ids.clone())
            .context("secret_key (GRIOT_SECRET_KEY) cannot be used")?;
        let node = node::node(&folder)
            .context("griot.node in the data folder cannot be read or written")?;
        let jobs = Jobs::new(store.clone(), clock.clone(), ids.clone(), node);
        Ok(Self {
            folder,
            store,
            accounts,
            jobs,
            ids,
            clock,
        })
    }

    /// The folder of files of which videos are made.
    #[must_use]
    pub fn originals(&self) -> PathBuf {
        self.folder.join("originals")
    }

    /// Where media grow and end up; folders are made when they are not there, a bucket is not.
    ///
    /// # Errors
    /// A folder cannot be made, or credentials are missing; the message names what to change.
    pub fn places(&self, config: &Config) -> anyhow::Result<Places> {
        let spool = self.folder.join("spool");
        std::fs::create_dir_all(&spool).with_context(|| {
            format!(
                "the spool {} cannot be made; change data_dir (GRIOT_DATA_DIR)",
                spool.display()
            )
        })?;
        let objects = config.objects.open_in(&self.folder)?;
        Ok(Places { spool, objects })
    }

    /// Waits for what runs and closes the database.
    pub async fn close(&self) {
        self.store.close().await;
    }
}
