//! What members change of themselves, and what they see of each other (contract §1.1).

use bytes::Bytes;

use super::new_account::{Problems, of_date, of_email, of_phone, of_text, of_username};
use super::{Accounts, AccountsError, FieldProblem};
use crate::base::UserId;
use crate::geo::fold;
use crate::jobs::Jobs;
use crate::media::{Medias, forget_object};
use crate::store::{Page, StoreError, User, UserChange};

/// How often a picture is set anew when another one was faster.
const PICTURE_TRIES: usize = 5;

/// What a member wants changed; `None` leaves a field as it is. Texts are trimmed, the e-mail address is lowered.
#[derive(Clone, Debug, Default)]
pub struct ProfileChange {
    /// As in a new account.
    pub username: Option<String>,
    /// As in a new account.
    pub email: Option<String>,
    /// As in a new account.
    pub first_name: Option<String>,
    /// As in a new account.
    pub last_name: Option<String>,
    /// As in a new account.
    pub phone_number: Option<String>,
    /// `YYYY-MM-DD`; `Some(None)` takes it away.
    pub date_of_birth: Option<Option<String>>,
    /// As in a new account.
    pub bio: Option<String>,
    /// A quartier's id; `Some(None)` takes it away.
    pub quartier_id: Option<Option<i64>>,
}

impl ProfileChange {
    /// Trims, lowers and checks every field that is there; all problems at once.
    fn check(self) -> Result<Self, Problems> {
        let trimmed = |text: Option<String>| text.map(|text| text.trim().to_owned());
        let change = Self {
            username: trimmed(self.username),
            email: trimmed(self.email).map(|email| email.to_lowercase()),
            first_name: trimmed(self.first_name),
            last_name: trimmed(self.last_name),
            phone_number: trimmed(self.phone_number),
            date_of_birth: self
                .date_of_birth
                .map(|date| trimmed(date).filter(|date| !date.is_empty())),
            bio: trimmed(self.bio),
            quartier_id: self.quartier_id,
        };
        let text = |text: &Option<String>, most| text.as_ref().and_then(|text| of_text(text, most));
        let date = change.date_of_birth.as_ref().and_then(Option::as_deref);
        let problems: Problems = [
            ("username", change.username.as_deref().and_then(of_username)),
            ("email", change.email.as_deref().and_then(of_email)),
            ("first_name", text(&change.first_name, 150)),
            ("last_name", text(&change.last_name, 150)),
            (
                "phone_number",
                change.phone_number.as_deref().and_then(of_phone),
            ),
            ("date_of_birth", of_date(date)),
            ("bio", text(&change.bio, 500)),
        ]
        .into_iter()
        .filter_map(|(field, problem)| Some((field, problem?)))
        .collect();
        if problems.is_empty() {
            Ok(change)
        } else {
            Err(problems)
        }
    }
}

/// The text that members are found by.
pub(super) fn search_text(username: &str, first_name: &str, last_name: &str) -> String {
    fold(&format!("{username} {first_name} {last_name}"))
}

/// What `change` makes of the row of `user`.
fn row_of(user: &User, change: ProfileChange) -> UserChange {
    let now_or = |new: &Option<String>, old: &str| new.clone().unwrap_or(old.to_owned());
    UserChange {
        search: search_text(
            &now_or(&change.username, &user.username),
            &now_or(&change.first_name, &user.first_name),
            &now_or(&change.last_name, &user.last_name),
        ),
        username: change.username,
        email: change.email,
        first_name: change.first_name,
        last_name: change.last_name,
        phone_number: change.phone_number,
        date_of_birth: change.date_of_birth,
        bio: change.bio,
        quartier_id: change.quartier_id,
    }
}

/// A refusal of the row, told of its field.
pub(super) fn of_row(error: StoreError) -> AccountsError {
    let refused = |field, problem| AccountsError::Fields(vec![(field, problem)]);
    match error {
        StoreError::Conflict("users.username") => refused("username", FieldProblem::Taken),
        StoreError::Conflict("users.email") => refused("email", FieldProblem::Taken),
        StoreError::NotFound => refused("quartier", FieldProblem::Unknown),
        other => AccountsError::Store(other),
    }
}

