//! Calls that may be late but not lost: made again while the database is away.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::StoreError;
use crate::base::ErrorKind;

/// How long a refused call waits before the next try, doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a server that stops still tries: its own stop is bounded, and the next start recovers.
const WHILE_STOPPING: Duration = Duration::from_secs(3);

/// Makes `call` until the database takes it, or refuses it for another reason than being away; gives up
/// with that last error some seconds after `stopping`. For tasks beside the media, never for a request.
///
/// # Errors
/// The last try's.
pub(crate) async fn insist<F, Call>(
    stopping: &CancellationToken,
    mut call: F,
) -> Result<(), StoreError>
where
    F: FnMut() -> Call,
    Call: Future<Output = Result<(), StoreError>>,
{
    let given_up = async {
        stopping.cancelled().await;
        tokio::time::sleep(WHILE_STOPPING).await;
    };
    tokio::pin!(given_up);
    let mut pause = FIRST_PAUSE;
    loop {
        let tried = tokio::select! {
            biased;
            tried = call() => tried,
            () = &mut given_up => return Err(StoreError::Unavailable(sqlx::Error::PoolTimedOut)),
        };
        let Err(error) = tried else {
            return Ok(());
        };
        if error.kind() != ErrorKind::Unavailable {
            return Err(error);
        }
        metrics::counter!("griot_store_retries_total").increment(1);
        tracing::warn!(%error, "the database is away; a row waits");
        tokio::select! {
            biased;
            () = &mut given_up => return Err(error),
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn away() -> StoreError {
        StoreError::Unavailable(sqlx::Error::PoolTimedOut)
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_made_until_the_database_is_back() {
        let tries = Cell::new(0);
        let call = || async {
            tries.set(tries.get() + 1);
            if tries.get() < 20 {
                Err(away())
            } else {
                Ok(())
            }
        };
        insist(&CancellationToken::new(), call).await.unwrap();
        assert_eq!(tries.get(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_database_refuses_is_not_asked_again() {
        let tries = Cell::new(0);
        let call = || async {
            tries.set(tries.get() + 1);
            Err(StoreError::NotFound)
        };
        let refused = insist(&CancellationToken::new(), call).await.unwrap_err();
        assert!(matches!(refused, StoreError::NotFound));
        assert_eq!(tries.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_stops_gives_up() {
        let stopping = CancellationToken::new();
        stopping.cancel();
        insist(&stopping, || async { Err(away()) })
            .await
            .unwrap_err();
        // A call that hangs holds nothing up either.
        let hangs = || std::future::pending::<Result<(), StoreError>>();
        insist(&stopping, hangs).await.unwrap_err();
    }
}
