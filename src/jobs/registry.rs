//! What this process can do.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{JobContext, JobError, Kind};
use crate::store::Job;

type Working = Pin<Box<dyn Future<Output = Result<(), JobError>> + Send>>;
type Ending = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// A kind and its function.
pub(super) struct Entry {
    pub(super) work: Box<dyn Fn(JobContext) -> Working + Send + Sync>,
    pub(super) gave_up: Option<Box<dyn Fn(Job) -> Ending + Send + Sync>>,
    /// Places for jobs of this kind in this process.
    pub(super) places: Arc<Semaphore>,
}

/// The kinds of job that this process does; it leaves others alone.
#[derive(Default)]
pub struct Registry {
    pub(super) entries: BTreeMap<&'static str, Arc<Entry>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.entries.keys()).finish()
    }
}

impl Registry {
    /// From now on `work` does the jobs of `kind`. It must come to the same when it is done twice.
    pub fn on<W, F>(&mut self, kind: Kind, work: W)
    where
        W: Fn(JobContext) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        let entry = Entry {
            work: Box::new(move |context| Box::pin(work(context))),
            gave_up: None,
            places: Arc::new(Semaphore::new(kind.concurrency.max(1))),
        };
        self.entries.insert(kind.name, Arc::new(entry));
    }

    /// From now on `tell` is called with a job of `kind` (registered before) that is given up, whether it failed or
    /// killed its process too often, before its row says so; its `reason` and `last_error` are set. It may be called
    /// twice. When it fails, the job is tried again.
    pub fn on_giving_up<W, F>(&mut self, kind: Kind, tell: W)
    where
        W: Fn(Job) -> F + Send + Sync + 'static,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let entry = self.entries.get_mut(kind.name).and_then(Arc::get_mut);
        if let Some(entry) = entry {
            entry.gave_up = Some(Box::new(move |job| Box::pin(tell(job))));
        }
    }

    /// The kinds with a free place.
    pub(super) fn free(&self) -> Vec<String> {
        let free = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.places.available_permits() > 0);
        free.map(|(name, _)| (*name).to_owned()).collect()
    }
}
