//! The field types of subscribe messages: what the platform accepts, and how any text is made to
//! fit.
//!
//! A template's field has a key such as `thing1` or `date6`: its type and a number. A value that
//! does not fit its type makes the platform refuse the whole message (47003).
//!
//! | type | accepted by [`check`] | cut by [`clamp`] to | nothing usable becomes |
//! |---|---|---|---|
//! | `thing` | 1–20 characters | 20, the last one `…` | `-` |
//! | `number` | up to 32: sign, digits, decimals | the first number in the text | `0` |
//! | `letter` | 1–32 Latin letters | 32 | `NA` |
//! | `symbol` | 1–5 symbols | 5 | `-` |
//! | `character_string` | 1–32 ASCII letters, digits, symbols | 32 | `-` |
//! | `time` | `15:01`, `2019年10月1日 15:01`, a date, or a range with `~` | the first one in the text | `00:00` |
//! | `date` | `2019年10月1日`, also with a time, or a range with `~` | the first one in the text | `1970-01-01` |
//! | `amount` | a currency sign, up to 10 digits, decimals, `元` | the first amount in the text | `0` |
//! | `phone_number` | up to 17: `+`, digits, `-` | 17 (`*` of a masked number becomes `-`) | `-` |
//! | `car_number` | up to 8: letters and digits, first and last may be Chinese | 8 | `无` |
//! | `name` | 10 characters with Chinese, 20 without; no digits | the same | `-` |
//! | `phrase` | 1–5 Chinese characters | 5 | `无` |
//!
//! Lengths are UTF-16 units, as the platform seems to count (an emoji is two or more). The platform
//! refuses an empty value in every type, and `-` in those types where the last column has
//! something else: there it is a value that a reader recognises as "none", not a likely one.
//! Control characters, line breaks and invisible direction marks fit no type. The type `enum` is
//! missing: its values are listed per template, so there is nothing to check in general.

mod clamp;
mod moment;
mod text;

pub use clamp::clamp;
use moment::Moment;
use text::{is_chinese, is_harmful, is_invisible, is_name_character, utf16_length};

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// Any short text.
    Thing,
    /// A number.
    Number,
    /// Latin letters.
    Letter,
    /// Symbols.
    Symbol,
    /// Letters, digits and symbols, such as an order number.
    CharacterString,
    /// A time of day, a date may precede it.
    Time,
    /// A date, a time of day may follow it.
    Date,
    /// An amount of money.
    Amount,
    /// A telephone number.
    PhoneNumber,
    /// A number plate.
    CarNumber,
    /// A person's name.
    Name,
    /// A short Chinese phrase, such as a status.
    Phrase,
}

/// Why a value does not fit its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldProblem {
    /// Empty, or nothing that can be seen.
    #[error("the value is blank")]
    Blank,
    /// Longer than the type allows.
    #[error("the value is {length} characters long, at most {limit} fit")]
    TooLong {
        /// UTF-16 units in the value.
        length: usize,
        /// UTF-16 units that fit.
        limit: usize,
    },
    /// A character that the type does not take.
    #[error("the character {character:?} does not fit this field")]
    Forbidden {
        /// The first such character.
        character: char,
    },
    /// Not of the form that the type needs.
    #[error("the value must look like {expected}")]
    Malformed {
        /// Examples of the form.
        expected: &'static str,
    },
}

impl FieldType {
    /// All types.
    pub const ALL: [Self; 12] = [
        Self::Thing,
        Self::Number,
        Self::Letter,
        Self::Symbol,
        Self::CharacterString,
        Self::Time,
        Self::Date,
        Self::Amount,
        Self::PhoneNumber,
        Self::CarNumber,
        Self::Name,
        Self::Phrase,
    ];

    /// The prefix of this type's keys.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Thing => "thing",
            Self::Number => "number",
            Self::Letter => "letter",
            Self::Symbol => "symbol",
            Self::CharacterString => "character_string",
            Self::Time => "time",
            Self::Date => "date",
            Self::Amount => "amount",
            Self::PhoneNumber => "phone_number",
            Self::CarNumber => "car_number",
            Self::Name => "name",
            Self::Phrase => "phrase",
        }
    }

    /// The type of a key such as `thing1`; none for a key without a number or of another type.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Self> {
        let prefix = key.trim_end_matches(|c: char| c.is_ascii_digit());
        if prefix.len() == key.len() {
            return None;
        }
        Self::ALL
            .into_iter()
            .find(|field_type| field_type.prefix() == prefix)
    }
}

