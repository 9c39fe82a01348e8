//! Opening, migrating, closing.

use super::*;

pub(super) async fn opening_tells_each_migration_once(url: &str) {
    let config = Config {
        url: url.to_owned(),
    };
    let mut told = Vec::new();
    let store = Store::open_telling(&config, &mut |step| told.push(step))
        .await
        .unwrap();
    assert_eq!(told[0].version, 1);
    assert_eq!((told[0].step, told[0].steps), (1, told.len()));
    assert_eq!(store.count_users().await.unwrap(), 0);
    store.close().await;

    let mut again = Vec::new();
    let store = Store::open_telling(&config, &mut |step| again.push(step))
        .await
        .unwrap();
    assert_eq!(again, []);
    store.close().await;
}

pub(super) async fn a_closed_store_is_unavailable(url: &str) {
    let store = furnished(url).await;
    store.close().await;
    let error = store.user(AWA).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn an_address_that_is_not_understood_is_told_apart_from_one_that_does_not_answer() {
    let open = async |url: &str| {
        Store::open(&Config {
            url: url.to_owned(),
        })
        .await
        .unwrap_err()
    };
    assert!(matches!(
        open("mysql://localhost/griot").await,
        StoreError::Config(_)
    ));
    assert!(matches!(
        open("sqlite::memory:").await,
        StoreError::Config(_)
    ));
    let nowhere = open("sqlite:no/such/folder/griot.db").await;
    assert_eq!(nowhere.kind(), ErrorKind::Unavailable);
}
