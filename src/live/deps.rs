//! What every live needs from the rest of the house.

use crate::accounts::Accounts;
use crate::base::{Clock, Events, IdMaker, Tasks};
use crate::pipeline::Host;
use crate::rendition::Places;
use crate::store::Store;

use super::Config;

/// Handed to [`super::Lives`] once, by the composition root.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The settings of lives.
    pub config: Config,
    /// The rows.
    pub store: Store,
    /// Whose key is it.
    pub accounts: Accounts,
    /// Where rendition files grow and end up.
    pub places: Places,
    /// What starts children.
    pub host: Host,
    /// The wall clock.
    pub clock: Clock,
    /// Ids of new rows.
    pub ids: IdMaker,
    /// Who hears what happened.
    pub events: Events,
    /// Owner tasks run here; stopping it parks them.
    pub tasks: Tasks,
}
