//! A new account and the contract's rules for its fields (§1.1).

use time::macros::format_description;

use super::FieldProblem;
use crate::base::Secret;
use crate::store::Role;

/// What a new account is made from. Texts are trimmed, the e-mail address is lowered.
#[derive(Clone, Debug, Default)]
pub struct NewAccount {
    /// Required, unique, ≤ 150 characters: letters, digits, `@.+-_`.
    pub username: String,
    /// Required, unique, ≤ 254 characters.
    pub email: String,
    /// Required, ≥ 8 characters.
    pub password: Option<Secret>,
    /// ≤ 150 characters.
    pub first_name: String,
    /// ≤ 150 characters.
    pub last_name: String,
    /// `^\+?1?\d{9,15}$`, ≤ 17 characters, or empty.
    pub phone_number: String,
    /// `YYYY-MM-DD`.
    pub date_of_birth: Option<String>,
    /// ≤ 500 characters.
    pub bio: String,
    /// A quartier's id.
    pub quartier_id: Option<i64>,
    /// `None` is `Role::User`. Never taken from a client's own registration.
    pub role: Option<Role>,
}

/// A new account that the rules let pass, and its password.
pub(super) struct Checked {
    pub(super) account: NewAccount,
    pub(super) password: Secret,
}

/// Field names as the contract's clients read them.
pub(super) type Problems = Vec<(&'static str, FieldProblem)>;

impl NewAccount {
    /// Trims, lowers and checks every field; all problems at once.
    pub(super) fn check(mut self) -> Result<Checked, Problems> {
        for text in [
            &mut self.username,
            &mut self.email,
            &mut self.first_name,
            &mut self.last_name,
            &mut self.phone_number,
            &mut self.bio,
        ] {
            *text = text.trim().to_owned();
        }
        self.email = self.email.to_lowercase();
        self.date_of_birth = self.date_of_birth.filter(|date| !date.trim().is_empty());

        let mut problems = Problems::new();
        let mut note = |field, problem: Option<FieldProblem>| {
            problems.extend(problem.map(|problem| (field, problem)));
        };
        note("username", of_username(&self.username));
        note("email", of_email(&self.email));
        let password = self.password.take();
        note("password", of_password(password.as_ref()));
        note("first_name", of_text(&self.first_name, 150));
        note("last_name", of_text(&self.last_name, 150));
        note("phone_number", of_phone(&self.phone_number));
        note("date_of_birth", of_date(self.date_of_birth.as_deref()));
        note("bio", of_text(&self.bio, 500));
        match password {
            Some(password) if problems.is_empty() => Ok(Checked {
                account: self,
                password,
            }),
            _ => Err(problems),
        }
    }
}

pub(super) fn of_username(username: &str) -> Option<FieldProblem> {
    let allowed = |c: char| c.is_alphanumeric() || "@.+-_".contains(c);
    required(username)
        .or_else(|| of_text(username, 150))
        .or_else(|| malformed_unless(username.chars().all(allowed)))
}

/// Something before one `@`, and behind it words with points between: what a mail server may take.
pub(super) fn of_email(email: &str) -> Option<FieldProblem> {
    let plausible = email.split_once('@').is_some_and(|(local, domain)| {
        let label = |label: &str| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        };
        !local.is_empty()
            && local.chars().count() <= 64
            && !local.contains(|c: char| {
                c.is_whitespace() || c.is_control() || "<>()\",;:\\".contains(c)
            })
            && domain.contains('.')
            && domain.split('.').all(label)
    });
    required(email)
        .or_else(|| of_text(email, 254))
        .or_else(|| malformed_unless(plausible))
}

pub(super) fn of_password(password: Option<&Secret>) -> Option<FieldProblem> {
    let password = password.map_or("", Secret::expose);
    required(password)
        .or_else(|| (password.chars().count() < 8).then_some(FieldProblem::TooShort(8)))
}