impl Accounts {
    /// Changes what `change` names of a member's own row, and the profile picture: `Some(None)` is none from now on,
    /// `None` leaves it as it is. What was shown before is deleted by a job.
    ///
    /// # Errors
    /// `Fields` for whatever the contract refuses, a taken name or address, an unknown quartier; `Picture` when it is
    /// refused or cannot be stored: nothing was changed then. `Store`.
    pub async fn change_profile(
        &self,
        (medias, jobs): (&Medias, &Jobs),
        user: &User,
        change: ProfileChange,
        picture: Option<Option<Bytes>>,
    ) -> Result<User, AccountsError> {
        let change = change.check().map_err(AccountsError::Fields)?;
        let picture = match picture {
            Some(Some(bytes)) => Some(Some(medias.make_portrait(bytes).await?)),
            Some(None) => Some(None),
            None => None,
        };
        let row = row_of(user, change);
        let changed = self.store.change_user(user.id, &row, self.clock.now());
        match (changed.await, picture) {
            (Ok(user), Some(picture)) => self.set_picture(jobs, &user, picture).await,
            (Ok(user), None) => Ok(user),
            (Err(error), picture) => {
                if let Some(path) = picture.flatten() {
                    jobs.enqueue(&forget_object(jobs, &path)).await?;
                }
                Err(of_row(error))
            }
        }
    }

    async fn set_picture(
        &self,
        jobs: &Jobs,
        user: &User,
        new: Option<String>,
    ) -> Result<User, AccountsError> {
        let mut old = user.profile_picture.clone();
        // Somebody may send two at once: the last one stays, and no other is left behind.
        for _ in 0..PICTURE_TRIES {
            let forget = old.as_deref().map(|path| forget_object(jobs, path));
            let now = self.clock.now();
            let (then, from) = (forget.as_ref(), old.as_deref());
            let set = self
                .store
                .set_profile_picture(user.id, from, new.as_deref(), then, now);
            match set.await {
                Err(StoreError::NotFound) => {}
                Ok(user) => {
                    jobs.wake();
                    return Ok(user);
                }
                Err(error) => return Err(error.into()),
            }
            let row = self.store.user(user.id).await?;
            old = row.ok_or(StoreError::NotFound)?.profile_picture;
        }
        if let Some(path) = new {
            jobs.enqueue(&forget_object(jobs, &path)).await?;
        }
        Err(StoreError::NotFound.into())
    }

    /// A member as others may see them; disabled accounts are nobody.
    ///
    /// # Errors
    /// `Store`.
    pub async fn member(&self, id: UserId) -> Result<Option<User>, AccountsError> {
        let user = self.store.user(id).await?;
        Ok(user.filter(|user| user.is_active))
    }

    /// One page of the members whose names hold `text`, whatever its accents and case, or whose e-mail address it is.
    /// An empty text finds all. An address is found as a whole only: by parts, anybody could spell it out.
    ///
    /// # Errors
    /// `Store`.
    pub async fn search(
        &self,
        text: &str,
        page: u32,
        page_size: u32,
    ) -> Result<Page<User>, AccountsError> {
        let folded = fold(text);
        let names = (!folded.is_empty() || text.trim().is_empty()).then_some(folded);
        let email = text.trim().to_lowercase();
        let found = self
            .store
            .search_users(names.as_deref(), &email, page, page_size);
        Ok(found.await?)
    }

    /// How many other members live in the same quartier.
    ///
    /// # Errors
    /// `Store`.
    pub async fn neighbours(&self, user: &User) -> Result<u64, AccountsError> {
        match user.quartier_id {
            Some(quartier) => Ok(self.store.count_neighbours(user.id, quartier).await?),
            None => Ok(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_checked_as_a_new_account_is_and_says_nothing_of_what_it_leaves() {
        let change = ProfileChange {
            username: Some(" awa ".to_owned()),
            email: Some("AWA@Example.org".to_owned()),
            date_of_birth: Some(Some(" ".to_owned())),
            ..ProfileChange::default()
        };
        let change = change.check().unwrap();
        assert_eq!(change.username.as_deref(), Some("awa"));
        assert_eq!(change.email.as_deref(), Some("awa@example.org"));
        assert_eq!((change.date_of_birth, change.bio), (Some(None), None));
        let bad = ProfileChange {
            username: Some(String::new()),
            email: Some("awa".to_owned()),
            phone_number: Some("12".to_owned()),
            date_of_birth: Some(Some("31.01.1990".to_owned())),
            bio: Some("x".repeat(501)),
            ..ProfileChange::default()
        };
        let expected = [
            ("username", FieldProblem::Required),
            ("email", FieldProblem::Malformed),
            ("phone_number", FieldProblem::Malformed),
            ("date_of_birth", FieldProblem::Malformed),
            ("bio", FieldProblem::TooLong(500)),
        ];
        assert_eq!(bad.check().err().unwrap(), expected);
    }
}
