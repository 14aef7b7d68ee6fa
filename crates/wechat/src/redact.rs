//! Masks what must not be kept or shown.

/// The longest platform text that is kept, in characters.
const KEPT_CHARACTERS_MAX: usize = 512;

/// An openid is 28 characters long and starts with `o`.
const OPENID_LENGTH: usize = 28;

/// Opaque words from this length on are taken for tokens; access tokens are longer than 100
/// characters, and no other word in a platform's message comes near.
const TOKEN_LENGTH_MIN: usize = 64;

/// An AppSecret is 32 hexadecimal digits.
const APP_SECRET_LENGTH: usize = 32;

/// Names whose value is a secret, as they appear in query strings and JSON.
const SECRET_NAMES: [&str; 7] = [
    "access_token",
    // A group robot's address.
    "key",
    "secret",
    "appsecret",
    "corpsecret",
    "session_key",
    "js_code",
];

/// Masks secrets and personal data in a text that is logged, stored or shown:
///
/// - the value after `access_token=`, `secret=` and the like, also as JSON, and any word that looks
///   like an access token or an AppSecret → `***`
/// - an openid (28 characters starting with `o`) → `o***`
/// - a Chinese mobile number (11 digits, also with 86 before it) → `138****8999`
///
/// ```
/// assert_eq!(wechat::redact("to 13800008999: access_token=abc&x=1"), "to 138****8999: access_token=***&x=1");
/// ```
#[must_use]
pub fn redact(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    let mut value_is_secret = false;
    while let Some(first) = rest.chars().next() {
        let is_word = is_word_character(first);
        let length = rest
            .find(|c| is_word_character(c) != is_word)
            .unwrap_or(rest.len());
        let (piece, after) = rest.split_at(length);
        if !is_word {
            // `=`, `": "` and the like keep a name and its value together.
            value_is_secret = value_is_secret && piece.contains(['=', ':']);
            redacted.push_str(piece);
        } else if value_is_secret {
            redacted.push_str("***");
            // Base64 values go on after `+`, `/` and `.`.
            let end = after.find(|c: char| !is_word_character(c) && !"+/.%=".contains(c));
            rest = &after[end.unwrap_or(after.len())..];
            value_is_secret = false;
            continue;
        } else {
            value_is_secret = SECRET_NAMES.contains(&piece);
            push_word(&mut redacted, piece);
        }
        rest = after;
    }
    redacted
}

/// [`redact`], then cut to what is kept. In this order, because a cut secret is no longer
/// recognised. Control characters become blanks: they break log lines, and some databases refuse
/// them.
pub(crate) fn redact_and_shorten(text: &str) -> String {
    redact(text)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(KEPT_CHARACTERS_MAX)
        .collect()
}

fn is_word_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || character == '-'
}

fn push_word(redacted: &mut String, word: &str) {
    let is_app_secret =
        word.len() == APP_SECRET_LENGTH && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    if word.len() >= TOKEN_LENGTH_MIN || is_app_secret {
        redacted.push_str("***");
    } else if word.len() == OPENID_LENGTH && word.starts_with('o') {
        redacted.push_str("o***");
    } else {
        push_masking_phone_numbers(redacted, word);
    }
}

fn push_masking_phone_numbers(redacted: &mut String, word: &str) {
    let mut rest = word;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (run, after) = rest.split_at(digits);
        match mobile_number_start(run) {
            Some(start) => {
                redacted.push_str(&run[..start + 3]);
                redacted.push_str("****");
                redacted.push_str(&run[start + 7..]);
            }
            None => redacted.push_str(run),
        }
        let others = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        redacted.push_str(&after[..others]);
        rest = &after[others..];
    }
}

/// Where the 11 digits begin in a whole run of digits that is a mobile number.
fn mobile_number_start(run: &str) -> Option<usize> {
    let start = match run.len() {
        11 => 0,
        13 if run.starts_with("86") => 2,
        _ => return None,
    };
    let number = run.as_bytes();
    (number[start] == b'1' && (b'3'..=b'9').contains(&number[start + 1])).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_secrets_and_leaves_the_rest() {
        let token = "72_".to_owned() + &"aB3-_x".repeat(20);
        let cases = [
            (format!("bad {token} here"), "bad *** here"),
            ("access_token=abc".to_owned(), "access_token=***"),
            (
                "?access_token=a.b%2Bc&env=e".to_owned(),
                "?access_token=***&env=e",
            ),
            (
                r#"{"access_token":"t/+=","expires_in":1}"#.to_owned(),
                r#"{"access_token":"***","expires_in":1}"#,
            ),
            (
                r#"{"session_key": "HyVFkGl5F5OQWJZZaNzBBg=="}"#.to_owned(),
                r#"{"session_key": "***"}"#,
            ),
            ("secret=0123".to_owned(), "secret=***"),
            (
                "/webhook/send?key=693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa failed".to_owned(),
                "/webhook/send?key=*** failed",
            ),
            ("0123456789abcdef0123456789ABCDEF".to_owned(), "***"),
            (
                "openid o9AgO5Kd5ggOC-bXrbNODIiE3bGY!".to_owned(),
                "openid o***!",
            ),
            ("13800138999".to_owned(), "138****8999"),
            (
                "电话13800138999，+8613912345678".to_owned(),
                "电话138****8999，+86139****5678",
            ),
            ("tel-13800138999-x".to_owned(), "tel-138****8999-x"),
            (
                "12800138999 138001389990 1380013899".to_owned(),
                "12800138999 138001389990 1380013899",
            ),
            (
                "invalid openid rid: 6718a6a7-3c1b2a11-5f0e1d22".to_owned(),
                "invalid openid rid: 6718a6a7-3c1b2a11-5f0e1d22",
            ),
            (
                "access_token missing rid: 6718a6a7".to_owned(),
                "access_token missing rid: 6718a6a7",
            ),
            (
                "argument invalid! data.character_string1.value i".to_owned(),
                "argument invalid! data.character_string1.value i",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(redact(&text), expected, "{text}");
        }
    }

    #[test]
    fn a_long_text_is_redacted_before_it_is_cut() {
        let text = "长".repeat(505) + "13800138999";
        let kept = redact_and_shorten(&text);
        assert_eq!(kept.chars().count(), 512);
        assert!(kept.ends_with("长138****"), "{kept}");
    }
}
