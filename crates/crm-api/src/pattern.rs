//! Finding a part of a text, capitals or not, on either database.

use diesel::sql_types::{Nullable, Text};

diesel::define_sql_function! {
    /// Whether LIKE tells `a` from `A` depends on the database; with this on both sides it does not.
    fn lower(text: Nullable<Text>) -> Nullable<Text>;
}

/// A LIKE pattern that finds `part` as it is, also if it has a `%` in it. Its escape is the
/// backslash.
pub(crate) fn pattern_containing(part: &str) -> String {
    let mut pattern = String::with_capacity(part.len() + 2);
    pattern.push('%');
    for character in part.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_finds_signs_that_mean_something_to_like() {
        assert_eq!(pattern_containing("100%_\\"), "%100\\%\\_\\\\%");
        assert_eq!(pattern_containing("王"), "%王%");
    }
}