pub(super) fn of_phone(phone: &str) -> Option<FieldProblem> {
    if phone.is_empty() {
        return None;
    }
    let digits = phone.strip_prefix('+').unwrap_or(phone);
    // `1?\d{9,15}`: sixteen digits only when the first is 1.
    let length_fits =
        (9..=15).contains(&digits.len()) || digits.len() == 16 && digits.starts_with('1');
    of_text(phone, 17)
        .or_else(|| malformed_unless(length_fits && digits.bytes().all(|b| b.is_ascii_digit())))
}

pub(super) fn of_date(date: Option<&str>) -> Option<FieldProblem> {
    let format = format_description!("[year]-[month]-[day]");
    date.and_then(|date| malformed_unless(time::Date::parse(date, format).is_ok()))
}

/// PostgreSQL takes no NUL in a text.
pub(super) fn of_text(text: &str, most: usize) -> Option<FieldProblem> {
    if text.chars().count() > most {
        return Some(FieldProblem::TooLong(most));
    }
    malformed_unless(!text.contains('\0'))
}

fn required(text: &str) -> Option<FieldProblem> {
    text.is_empty().then_some(FieldProblem::Required)
}

fn malformed_unless(fits: bool) -> Option<FieldProblem> {
    (!fits).then_some(FieldProblem::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mariam() -> NewAccount {
        NewAccount {
            username: " mariam_diallo ".to_owned(),
            email: "Mariam@Example.org".to_owned(),
            password: Some(Secret::new("12345678")),
            ..NewAccount::default()
        }
    }

    #[test]
    fn a_good_account_is_trimmed_and_its_address_lowered() {
        let checked = mariam().check().ok().unwrap();
        assert_eq!(checked.account.username, "mariam_diallo");
        assert_eq!(checked.account.email, "mariam@example.org");
        assert_eq!(checked.password.expose(), "12345678");
    }

    #[test]
    fn all_problems_are_told_at_once_by_the_contracts_names() {
        let bad = NewAccount {
            username: "a b".to_owned(),
            email: String::new(),
            password: Some(Secret::new("1234567")),
            first_name: "x".repeat(151),
            last_name: "nul\0".to_owned(),
            phone_number: "12".to_owned(),
            date_of_birth: Some("2025-02-30".to_owned()),
            bio: "é".repeat(501),
            ..NewAccount::default()
        };
        assert_eq!(
            bad.check().err().unwrap(),
            [
                ("username", FieldProblem::Malformed),
                ("email", FieldProblem::Required),
                ("password", FieldProblem::TooShort(8)),
                ("first_name", FieldProblem::TooLong(150)),
                ("last_name", FieldProblem::Malformed),
                ("phone_number", FieldProblem::Malformed),
                ("date_of_birth", FieldProblem::Malformed),
                ("bio", FieldProblem::TooLong(500)),
            ]
        );
    }

    #[test]
    fn addresses_are_told_from_what_is_none() {
        for good in ["a@b.org", "a.b+c@mail.example.co", "é@exemple.org"] {
            assert_eq!(of_email(good), None, "{good}");
        }
        for bad in [
            "a",
            "a@b",
            "@b.org",
            "a@b..org",
            "a@@b.org",
            "a b@c.org",
            "a@-b.org",
            "a@b.org ",
        ] {
            assert_eq!(of_email(bad), Some(FieldProblem::Malformed), "{bad}");
        }
    }

    // Contract §1.1: `^\+?1?\d{9,15}$`, at most 17 characters.
    #[test]
    fn telephone_numbers_follow_the_contracts_pattern() {
        for good in [
            "",
            "+224620000000",
            "123456789",
            "1123456789012345",
            "+1123456789012345",
        ] {
            assert_eq!(of_phone(good), None, "{good}");
        }
        for bad in [
            "12345678",
            "2123456789012345",
            "+22462000000a",
            "++224620000000",
        ] {
            assert_eq!(of_phone(bad), Some(FieldProblem::Malformed), "{bad}");
        }
    }
}
