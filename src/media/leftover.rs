//! An object that no row names any more goes by a job, since its store may be away for a while.

use serde::Deserialize;
use serde_json::json;

use crate::jobs::{JobError, Jobs, Kind, Registry, priority};
use crate::objects::{ObjectKey, Objects};
use crate::store::NewJob;

/// Deletes one object; one that is gone already is deleted.
const FORGET: Kind = Kind {
    name: "object.forget",
    priority: priority::UPKEEP,
    concurrency: 4,
    // With ten minutes between the later ones: a store may be away for a day.
    max_attempts: 150,
};

#[derive(Deserialize)]
struct Task {
    path: String,
}

/// The job that deletes what lies at `path`: to be enqueued with the change of the row that named it.
#[must_use]
pub fn forget_object(jobs: &Jobs, path: &str) -> NewJob {
    jobs.new_job(FORGET, &json!({ "path": path }))
        .once_per(format!("{}:{path}", FORGET.name))
}

/// Says how this process does such jobs.
pub fn forget_objects_by(registry: &mut Registry, objects: Objects) {
    registry.on(FORGET, move |context| {
        let objects = objects.clone();
        async move {
            let Task { path } = context.payload()?;
            let key = ObjectKey::parse(&path).ok_or_else(|| {
                JobError::never("internal", anyhow::anyhow!("`{path}` is no key"))
            })?;
            Ok(objects.delete(&key).await?)
        }
    });
}
