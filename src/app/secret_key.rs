//! The secret that signs tokens and hides stream keys: from the settings, or made once and kept.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

use anyhow::{Context, bail};

use super::{Config, DataDir};
use crate::base::{Secret, random_hex};

const FILE_NAME: &str = "secret.key";
/// As for a key from the settings.
const CHARACTERS_MIN: usize = 32;

/// Where the secret lies when the settings give none.
#[derive(Clone, Debug)]
pub struct SecretKey(PathBuf);

impl SecretKey {
    /// The kept secret of a data folder.
    #[must_use]
    pub fn of(folder: &DataDir) -> Self {
        Self(folder.join(FILE_NAME))
    }

    /// The secret of the settings, or the kept one, or a new one that is kept from now on (mode 0600).
    ///
    /// # Errors
    /// It cannot be read, made, or is too short; the message names the file and the key.
    pub fn resolve(config: &Config, folder: &DataDir) -> anyhow::Result<Secret> {
        if let Some(secret) = &config.secret_key {
            return Ok(secret.clone());
        }
        let kept = Self::of(folder);
        kept.create_if_missing().with_context(|| {
            format!(
                "the secret {} cannot be made; set GRIOT_SECRET_KEY or change data_dir (GRIOT_DATA_DIR)",
                kept.0.display()
            )
        })?;
        kept.read()
    }

    /// Whether one is kept already, and whether others than its owner may read it.
    ///
    /// # Errors
    /// The file cannot be looked at.
    pub fn kept(&self) -> io::Result<Option<bool>> {
        match std::fs::metadata(&self.0) {
            Ok(metadata) => Ok(Some(metadata.permissions().mode() & 0o077 != 0)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The kept secret.
    ///
    /// # Errors
    /// It cannot be read or is too short to be one.
    pub fn read(&self) -> anyhow::Result<Secret> {
        let path = self.0.display();
        let text = std::fs::read_to_string(&self.0)
            .with_context(|| format!("the secret {path} cannot be read"))?;
        let text = text.trim();
        if text.chars().count() < CHARACTERS_MIN {
            bail!(
                "the secret {path} has fewer than {CHARACTERS_MIN} characters; restore it, set GRIOT_SECRET_KEY, \
                 or remove the file (everybody logs in again and every stream key must be rotated)"
            );
        }
        Ok(Secret::new(text))
    }

    /// Written aside and linked into place, so that two processes that start together agree on one.
    fn create_if_missing(&self) -> io::Result<()> {
        if self.0.exists() {
            return Ok(());
        }
        let aside = self.0.with_extension(random_hex::<8>());
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&aside)?;
        file.write_all(random_hex::<32>().as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        let linked = std::fs::hard_link(&aside, &self.0);
        std::fs::remove_file(&aside)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_secret_is_made_once_for_its_owner_alone() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = DataDir::open_or_create(scratch.path()).unwrap();
        let config = Config::default();
        let first = SecretKey::resolve(&config, &folder).unwrap();
        assert_eq!(first.expose().len(), 64);
        assert_eq!(SecretKey::resolve(&config, &folder).unwrap(), first);
        assert_eq!(SecretKey::of(&folder).kept().unwrap(), Some(false));
        assert_eq!(
            std::fs::read_dir(scratch.path()).unwrap().count(),
            1,
            "nothing is left beside it"
        );
    }

    #[test]
    fn the_settings_win_over_the_kept_secret() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = DataDir::open_or_create(scratch.path()).unwrap();
        let given = Secret::new("0123456789abcdef0123456789abcdef");
        let config = Config {
            secret_key: Some(given.clone()),
            ..Config::default()
        };
        assert_eq!(SecretKey::resolve(&config, &folder).unwrap(), given);
        assert_eq!(SecretKey::of(&folder).kept().unwrap(), None);
    }

    #[test]
    fn a_kept_secret_that_was_cut_short_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = DataDir::open_or_create(scratch.path()).unwrap();
        std::fs::write(folder.join(FILE_NAME), "0123").unwrap();
        let error = SecretKey::resolve(&Config::default(), &folder).unwrap_err();
        assert!(error.to_string().contains("fewer than 32"), "{error}");
    }
}
