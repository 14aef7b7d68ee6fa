//! Passwords: what a new one must be, and hashing.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// The fewest characters of a new password.
pub const CHARACTERS_MIN: usize = 8;
/// The most.
pub const CHARACTERS_MAX: usize = 128;

/// A new password that is too short, too long or not typable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("密码长度必须在8到128个字符之间，且不能包含控制字符")]
pub struct UnfitPassword;

/// Checks a password that somebody wants to have.
///
/// # Errors
/// [`UnfitPassword`].
pub fn check_new(password: &SecretString) -> Result<(), UnfitPassword> {
    let text = password.expose_secret();
    let length = text.chars().count();
    if (CHARACTERS_MIN..=CHARACTERS_MAX).contains(&length) && !text.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(UnfitPassword)
    }
}

/// Hashing did not work: out of memory, or a stored hash that is none.
#[derive(Debug, thiserror::Error)]
#[error("password hashing: {0}")]
pub struct HashingFailed(String);

/// Whether a password was the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// It was.
    Right,
    /// It was not.
    Wrong,
}

/// Hashes and verifies with argon2id, off the threads that answer requests.
///
/// The parameters are argon2's defaults, which are those OWASP recommends: 19 MiB and two passes.
#[derive(Clone)]
pub struct Passwords {
    /// Each hash takes 19 MiB and a processor: a burst of logins waits here instead of taking all.
    turns: Arc<Semaphore>,
    /// The hash of no one's password, for names nobody has: looking for a user must take as long as
    /// finding one.
    nobody: Arc<str>,
}

impl Passwords {
    /// Hashes at the same time, at most.
    const TURNS: usize = 4;

    /// Prepares the hash of nobody's password, which takes a moment.
    ///
    /// # Errors
    /// If hashing does not work.
    pub async fn prepare() -> Result<Self, HashingFailed> {
        let unprepared = Self {
            turns: Arc::new(Semaphore::new(Self::TURNS)),
            nobody: Arc::from(""),
        };
        let nobody = unprepared.hash(&random()).await?;
        Ok(Self {
            nobody: nobody.into(),
            ..unprepared
        })
    }

    /// The hash to store.
    ///
    /// # Errors
    /// If hashing does not work.
    pub async fn hash(&self, password: &SecretString) -> Result<String, HashingFailed> {
        let password = password.clone();
        self.in_turn(move || {
            let hash: PasswordHash = Argon2::default()
                .hash_password(password.expose_secret().as_bytes())
                .map_err(failed)?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Compares a password with a stored hash; with none it does the same work and answers wrong.
    ///
    /// # Errors
    /// If hashing does not work.
    pub async fn verify(
        &self,
        password: &SecretString,
        stored: Option<String>,
    ) -> Result<Verification, HashingFailed> {
        let password = password.clone();
        let somebody = stored.is_some();
        let hash = stored.unwrap_or_else(|| self.nobody.to_string());
        self.in_turn(move || {
            let hash = PasswordHash::new(&hash).map_err(failed)?;
            let password = password.expose_secret().as_bytes();
            match Argon2::default().verify_password(password, &hash) {
                Ok(()) if somebody => Ok(Verification::Right),
                Ok(()) | Err(argon2::password_hash::Error::PasswordInvalid) => {
                    Ok(Verification::Wrong)
                }
                Err(error) => Err(failed(error)),
            }
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HashingFailed> + Send + 'static,
    ) -> Result<T, HashingFailed> {
        let _turn = self.turns.acquire().await.map_err(failed)?;
        spawn_blocking(work).await.map_err(failed)?
    }
}

fn failed(error: impl std::fmt::Display) -> HashingFailed {
    HashingFailed(error.to_string())
}

/// A password nobody has thought of: 20 letters and digits, about 119 bits.
pub fn random() -> SecretString {
    use rand::RngExt;
    let mut rng = rand::rng();
    let characters: String = (0..20)
        .map(|_| char::from(rng.sample(rand::distr::Alphanumeric)))
        .collect();
    characters.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_password_has_eight_to_128_characters() {
        for (password, fit) in [
            ("1234567".to_owned(), false),
            ("12345678".to_owned(), true),
            ("密码密码密码密码".to_owned(), true),
            ("x".repeat(128), true),
            ("x".repeat(129), false),
            ("1234567\n8".to_owned(), false),
        ] {
            assert_eq!(check_new(&password.into()).is_ok(), fit);
        }
    }

    #[tokio::test]
    async fn only_the_right_password_of_somebody_is_right() {
        let passwords = Passwords::prepare().await.unwrap();
        let stored = passwords.hash(&"correct horse".into()).await.unwrap();
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
        for (password, stored, expected) in [
            ("correct horse", Some(stored.clone()), Verification::Right),
            ("Correct horse", Some(stored), Verification::Wrong),
            ("correct horse", None, Verification::Wrong),
        ] {
            let verification = passwords.verify(&password.into(), stored).await.unwrap();
            assert_eq!(verification, expected);
        }
        let broken = Some("no hash".to_owned());
        assert!(passwords.verify(&"x".into(), broken).await.is_err());
    }

    #[test]
    fn random_passwords_differ_and_are_fit() {
        let (one, other) = (random(), random());
        assert_ne!(one.expose_secret(), other.expose_secret());
        assert_eq!(check_new(&one), Ok(()));
    }
}
