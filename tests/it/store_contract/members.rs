//! Members, their stream keys and refresh tokens.

use super::*;

pub(super) async fn users_are_found_by_id_address_and_name(url: &str) {
    let store = furnished(url).await;
    let awa = store.user(AWA).await.unwrap().unwrap();
    assert_eq!(awa.id, AWA);
    assert_eq!(awa.username, "awa");
    assert_eq!(awa.password_hash.expose(), "$argon2id$…");
    assert_eq!(awa.first_name, "Hélène");
    assert_eq!(awa.last_name, "O'Brien; drop table users");
    assert_eq!(awa.date_of_birth.as_deref(), Some("1990-01-31"));
    assert_eq!(awa.bio, "🎙");
    assert_eq!(awa.quartier_id, Some(ALMAMYA));
    assert_eq!(awa.role, Role::Ambassador);
    assert!(awa.is_active && !awa.is_verified && !awa.is_geographically_verified);
    assert_eq!((awa.date_joined, awa.last_login), (AT, None));
    assert_eq!(awa.profile_picture, None);

    let by_email = store.user_by_email("awa@example.org").await.unwrap();
    assert_eq!(by_email.as_ref(), Some(&awa));
    let by_name = store.user_by_username("awa").await.unwrap();
    assert_eq!(by_name.as_ref(), Some(&awa));
    assert_eq!(store.user(UserId(3)).await.unwrap(), None);
    assert_eq!(store.user_by_email("awa").await.unwrap(), None);
    assert_eq!(store.user_by_username("aw_").await.unwrap(), None);
    let ids: Vec<UserId> = store.users().await.unwrap().iter().map(|u| u.id).collect();
    assert_eq!(ids, [BINTA, AWA]);
    assert_eq!(store.count_users().await.unwrap(), 2);

    let mut taken = new_user(UserId(3), "awa");
    let conflict = store.create_user(&taken).await.unwrap_err();
    assert_eq!(conflict.kind(), ErrorKind::Conflict);
    taken.email = "other@example.org".to_owned();
    let conflict = store.create_user(&taken).await.unwrap_err();
    assert!(matches!(conflict, StoreError::Conflict("users.username")));
    taken.username = "other".to_owned();
    taken.email = "awa@example.org".to_owned();
    let conflict = store.create_user(&taken).await.unwrap_err();
    assert!(matches!(conflict, StoreError::Conflict("users.email")));
    taken.email = "other@example.org".to_owned();
    taken.quartier_id = Some(78);
    assert!(is_not_found(&store.create_user(&taken).await));
    assert_eq!(store.count_users().await.unwrap(), 2);
}

pub(super) async fn users_change(url: &str) {
    let store = furnished(url).await;
    let hash = Secret::new("new");
    store.set_password_hash(AWA, &hash, LATER).await.unwrap();
    store.set_role(AWA, Role::Admin, LATER).await.unwrap();
    store.set_active(AWA, false, LATER).await.unwrap();
    store.set_quartier(AWA, None, LATER).await.unwrap();
    store.set_last_login(AWA, LATER).await.unwrap();
    let awa = store.user(AWA).await.unwrap().unwrap();
    assert_eq!(awa.password_hash, hash);
    assert_eq!(awa.role, Role::Admin);
    assert!(!awa.is_active);
    assert_eq!(awa.quartier_id, None);
    assert_eq!((awa.last_login, awa.updated_at), (Some(LATER), LATER));
    let binta = store.user(BINTA).await.unwrap().unwrap();
    assert_eq!((binta.role, binta.updated_at), (Role::Ambassador, AT));

    let nobody = UserId(3);
    assert!(is_not_found(
        &store.set_password_hash(nobody, &hash, AT).await
    ));
    assert!(is_not_found(&store.set_role(nobody, Role::User, AT).await));
    assert!(is_not_found(&store.set_active(nobody, true, AT).await));
    assert!(is_not_found(&store.set_quartier(nobody, None, AT).await));
    assert!(is_not_found(&store.set_quartier(AWA, Some(78), AT).await));
    assert!(is_not_found(&store.set_last_login(nobody, AT).await));
}

