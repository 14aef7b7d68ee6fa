//! Makes any text fit a field.

use super::moment::{Moment, find_moment};
use super::text::{
    cut, fold_full_width, is_chinese, is_invisible, is_name_character, tidy, utf16_length,
};
use super::{AMOUNT_DIGITS_MAX, CURRENCY_SIGNS, FieldType, check, name_limit};

/// The longest number.
const NUMBER_LENGTH_MAX: usize = 32;

/// The text, changed as little as needed to be accepted in a field of this type;
/// [`check`] finds nothing wrong with the result. The table above this module says per type what
/// is cut and what stands for nothing. A value that fits already is only trimmed.
#[must_use]
pub fn clamp(field_type: FieldType, value: &str) -> String {
    let text = tidy(value);
    if check(field_type, &text).is_ok() {
        return text;
    }
    let fitting = match field_type {
        FieldType::Thing => thing(&text),
        FieldType::Number => number(&fold_full_width(&text)),
        FieldType::Letter => keep(&fold_full_width(&text), 32, |c| c.is_ascii_alphabetic()),
        FieldType::Symbol => keep(&text, 5, |c| !c.is_alphanumeric() && !c.is_whitespace()),
        FieldType::CharacterString => keep(&fold_full_width(&text), 32, |c| c.is_ascii()),
        FieldType::Time => moment(&text, Moment::TimeOrDate),
        FieldType::Date => moment(&text, Moment::StartingWithDate),
        FieldType::Amount => amount(&fold_full_width(&text)),
        FieldType::PhoneNumber => phone_number(&fold_full_width(&text)),
        FieldType::CarNumber => car_number(&fold_full_width(&text)),
        FieldType::Name => {
            let kept = filtered(&text, is_name_character);
            cut(&kept, name_limit(&kept)).to_owned()
        }
        FieldType::Phrase => keep(&text, 5, is_chinese),
    };
    if fitting.chars().all(is_invisible) {
        nothing(field_type).to_owned()
    } else {
        fitting
    }
}

/// What a reader sees where there is no usable value.
fn nothing(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::Thing
        | FieldType::Symbol
        | FieldType::CharacterString
        | FieldType::PhoneNumber
        | FieldType::Name => "-",
        FieldType::Number | FieldType::Amount => "0",
        FieldType::Letter => "NA",
        FieldType::Time => "00:00",
        FieldType::Date => "1970-01-01",
        FieldType::CarNumber | FieldType::Phrase => "无",
    }
}

fn keep(text: &str, limit: usize, fits: impl Fn(char) -> bool) -> String {
    cut(&filtered(text, fits), limit).to_owned()
}

/// Tidy once more: what went may leave two spaces where it stood between them.
fn filtered(text: &str, fits: impl Fn(char) -> bool) -> String {
    let kept: String = text.chars().filter(|c| fits(*c)).collect();
    tidy(&kept)
}

fn thing(text: &str) -> String {
    if utf16_length(text) <= 20 {
        return text.to_owned();
    }
    let kept = cut(text, 19);
    // A first character that is longer than the field leaves nothing to put the dots after.
    if kept.is_empty() {
        String::new()
    } else {
        format!("{kept}…")
    }
}

fn moment(text: &str, kind: Moment) -> String {
    find_moment(&fold_full_width(text), kind)
        .unwrap_or_default()
        .to_owned()
}

/// The first number, without thousands separators: `共 1,234.5 元` → `1234.5`.
fn number(text: &str) -> String {
    let Some((sign, whole, decimals)) = first_decimal(text) else {
        return String::new();
    };
    let whole = &whole[..whole.len().min(NUMBER_LENGTH_MAX - sign.len())];
    let room = NUMBER_LENGTH_MAX - sign.len() - whole.len();
    match room.checked_sub(1) {
        Some(room) if room > 0 && !decimals.is_empty() => {
            format!("{sign}{whole}.{}", &decimals[..decimals.len().min(room)])
        }
        _ => format!("{sign}{whole}"),
    }
}

/// The first amount with its currency. One that is too large becomes the largest that fits.
fn amount(text: &str) -> String {
    let currency = text.chars().find(|c| CURRENCY_SIGNS.contains(c));
    let Some((_, whole, decimals)) = first_decimal(text) else {
        return String::new();
    };
    let mut amount: String = currency.into_iter().collect();
    if whole.len() > AMOUNT_DIGITS_MAX {
        amount.push_str(&"9".repeat(AMOUNT_DIGITS_MAX));
    } else {
        amount.push_str(&whole);
        if !decimals.is_empty() {
            amount.push('.');
            amount.push_str(&decimals[..decimals.len().min(AMOUNT_DIGITS_MAX)]);
        }
    }
    if text.contains('元') {
        amount.push('元');
    }
    amount
}

/// Sign, whole part and decimals of the first number in the text.
fn first_decimal(text: &str) -> Option<(&'static str, String, String)> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let sign = if text[..start].ends_with('-') {
        "-"
    } else {
        ""
    };
    let number = &text[start..];
    let end = number
        .find(|c: char| !c.is_ascii_digit() && c != ',')
        .unwrap_or(number.len());
    let (whole, rest) = number.split_at(end);
    let decimals = rest.strip_prefix('.').unwrap_or_default();
    let end = decimals
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(decimals.len());
    Some((sign, whole.replace(',', ""), decimals[..end].to_owned()))
}

/// A masked number keeps its shape: `138****8999` → `138----8999`.
fn phone_number(text: &str) -> String {
    let mut kept = String::new();
    for character in text.chars() {
        match character {
            '0'..='9' | '-' => kept.push(character),
            '*' => kept.push('-'),
            '+' if kept.is_empty() => kept.push('+'),
            _ => {}
        }
    }
    kept.truncate(17);
    if kept == "+" { String::new() } else { kept }
}

fn car_number(text: &str) -> String {
    let plate: Vec<char> = text
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || is_chinese(*c))
        .collect();
    let last = plate.len().saturating_sub(1);
    let kept: String = plate
        .iter()
        .enumerate()
        .filter(|(position, c)| *position == 0 || *position == last || c.is_ascii_alphanumeric())
        .map(|(_, c)| *c)
        .collect();
    // Characters outside the basic plane count double.
    cut(&kept, 8).to_owned()
}
