//! Access and refresh tokens: JWT, HS256 (contract §1.1).

use std::fmt;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::{AccountsError, TokenClass, seal};
use crate::base::{Clock, Secret, Timestamp, UserId, random_hex};

const ACCESS_LIFE: Duration = Duration::from_hours(1);
const REFRESH_LIFE: Duration = Duration::from_hours(7 * 24);

/// The pair that a log-in or a refresh answers with.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Lives an hour.
    pub access: Secret,
    /// Lives seven days; good once.
    pub refresh: Secret,
}

/// What a token says; the names are the contract's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    token_type: String,
    exp: i64,
    iat: i64,
    pub(super) jti: String,
    pub(super) user_id: UserId,
}

/// A pair, and what is to be noted of its refresh token.
pub(super) struct Issued {
    pub(super) tokens: Tokens,
    pub(super) refresh_jti: String,
    pub(super) refresh_expires_at: Timestamp,
}

/// Signs and reads tokens.
pub(super) struct TokenKeys {
    signing: EncodingKey,
    reading: DecodingKey,
    validation: Validation,
    clock: Clock,
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKeys(***)")
    }
}

fn word(class: TokenClass) -> &'static str {
    match class {
        TokenClass::Access => "access",
        TokenClass::Refresh => "refresh",
    }
}

impl TokenKeys {
    pub(super) fn new(secret: &Secret, clock: Clock) -> Result<Self, AccountsError> {
        let key = seal::derive(secret, "griot tokens v1")?;
        // Only HS256: a header that says `none` or another algorithm is refused.
        let mut validation = Validation::new(Algorithm::HS256);
        // The library would ask the system's clock, with a minute of grace; `read` asks ours.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        Ok(Self {
            signing: EncodingKey::from_secret(&key),
            reading: DecodingKey::from_secret(&key),
            validation,
            clock,
        })
    }

    /// A new pair for this member.
    pub(super) fn issue(&self, user: UserId) -> Result<Issued, AccountsError> {
        let now = self.clock.now();
        let (access, _) = self.sign(TokenClass::Access, user, now, now.plus(ACCESS_LIFE))?;
        let refresh_expires_at = now.plus(REFRESH_LIFE);
        let (refresh, refresh_jti) =
            self.sign(TokenClass::Refresh, user, now, refresh_expires_at)?;
        Ok(Issued {
            tokens: Tokens { access, refresh },
            refresh_jti,
            refresh_expires_at,
        })
    }

    fn sign(
        &self,
        class: TokenClass,
        user: UserId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(Secret, String), AccountsError> {
        let claims = Claims {
            token_type: word(class).to_owned(),
            exp: expires_at.unix_seconds(),
            iat: now.unix_seconds(),
            jti: random_hex::<16>(),
            user_id: user,
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
            .map_err(|_| AccountsError::Hashing)?;
        Ok((Secret::new(token), claims.jti))
    }

    /// What a token of this class says, if we signed it and its time is not over.
    pub(super) fn read(&self, class: TokenClass, token: &Secret) -> Result<Claims, AccountsError> {
        let not_valid = |expired| AccountsError::TokenNotValid { class, expired };
        let claims =
            jsonwebtoken::decode::<Claims>(token.expose(), &self.reading, &self.validation)
                .map_err(|_| not_valid(false))?
                .claims;
        if claims.token_type != word(class) {
            return Err(not_valid(false));
        }
        if claims.exp <= self.clock.now().unix_seconds() {
            return Err(not_valid(true));
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_753_267_733_000_000);

    fn keys(secret: &str, clock: &Clock) -> TokenKeys {
        TokenKeys::new(&Secret::new(secret), clock.clone()).unwrap()
    }

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_token_carries_the_contracts_claims_and_lives_its_time() {
        let clock = Clock::manual(NOW);
        let keys = keys(SECRET, &clock);
        let tokens = keys.issue(UserId(2)).unwrap().tokens;
        let access = keys.read(TokenClass::Access, &tokens.access).unwrap();
        let refresh = keys.read(TokenClass::Refresh, &tokens.refresh).unwrap();
        assert_eq!(access.iat, 1_753_267_733);
        assert_eq!(access.exp - access.iat, 3_600);
        assert_eq!(refresh.exp - refresh.iat, 604_800);
        assert_eq!(access.user_id, UserId(2));
        assert_ne!(access.jti, refresh.jti);
        let json = serde_json::to_value(&access).unwrap();
        let mut names: Vec<&String> = json.as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, ["exp", "iat", "jti", "token_type", "user_id"]);
        assert!(json["user_id"].is_i64());

        clock.advance(ACCESS_LIFE - Duration::from_secs(1));
        assert!(keys.read(TokenClass::Access, &tokens.access).is_ok());
        clock.advance(Duration::from_secs(1));
        assert!(matches!(
            keys.read(TokenClass::Access, &tokens.access),
            Err(AccountsError::TokenNotValid {
                class: TokenClass::Access,
                expired: true
            })
        ));
    }

    #[test]
    fn a_refresh_token_is_no_access_token_nor_the_other_way_round() {
        let keys = keys(SECRET, &Clock::manual(NOW));
        let tokens = keys.issue(UserId(2)).unwrap().tokens;
        assert!(keys.read(TokenClass::Access, &tokens.refresh).is_err());
        assert!(keys.read(TokenClass::Refresh, &tokens.access).is_err());
    }

    #[test]
    fn a_foreign_tampered_or_unsigned_token_is_not_valid() {
        let clock = Clock::manual(NOW);
        let keys = keys(SECRET, &clock);
        let foreign = TokenKeys::new(&Secret::new(SECRET.repeat(2)), clock).unwrap();
        let theirs = foreign.issue(UserId(2)).unwrap().tokens.access;
        let ours = keys.issue(UserId(2)).unwrap().tokens.access;
        let (head, signature) = ours.expose().rsplit_once('.').unwrap();
        let payload = head.split_once('.').unwrap().1;
        // `{"alg":"none","typ":"JWT"}` in base64url.
        let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.");
        let swapped = format!(
            "{}.{signature}",
            theirs.expose().rsplit_once('.').unwrap().0
        );
        for token in [theirs.expose(), &unsigned, &swapped, head, "", "a.b.c"] {
            assert!(matches!(
                keys.read(TokenClass::Access, &Secret::new(token)),
                Err(AccountsError::TokenNotValid { expired: false, .. })
            ));
        }
    }
}