/// Whether the platform will accept `value` in a field of this type.
///
/// # Errors
/// The first problem found.
pub fn check(field_type: FieldType, value: &str) -> Result<(), FieldProblem> {
    if value.chars().all(is_invisible) {
        return Err(FieldProblem::Blank);
    }
    refuse_characters(value, is_harmful)?;
    match field_type {
        FieldType::Thing => at_most(20, value),
        FieldType::Number => {
            let unsigned = value.strip_prefix('-').unwrap_or(value);
            let expected = "12 or -3.5";
            if !is_decimal(unsigned) {
                return Err(FieldProblem::Malformed { expected });
            }
            at_most(32, value)
        }
        FieldType::Letter => {
            refuse_characters(value, |c| !c.is_ascii_alphabetic())?;
            at_most(32, value)
        }
        FieldType::Symbol => {
            refuse_characters(value, |c| c.is_alphanumeric() || c.is_whitespace())?;
            at_most(5, value)
        }
        FieldType::CharacterString => {
            refuse_characters(value, |c| !c.is_ascii())?;
            at_most(32, value)
        }
        FieldType::Time if moment::is_moment(value, Moment::TimeOrDate) => Ok(()),
        FieldType::Time => Err(FieldProblem::Malformed {
            expected: "15:01 or 2019年10月1日 15:01",
        }),
        FieldType::Date if moment::is_moment(value, Moment::StartingWithDate) => Ok(()),
        FieldType::Date => Err(FieldProblem::Malformed {
            expected: "2019年10月1日 or 2019-10-01 15:01",
        }),
        FieldType::Amount => check_amount(value),
        FieldType::PhoneNumber => {
            let unsigned = value.strip_prefix('+').unwrap_or(value);
            refuse_characters(unsigned, |c| !c.is_ascii_digit() && c != '-')?;
            if unsigned.is_empty() {
                return Err(FieldProblem::Malformed {
                    expected: "13800138000 or +86-766-66888866",
                });
            }
            at_most(17, value)
        }
        FieldType::CarNumber => check_car_number(value),
        FieldType::Name => {
            refuse_characters(value, |c| !is_name_character(c))?;
            at_most(name_limit(value), value)
        }
        FieldType::Phrase => {
            refuse_characters(value, |c| !is_chinese(c))?;
            at_most(5, value)
        }
    }
}

/// The key of the field that a 47003 names, such as `thing23` in
/// `argument invalid! data.thing23.value invalid`. The rest of that text is unreliable: it is
/// misspelt at times, and cut off for long keys.
#[must_use]
pub fn field_in_errmsg(errmsg: &str) -> Option<&str> {
    errmsg.match_indices("data.").find_map(|(start, prefix)| {
        let rest = &errmsg[start + prefix.len()..];
        let (key, _) = rest.split_once(".value")?;
        let name = key.trim_end_matches(|c: char| c.is_ascii_digit());
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        (is_name && name.len() < key.len()).then_some(key)
    })
}

fn at_most(limit: usize, value: &str) -> Result<(), FieldProblem> {
    let length = utf16_length(value);
    if length > limit {
        Err(FieldProblem::TooLong { length, limit })
    } else {
        Ok(())
    }
}

fn refuse_characters(value: &str, refused: impl Fn(char) -> bool) -> Result<(), FieldProblem> {
    match value.chars().find(|c| refused(*c)) {
        Some(character) => Err(FieldProblem::Forbidden { character }),
        None => Ok(()),
    }
}

/// Digits, and after a point more digits.
fn is_decimal(value: &str) -> bool {
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    match value.split_once('.') {
        Some((whole, decimals)) => is_digits(whole) && is_digits(decimals),
        None => is_digits(value),
    }
}

/// The signs that the platform is known to take in front of an amount.
const CURRENCY_SIGNS: [char; 5] = ['¥', '￥', '$', '€', '£'];

/// Digits of an amount before its point, and decimals that still make sense after it.
const AMOUNT_DIGITS_MAX: usize = 10;

fn check_amount(value: &str) -> Result<(), FieldProblem> {
    let number = value.strip_prefix(CURRENCY_SIGNS).unwrap_or(value);
    let number = number.strip_suffix('元').unwrap_or(number);
    if !is_decimal(number) {
        return Err(FieldProblem::Malformed {
            expected: "￥99.5 or 100元",
        });
    }
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    at_most(AMOUNT_DIGITS_MAX, whole)?;
    at_most(AMOUNT_DIGITS_MAX, decimals)
}

fn check_car_number(value: &str) -> Result<(), FieldProblem> {
    let last = value.chars().count().saturating_sub(1);
    for (position, character) in value.chars().enumerate() {
        let may_be_chinese = position == 0 || position == last;
        let fits = character.is_ascii_alphanumeric() || (may_be_chinese && is_chinese(character));
        if !fits {
            return Err(FieldProblem::Forbidden { character });
        }
    }
    at_most(8, value)
}

/// A name with Chinese characters counts as Chinese.
fn name_limit(value: &str) -> usize {
    if value.is_ascii() { 20 } else { 10 }
}

#[cfg(test)]
mod tests;
