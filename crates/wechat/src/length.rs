//! How long a text is for a platform, and as much of it as fits.

use unicode_segmentation::UnicodeSegmentation as _;

/// What a platform counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Characters, as most platforms seem to count them: an emoji is two or more.
    Utf16Units,
    /// Bytes of UTF-8: a Chinese character is three.
    Bytes,
}

/// A text that a platform refuses for its length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {bytes} bytes, at most {bytes_max} fit")]
pub struct TooLong {
    /// Which text.
    pub field: &'static str,
    /// How long it is.
    pub bytes: usize,
    /// How long it may be.
    pub bytes_max: usize,
}

/// What a reader sees where a text goes on.
const ELLIPSIS: &str = "…";

impl Measure {
    pub(crate) fn of(self, text: &str) -> usize {
        match self {
            Self::Utf16Units => text.chars().map(char::len_utf16).sum(),
            Self::Bytes => text.len(),
        }
    }
}

/// What fits into `limit` without cutting through anything that is shown as one character: no half
/// emoji, no letter without its accent.
pub(crate) fn cut(text: &str, limit: usize, measure: Measure) -> &str {
    let mut length = 0;
    let mut end = 0;
    for (start, cluster) in text.grapheme_indices(true) {
        length += measure.of(cluster);
        if length > limit {
            break;
        }
        end = start + cluster.len();
    }
    text[..end].trim_end()
}

/// The text, or as much of it as fits before an ellipsis.
pub(crate) fn shorten(text: &str, limit: usize, measure: Measure) -> String {
    if measure.of(text) <= limit {
        return text.to_owned();
    }
    let room = limit.saturating_sub(measure.of(ELLIPSIS));
    format!("{}{ELLIPSIS}", cut(text, room, measure))
}

/// That a text fits as it is.
///
/// # Errors
/// If it is longer than `bytes_max`.
pub(crate) fn at_most(field: &'static str, text: &str, bytes_max: usize) -> Result<(), TooLong> {
    if text.len() <= bytes_max {
        return Ok(());
    }
    Err(TooLong {
        field,
        bytes: text.len(),
        bytes_max,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_that_is_shown_as_one_character_is_cut_through() {
        let family = "👨‍👩‍👧‍👦";
        let cases = [
            (family, 24, Measure::Bytes, ""),
            (family, 25, Measure::Bytes, family),
            (family, 10, Measure::Utf16Units, ""),
            ("e\u{301}e\u{301}", 5, Measure::Bytes, "e\u{301}"),
            ("会员编号", 11, Measure::Bytes, "会员编"),
            ("会员 编号", 7, Measure::Bytes, "会员"),
            ("🎉新", 2, Measure::Utf16Units, "🎉"),
            ("🎉新", 1, Measure::Utf16Units, ""),
        ];
        for (text, limit, measure, kept) in cases {
            assert_eq!(cut(text, limit, measure), kept, "{text} {limit}");
        }
    }

    #[test]
    fn what_is_left_out_is_marked() {
        assert_eq!(shorten("会员编号", 12, Measure::Bytes), "会员编号");
        assert_eq!(shorten("会员编号", 11, Measure::Bytes), "会员…");
        assert_eq!(shorten("会员编号", 3, Measure::Utf16Units), "会员…");
        assert_eq!(shorten("👨‍👩‍👧‍👦", 20, Measure::Bytes), "…");
    }

    proptest! {
        #[test]
        fn a_shortened_text_always_fits(text in "\\PC{0,80}", limit in 3_usize..60) {
            for measure in [Measure::Bytes, Measure::Utf16Units] {
                prop_assert!(measure.of(&shorten(&text, limit, measure)) <= limit);
            }
        }
    }
}
