//! Access tokens: JWT signed with HS256, good for 24 hours or until the user logs out.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use shared::domain::{UserId, UtcTimestamp};

/// How long a token is good.
pub const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who.
    pub sub: UserId,
    /// The user's token epoch when it was made; a logout raises the epoch.
    pub epoch: i32,
    /// When it was made, in seconds since 1970.
    pub iat: i64,
    /// When it ends, in seconds since 1970.
    pub exp: i64,
}

impl Claims {
    /// Those of a token of this user that ends at `ends_at`.
    pub fn until(user: UserId, epoch: i32, now: UtcTimestamp, ends_at: UtcTimestamp) -> Self {
        Self {
            sub: user,
            epoch,
            iat: seconds(now),
            exp: seconds(ends_at),
        }
    }

    /// When the token ends.
    pub fn ends_at(&self) -> UtcTimestamp {
        DateTime::from_timestamp(self.exp, 0).map_or_else(
            || UtcTimestamp::from_naive_utc(NaiveDateTime::MAX),
            UtcTimestamp::from,
        )
    }
}

/// A token that is not good: forged, over its time, or not a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid token")]
pub struct InvalidToken;

/// Makes and reads tokens.
#[derive(Clone)]
pub struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl Tokens {
    /// With this secret.
    pub fn new(secret: &SecretString) -> Self {
        let secret = secret.expose_secret().as_bytes();
        // Whatever algorithm a token's header names, this one is used; `none` does not exist here.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["sub", "exp"]);
        // Compared below with the clock that all else is compared with.
        validation.validate_exp = false;
        Self {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            validation,
        }
    }

    /// A token for `user`.
    ///
    /// # Errors
    /// Never in practice: the claims can always be written and the key always signs.
    pub fn issue(
        &self,
        user: &UserId,
        epoch: i32,
        now: UtcTimestamp,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let claims = Claims::until(user.clone(), epoch, now, now.after(LIFETIME));
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
    }

    /// What a token says, if it is genuine and its time is not over.
    ///
    /// # Errors
    /// [`InvalidToken`], without a reason: whoever holds a bad token need not know why it is bad.
    pub fn read(&self, token: &str, now: UtcTimestamp) -> Result<Claims, InvalidToken> {
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation)
            .map_err(|_| InvalidToken)?;
        if seconds(now) < decoded.claims.exp {
            Ok(decoded.claims)
        } else {
            Err(InvalidToken)
        }
    }
}

fn seconds(moment: UtcTimestamp) -> i64 {
    moment.to_datetime().timestamp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> UtcTimestamp {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap().into()
    }

    fn tokens(secret: &str) -> Tokens {
        Tokens::new(&secret.into())
    }

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_token_reads_back_until_its_last_second() {
        let user = UserId::generate();
        let token = tokens(SECRET).issue(&user, 3, now()).unwrap();
        let last = now().after(LIFETIME - Duration::from_secs(1));
        let claims = tokens(SECRET).read(&token, last).unwrap();
        assert_eq!((claims.sub, claims.epoch), (user, 3));
        assert_eq!(
            tokens(SECRET).read(&token, now().after(LIFETIME)),
            Err(InvalidToken)
        );
    }

    #[test]
    fn a_token_signed_otherwise_is_not_read() {
        let claims = Claims {
            sub: UserId::generate(),
            epoch: 0,
            iat: seconds(now()),
            exp: seconds(now().after(LIFETIME)),
        };
        let key = |secret: &str| EncodingKey::from_secret(secret.as_bytes());
        let signed = |algorithm, secret: &str| {
            jsonwebtoken::encode(&Header::new(algorithm), &claims, &key(secret)).unwrap()
        };
        let genuine = signed(Algorithm::HS256, SECRET);
        assert!(tokens(SECRET).read(&genuine, now()).is_ok());

        let (_, rest) = genuine.split_once('.').unwrap();
        let (payload, signature) = rest.split_once('.').unwrap();
        // {"alg":"none","typ":"JWT"} and {"alg":"None"} in base64url.
        let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
        let none_capital = "eyJhbGciOiJOb25lIn0";
        let other_payload = signed(Algorithm::HS256, "another secret of more than 32 bytes!");
        let other_payload = other_payload.split('.').nth(1).unwrap().replace('a', "b");
        for forged in [
            signed(Algorithm::HS256, "another secret of more than 32 bytes!"),
            signed(Algorithm::HS512, SECRET),
            format!("{none}.{payload}."),
            format!("{none}.{payload}.{signature}"),
            format!("{none_capital}.{payload}."),
            format!(
                "{}.{other_payload}.{signature}",
                genuine.split('.').next().unwrap()
            ),
            format!("{genuine}x"),
            String::new(),
            "..".to_owned(),
        ] {
            assert_eq!(
                tokens(SECRET).read(&forged, now()),
                Err(InvalidToken),
                "{forged}"
            );
        }
    }

    #[test]
    fn a_token_without_an_end_is_not_read() {
        let endless = serde_json::json!({"sub": UserId::generate(), "epoch": 0, "iat": 0});
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let token = jsonwebtoken::encode(&Header::default(), &endless, &key).unwrap();
        assert_eq!(tokens(SECRET).read(&token, now()), Err(InvalidToken));
    }
}