pub(super) async fn a_profile_changes_in_part_and_members_are_found(url: &str) {
    let store = furnished(url).await;
    let before = store.user(AWA).await.unwrap().unwrap();
    let change = UserChange {
        username: Some("awa_2".to_owned()),
        date_of_birth: Some(None),
        search: "awa 2 helene".to_owned(),
        ..UserChange::default()
    };
    let after = store.change_user(AWA, &change, LATER).await.unwrap();
    let mut expected = before.clone();
    expected.username = "awa_2".to_owned();
    expected.date_of_birth = None;
    expected.updated_at = LATER;
    assert_eq!(after, expected);
    assert_eq!(store.user(AWA).await.unwrap(), Some(expected));
    let change = UserChange {
        email: Some("a@example.org".to_owned()),
        first_name: Some("A".to_owned()),
        last_name: Some("B".to_owned()),
        phone_number: Some(String::new()),
        date_of_birth: Some(Some("2000-02-29".to_owned())),
        bio: Some("C".to_owned()),
        quartier_id: Some(None),
        search: "awa 2 a b".to_owned(),
        ..UserChange::default()
    };
    let after = store.change_user(AWA, &change, LATER).await.unwrap();
    assert_eq!(
        (after.username.as_str(), after.email.as_str()),
        ("awa_2", "a@example.org")
    );
    assert_eq!(
        (after.first_name.as_str(), after.last_name.as_str()),
        ("A", "B")
    );
    assert_eq!((after.phone_number.as_str(), after.bio.as_str()), ("", "C"));
    assert_eq!(
        (after.date_of_birth.as_deref(), after.quartier_id),
        (Some("2000-02-29"), None)
    );
    for (column, taken) in [
        (
            "users.username",
            UserChange {
                username: Some("binta".to_owned()),
                ..UserChange::default()
            },
        ),
        (
            "users.email",
            UserChange {
                email: Some("binta@example.org".to_owned()),
                ..UserChange::default()
            },
        ),
    ] {
        let refused = store.change_user(AWA, &taken, LATER).await;
        assert!(
            matches!(refused, Err(StoreError::Conflict(name)) if name == column),
            "{refused:?}"
        );
    }
    let nowhere = UserChange {
        quartier_id: Some(Some(78)),
        ..UserChange::default()
    };
    assert!(is_not_found(&store.change_user(AWA, &nowhere, LATER).await));
    assert!(is_not_found(
        &store.change_user(UserId(3), &change, LATER).await
    ));

    let found = async |names: Option<&str>, email: &str, page, size| {
        let found = store.search_users(names, email, page, size).await.unwrap();
        (
            found.rows.iter().map(|user| user.id).collect::<Vec<_>>(),
            found.total,
        )
    };
    assert_eq!(found(Some("2 a"), "", 1, 10).await, (vec![AWA], 1));
    assert_eq!(found(None, "a@example.org", 1, 10).await, (vec![AWA], 1));
    assert_eq!(found(None, "example", 1, 10).await, (Vec::new(), 0));
    assert_eq!(found(Some(""), "", 1, 1).await, (vec![BINTA], 2));
    assert_eq!(found(Some(""), "", 2, 1).await, (vec![AWA], 2));
    assert_eq!(store.count_neighbours(AWA, ALMAMYA).await.unwrap(), 1);
    assert_eq!(store.count_neighbours(BINTA, ALMAMYA).await.unwrap(), 0);
    store.set_active(BINTA, false, LATER).await.unwrap();
    assert_eq!(store.count_neighbours(AWA, ALMAMYA).await.unwrap(), 0);
    assert_eq!(found(Some(""), "", 1, 10).await, (vec![AWA], 1));
}

pub(super) async fn a_picture_is_replaced_with_a_job_or_not_at_all(url: &str) {
    let store = furnished(url).await;
    let forget = super::jobs::new_job(1, "object.forget");
    let set = async |old, new, then| store.set_profile_picture(AWA, old, new, then, LATER).await;
    assert_eq!(store.portrait_since("p/1.jpg").await.unwrap(), None);
    let row = set(None, Some("p/1.jpg"), None).await.unwrap();
    assert_eq!(row.profile_picture.as_deref(), Some("p/1.jpg"));
    assert_eq!(store.portrait_since("p/1.jpg").await.unwrap(), Some(LATER));
    for wrong in [None, Some("p/2.jpg")] {
        let refused = set(wrong, Some("p/3.jpg"), Some(&forget)).await;
        assert!(is_not_found(&refused), "{wrong:?}");
    }
    assert_eq!(store.job(forget.id).await.unwrap(), None);
    let row = set(Some("p/1.jpg"), None, Some(&forget)).await.unwrap();
    assert_eq!(row.profile_picture, None);
    assert_eq!(store.portrait_since("p/1.jpg").await.unwrap(), None);
    assert!(store.job(forget.id).await.unwrap().is_some());
}

