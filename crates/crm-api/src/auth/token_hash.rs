//! How secrets are kept that were made by chance.

use std::fmt::Write;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// The SHA-256 of a token, 64 hexadecimal digits.
///
/// For tokens that have more chance in them than anybody can try: there is nothing to guess, so that a
/// plain hash will do, and a row can be looked for by it. How long that takes tells something of the
/// hash at most, which nobody can choose, and nothing of the token.
pub fn token_hash(token: &SecretString) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(token.expose_secret().as_bytes()) {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_known_one() {
        assert_eq!(
            token_hash(&"abc".into()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
