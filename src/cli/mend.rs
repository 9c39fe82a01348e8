//! `griot check --mend`: sets right what can be set right without touching media that a row names.

use anyhow::Context;

use super::check::{Problem, Remedy};
use crate::objects::{Directory, ObjectKey};
use crate::rendition::Places;
use crate::store::{RecordingState, Store};

/// Applies a problem's remedy; says what was done, `None` when there is none.
///
/// # Errors
/// What rows, spool or object store refuse.
pub(super) async fn mend(
    store: &Store,
    places: &Places,
    problem: &Problem,
) -> anyhow::Result<Option<String>> {
    let Some(remedy) = &problem.remedy else {
        return Ok(None);
    };
    let done = match remedy {
        Remedy::RemoveSpooled(path) => {
            remove_from(&places.spool, path)?;
            format!("removed {}", problem.path)
        }
        Remedy::RemoveObject(path) => {
            match (ObjectKey::parse(path), places.objects.directory()) {
                (Some(key), _) => places.objects.delete(&key).await?,
                (None, Some(directory)) => remove_from(directory.root(), path)?,
                // Not ours by its name: whoever put it into the bucket may want it.
                (None, None) => return Ok(None),
            }
            format!("removed {}", problem.path)
        }
        Remedy::RemoveOriginal(path) => {
            std::fs::remove_file(path)?;
            format!("removed {}", problem.path)
        }
        Remedy::Abort(path, upload) => {
            let bucket = places.objects.s3().context("uploads are of a bucket")?;
            bucket.abort_upload(path, upload).await?;
            format!("aborted {}", problem.path)
        }
        Remedy::Finish(recording) => {
            let now = crate::base::Clock::system().now();
            store
                .set_recording_state(*recording, RecordingState::Finishing, now)
                .await?;
            format!("left {} to be made final by the next start", problem.path)
        }
        Remedy::Discard(run) => {
            store.discard_run(*run).await?;
            format!("forgot a run without media, {}", problem.path)
        }
    };
    eprintln!("mended: {done}");
    Ok(Some(done))
}

/// Removes a file and the folders that it leaves empty. Its name may be none of ours.
fn remove_from(root: &std::path::Path, path: &str) -> anyhow::Result<()> {
    match ObjectKey::parse(path) {
        Some(key) => Directory::open(root)?.delete(&key)?,
        None => std::fs::remove_file(root.join(path))?,
    }
    Ok(())
}
