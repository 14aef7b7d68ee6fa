//! Characters and lengths as the platform sees them.

use crate::length::{self, Measure};

pub(super) fn utf16_length(text: &str) -> usize {
    Measure::Utf16Units.of(text)
}

/// Control characters, line breaks, and the invisible marks that turn the direction of text (they
/// could make a value read as another one).
pub(super) fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// A value of nothing but these looks empty.
pub(super) fn is_invisible(character: char) -> bool {
    character.is_whitespace()
        || is_harmful(character)
        || matches!(
            character,
            '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
                | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2060}'..='\u{206F}'
                | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}'
                | '\u{E0000}'..='\u{E0FFF}'
        )
}

/// Han characters, with the iteration mark and the zero that names and phrases use.
pub(super) fn is_chinese(character: char) -> bool {
    matches!(
        character,
        '\u{3005}' | '\u{3007}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}'
            | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{323AF}'
    )
}

/// Letters of any script and the usual signs in names; no digits, no emoji.
pub(super) fn is_name_character(character: char) -> bool {
    let is_sign = character.is_ascii_punctuation()
        || matches!(character, ' ' | '·' | '\u{2010}'..='\u{2027}' | '\u{3000}'..='\u{303F}' | '\u{FF00}'..='\u{FFEF}');
    (character.is_alphabetic() || is_sign) && !character.is_numeric()
}

/// Line breaks and tabs become spaces, harmful characters go, runs of spaces become one, and
/// blanks at both ends go; a text that looks empty becomes empty.
pub(super) fn tidy(text: &str) -> String {
    let spaced: String = text
        .chars()
        .filter_map(|c| match c {
            '\n' | '\r' | '\t' | '\u{B}' | '\u{C}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                Some(' ')
            }
            c if is_harmful(c) => None,
            c => Some(c),
        })
        .collect();
    if spaced.chars().all(is_invisible) {
        return String::new();
    }
    let words: Vec<&str> = spaced.split(' ').filter(|word| !word.is_empty()).collect();
    words.join(" ").trim().to_owned()
}

/// Full-width letters, digits and signs as ASCII, so that `１２：３０` is read like `12:30`. The
/// yen sign stays: it is accepted full-width.
pub(super) fn fold_full_width(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
            '\u{3000}' => ' ',
            '\u{301C}' => '~',
            _ => c,
        })
        .collect()
}

/// What fits into `limit` UTF-16 units without cutting through anything that is shown as one
/// character.
pub(super) fn cut(text: &str, limit: usize) -> &str {
    length::cut(text, limit, Measure::Utf16Units)
}
