use std::fmt;
use std::str::FromStr;

use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use diesel::sql_types::Text;
use serde::{Deserialize, Serialize};

/// A mobile number of mainland China: eleven digits, `1`, then `3` to `9`.
///
/// It prints masked. The whole number leaves only through [`Phone::unmasked`], so that every place
/// that shows one can be found.
#[derive(Clone, PartialEq, Eq, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
pub struct Phone(String);

/// A text that is not a mobile number. It does not repeat the text: it may be a number all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("手机号格式不正确")]
pub struct InvalidPhone;

impl Phone {
    /// The whole number. For those who may see the customer, never for logs or messages.
    pub fn unmasked(&self) -> &str {
        &self.0
    }

    /// The number as text, for the database.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// `138****8999`.
    pub fn masked(&self) -> String {
        mask_phone(&self.0)
    }
}

/// Masks the middle of a number, `138****8999`; a text too short to hide anything becomes `****`.
pub fn mask_phone(number: &str) -> String {
    let characters: Vec<char> = number.chars().collect();
    if characters.len() < 11 {
        return "****".to_owned();
    }
    let first: String = characters[..3].iter().collect();
    let last: String = characters[characters.len() - 4..].iter().collect();
    format!("{first}****{last}")
}

/// Masks every whole number in a text: `请致电 138****8999`. Longer runs of digits, and those that are
/// part of a word or an id, are none.
pub fn mask_phones(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let word_ends = |c: char| !c.is_ascii_alphanumeric();
        let word = &rest[..rest.find(word_ends).unwrap_or(rest.len())];
        if word.parse::<Phone>().is_ok() {
            masked.push_str(&mask_phone(word));
        } else {
            masked.push_str(word);
        }
        rest = &rest[word.len()..];
        if let Some(between) = rest.chars().next() {
            masked.push(between);
            rest = &rest[between.len_utf8()..];
        }
    }
    masked
}

impl FromStr for Phone {
    type Err = InvalidPhone;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.as_bytes();
        let right = bytes.len() == 11
            && bytes[0] == b'1'
            && (b'3'..=b'9').contains(&bytes[1])
            && bytes.iter().all(u8::is_ascii_digit);
        if right {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPhone)
        }
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl Serialize for Phone {
    /// Masked, like everywhere else.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.masked())
    }
}

impl<'de> Deserialize<'de> for Phone {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

crate::db::columns::text_column!(Phone);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mobile_numbers_of_mainland_china_are_phones() {
        for (text, right) in [
            ("13800138999", true),
            ("19912345678", true),
            ("12800138999", false),
            ("1380013899", false),
            ("138001389990", false),
            ("+8613800138999", false),
            ("1380013899九", false),
            ("１３８００１３８９９９", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<Phone>().is_ok(), right, "{text}");
        }
    }

    #[test]
    fn whole_numbers_in_a_text_are_masked_and_other_digits_are_not() {
        for (text, masked) in [
            ("", ""),
            ("13800138999", "138****8999"),
            (
                "电话：13800138999，13912345678。",
                "电话：138****8999，139****5678。",
            ),
            (r#"{"phone":"13800138999"}"#, r#"{"phone":"138****8999"}"#),
            ("CUS13800138999", "CUS13800138999"),
            ("138001389990", "138001389990"),
            (
                "0193e5a0-6e2b-7c4d-8f10-a13800138999",
                "0193e5a0-6e2b-7c4d-8f10-a13800138999",
            ),
            ("138****8999", "138****8999"),
        ] {
            assert_eq!(mask_phones(text), masked, "{text}");
        }
    }

    #[test]
    fn prints_masked_everywhere() {
        let phone: Phone = "13800138999".parse().unwrap();
        assert_eq!(phone.masked(), "138****8999");
        assert_eq!(format!("{phone:?}"), "138****8999");
        assert_eq!(serde_json::to_string(&phone).unwrap(), "\"138****8999\"");
        assert_eq!(mask_phone("110"), "****");
    }
}
