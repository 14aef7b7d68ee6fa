//! The dates and times that `time` and `date` fields take.
//!
//! ```text
//! value  = moment [ "~" moment ]
//! moment = date | date [" "] time | time        a space is needed after a date of digits only
//! date   = y年m月d日 | y年m月 | m月d日 | y-m-d | y-m | m-d      also with / or . for -
//! time   = HH:MM | HH:MM:SS
//! ```

/// What a field may begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// A time of day, a date, or both.
    TimeOrDate,
    /// A date.
    StartingWithDate,
}

/// Whether the whole text is such a value.
pub(super) fn is_moment(text: &str, moment: Moment) -> bool {
    value(text, moment) == Some("")
}

/// The first such value inside a text.
pub(super) fn find_moment(text: &str, moment: Moment) -> Option<&str> {
    let mut previous = None;
    for (start, character) in text.char_indices() {
        // Not in the middle of a number: `12026-11-21` holds no date.
        let starts_number = character.is_ascii_digit()
            && !previous.is_some_and(|c: char| c.is_ascii_digit() || ".-/:".contains(c));
        previous = Some(character);
        if !starts_number {
            continue;
        }
        let candidate = &text[start..];
        if let Some(rest) = value(candidate, moment) {
            return Some(&candidate[..candidate.len() - rest.len()]);
        }
    }
    None
}

// Each of these takes its part off the front and returns the rest.

fn value(text: &str, kind: Moment) -> Option<&str> {
    let rest = match kind {
        Moment::TimeOrDate => moment(text)?,
        Moment::StartingWithDate => date_and_time(text)?,
    };
    Some(rest.strip_prefix('~').and_then(moment).unwrap_or(rest))
}

fn moment(text: &str) -> Option<&str> {
    date_and_time(text).or_else(|| time(text))
}

fn date_and_time(text: &str) -> Option<&str> {
    if let Some(rest) = chinese_date(text) {
        return Some(time(rest.strip_prefix(' ').unwrap_or(rest)).unwrap_or(rest));
    }
    let rest = ['-', '/', '.']
        .into_iter()
        .find_map(|separator| separated_date(text, separator))?;
    Some(rest.strip_prefix(' ').and_then(time).unwrap_or(rest))
}

fn chinese_date(text: &str) -> Option<&str> {
    let month_of_year = |text| {
        number(text, 4, 1..=9999)?
            .strip_prefix('年')
            .and_then(|rest| chinese_month(rest))
    };
    let day = |text| number(text, 2, 1..=31)?.strip_prefix('日');
    match month_of_year(text) {
        Some(rest) => Some(day(rest).unwrap_or(rest)),
        None => chinese_month(text).and_then(day),
    }
}

fn chinese_month(text: &str) -> Option<&str> {
    number(text, 2, 1..=12)?.strip_prefix('月')
}

fn separated_date(text: &str, separator: char) -> Option<&str> {
    let month = |text| number(text, 2, 1..=12);
    let day = |text| number(text, 2, 1..=31);
    let year_month = number(text, 4, 1000..=9999)
        .and_then(|rest| rest.strip_prefix(separator))
        .and_then(month);
    match year_month {
        Some(rest) => Some(rest.strip_prefix(separator).and_then(day).unwrap_or(rest)),
        None => month(text)?.strip_prefix(separator).and_then(day),
    }
}

fn time(text: &str) -> Option<&str> {
    let rest = number(text, 2, 0..=23)?.strip_prefix(':')?;
    let rest = two_digits(rest)?;
    Some(rest.strip_prefix(':').and_then(two_digits).unwrap_or(rest))
}

fn two_digits(text: &str) -> Option<&str> {
    let rest = number(text, 2, 0..=59)?;
    (text.len() - rest.len() == 2).then_some(rest)
}

fn number(text: &str, digits_max: usize, range: std::ops::RangeInclusive<u32>) -> Option<&str> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    if digits == 0 || digits > digits_max {
        return None;
    }
    let (number, rest) = text.split_at(digits);
    range.contains(&number.parse().ok()?).then_some(rest)
}