pub(super) async fn a_stream_key_belongs_to_one_member_and_replaces_the_last(url: &str) {
    let store = furnished(url).await;
    let key = |user_id, hmac: u8| StreamKey {
        user_id,
        key_hmac: vec![hmac; 32],
        key_encrypted: vec![0, hmac],
        created_at: AT,
    };
    assert_eq!(store.stream_key(AWA).await.unwrap(), None);
    let first = store.put_first_stream_key(&key(AWA, 1)).await.unwrap();
    assert_eq!(first, key(AWA, 1));
    let kept = store.put_first_stream_key(&key(AWA, 2)).await.unwrap();
    assert_eq!(kept, key(AWA, 1));
    assert_eq!(store.user_by_stream_key(&[2; 32]).await.unwrap(), None);

    store.put_stream_key(&key(AWA, 3)).await.unwrap();
    assert_eq!(store.stream_key(AWA).await.unwrap(), Some(key(AWA, 3)));
    assert_eq!(store.user_by_stream_key(&[1; 32]).await.unwrap(), None);
    let owner = store.user_by_stream_key(&[3; 32]).await.unwrap();
    assert_eq!(owner.map(|user| user.username), Some("awa".to_owned()));

    let taken = store.put_stream_key(&key(BINTA, 3)).await.unwrap_err();
    assert!(matches!(
        taken,
        StoreError::Conflict("stream_keys.key_hmac")
    ));
    assert!(is_not_found(
        &store.put_stream_key(&key(UserId(3), 4)).await
    ));
}

pub(super) async fn a_refresh_token_is_taken_once(url: &str) {
    let store = furnished(url).await;
    let token = |jti: &str, user_id, expires_at| RefreshToken {
        jti: jti.to_owned(),
        user_id,
        expires_at: Timestamp(expires_at),
    };
    let now = Timestamp(100);
    for saved in [
        token("a", AWA, 200),
        token("late", AWA, 100),
        token("b", AWA, 200),
    ] {
        store.save_refresh_token(&saved).await.unwrap();
    }
    let taken = store.save_refresh_token(&token("a", AWA, 1)).await;
    assert!(matches!(
        taken,
        Err(StoreError::Conflict("refresh_tokens.jti"))
    ));
    let nobodys = store.save_refresh_token(&token("x", UserId(3), 1)).await;
    assert!(is_not_found(&nobodys));

    let rotate = async |old: &str, new: &RefreshToken| {
        store.rotate_refresh_token(old, new, now).await.unwrap()
    };
    assert!(!rotate("a", &token("a1", BINTA, 300)).await, "another's");
    assert!(!rotate("late", &token("a1", AWA, 300)).await, "expired");
    assert!(!rotate("unknown", &token("a1", AWA, 300)).await);
    assert!(rotate("a", &token("a1", AWA, 300)).await);
    assert!(!rotate("a", &token("a2", AWA, 300)).await, "taken already");
    // The new token's name is taken: nothing happens to the old one.
    let clash = store
        .rotate_refresh_token("a1", &token("b", AWA, 300), now)
        .await;
    assert!(matches!(clash, Err(StoreError::Conflict(_))));
    assert!(rotate("a1", &token("a3", AWA, 300)).await);

    store.revoke_refresh_token("b", BINTA, now).await.unwrap();
    assert!(
        rotate("b", &token("b1", AWA, 300)).await,
        "not Binta's to revoke"
    );
    store.revoke_refresh_token("b1", AWA, now).await.unwrap();
    assert!(!rotate("b1", &token("b2", AWA, 300)).await);
    store.revoke_refresh_tokens(AWA, now).await.unwrap();
    assert!(!rotate("a3", &token("a4", AWA, 300)).await);
    // late 100, a 200, b 200; a1, a3 and b1 live until 300.
    assert_eq!(store.purge_refresh_tokens(Timestamp(200)).await.unwrap(), 3);
    assert_eq!(store.purge_refresh_tokens(Timestamp(200)).await.unwrap(), 0);
}
