//! The keyword types of subscribe-message templates and what each accepts.
//!
//! The type is the keyword's name without its number: `thing1` is a `thing`. Lengths are counted
//! in UTF-16 units, as the platform was reported to do.

use chrono::NaiveDate;

/// Most bytes of an `argument invalid!` text that follow the fixed part; the platform cuts there.
const ARGUMENT_TEXT_BYTES: usize = 30;

/// Type of a template's keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldType {
    Thing,
    Number,
    Letter,
    Symbol,
    CharacterString,
    Time,
    Date,
    Amount,
    PhoneNumber,
    CarNumber,
    Name,
    Phrase,
    Enum,
}

/// Why a value was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldFault {
    /// Missing, blank, or not a value at all.
    Empty,
    /// Against the rule of its type.
    Invalid,
}

impl FieldFault {
    /// The platform's 47003 text: `argument invalid! data.<key>.value <reason>`, where everything
    /// after the exclamation mark is cut at 30 bytes.
    pub(crate) fn text(self, key: &str) -> String {
        let reason = match self {
            Self::Empty => "is empty",
            Self::Invalid => "invalid",
        };
        let mut argument = format!("data.{key}.value {reason}");
        argument.truncate(argument.floor_char_boundary(ARGUMENT_TEXT_BYTES));
        format!("argument invalid! {argument}")
    }
}

impl FieldType {
    /// The type of a keyword such as `thing1`; `None` when the name is no keyword.
    pub(crate) fn of_key(key: &str) -> Option<Self> {
        let prefix = key.trim_end_matches(|c: char| c.is_ascii_digit());
        if prefix.len() == key.len() {
            return None;
        }
        Some(match prefix {
            "thing" => Self::Thing,
            "number" => Self::Number,
            "letter" => Self::Letter,
            "symbol" => Self::Symbol,
            "character_string" => Self::CharacterString,
            "time" => Self::Time,
            "date" => Self::Date,
            "amount" => Self::Amount,
            "phone_number" => Self::PhoneNumber,
            "car_number" => Self::CarNumber,
            "name" => Self::Name,
            "phrase" => Self::Phrase,
            "enum" => Self::Enum,
            _ => return None,
        })
    }

    /// Checks one value; `choices` are the listed values of an `enum` keyword.
    pub(crate) fn check(self, value: &str, choices: &[String]) -> Result<(), FieldFault> {
        if value.trim().is_empty() {
            return Err(FieldFault::Empty);
        }
        let length = value.encode_utf16().count();
        let accepted = !value.chars().any(char::is_control)
            && match self {
                Self::Thing => length <= 20,
                Self::Number => length <= 32 && is_number(value),
                Self::Letter => length <= 32 && value.bytes().all(|b| b.is_ascii_alphabetic()),
                Self::Symbol => length <= 5 && !value.chars().any(char::is_alphanumeric),
                Self::CharacterString => length <= 32 && !value.chars().any(is_han),
                Self::Time => is_range_of(value, Moment::is_time_or_date),
                Self::Date => is_range_of(value, Moment::has_date),
                Self::Amount => is_amount(value),
                Self::PhoneNumber => length <= 17 && is_phone_number(value),
                Self::CarNumber => length <= 8 && is_car_number(value),
                Self::Name => is_name(value, length),
                Self::Phrase => length <= 5 && value.chars().all(is_han),
                Self::Enum => choices.is_empty() || choices.iter().any(|choice| choice == value),
            };
        if accepted {
            Ok(())
        } else {
            Err(FieldFault::Invalid)
        }
    }
}

/// A date, a time of day, or both.
#[derive(Clone, Copy)]
struct Moment {
    date: Presence,
    time: Presence,
}

#[derive(Clone, Copy, PartialEq)]
enum Presence {
    Given,
    Absent,
}

impl Moment {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim_matches(' ');
        if is_time_of_day(text) {
            return Some(Self {
                date: Presence::Absent,
                time: Presence::Given,
            });
        }
        if is_date(text) {
            return Some(Self {
                date: Presence::Given,
                time: Presence::Absent,
            });
        }
        // 2019年10月1日15:01 needs no blank, 2019-10-01 15:01 does.
        let (date, time) = match text.split_once('日') {
            Some((date, time)) => (format!("{date}日"), time),
            None => {
                let (date, time) = text.split_once(' ')?;
                (date.to_owned(), time)
            }
        };
        (is_date(&date) && is_time_of_day(time.trim_start_matches(' '))).then_some(Self {
            date: Presence::Given,
            time: Presence::Given,
        })
    }

    /// What a `time` keyword takes: a time of day with or without a date, and in practice also a
    /// date alone.
    fn is_time_or_date(self) -> bool {
        self.date == Presence::Given || self.time == Presence::Given
    }

    fn has_date(self) -> bool {
        self.date == Presence::Given
    }
}

/// One moment, or two joined by an ASCII `~`; the second may leave out what the first has said.
fn is_range_of(value: &str, fits: fn(Moment) -> bool) -> bool {
    let (from, until) = match value.split_once('~') {
        Some((from, until)) => (from, Some(until)),
        None => (value, None),
    };
    Moment::parse(from).is_some_and(fits)
        && until.is_none_or(|until| Moment::parse(until).is_some())
}

fn is_time_of_day(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let in_range = |part: &str, widths: &[usize], below: u32| {
        widths.contains(&part.len()) && number_of(part).is_some_and(|number| number < below)
    };
    match parts.as_slice() {
        [hour, minute] => in_range(hour, &[1, 2], 24) && in_range(minute, &[2], 60),
        [hour, minute, second] => {
            in_range(hour, &[1, 2], 24) && in_range(minute, &[2], 60) && in_range(second, &[2], 60)
        }
        _ => false,
    }
}

fn is_date(text: &str) -> bool {
    if text.contains(['年', '月', '日']) {
        return is_chinese_date(text);
    }
    ['-', '/', '.'].into_iter().any(|joint| {
        let parts: Vec<&str> = text.split(joint).collect();
        match parts.as_slice() {
            [year, month, day] => is_calendar_day(Some(year), month, Some(day)),
            [year, month] if year.len() == 4 => is_calendar_day(Some(year), month, None),
            [month, day] => is_calendar_day(None, month, Some(day)),
            _ => false,
        }
    })
}

/// `y年m月d日`, `y年m月` or `m月d日`.
fn is_chinese_date(text: &str) -> bool {
    let (year, rest) = match text.split_once('年') {
        Some((year, rest)) => (Some(year), rest),
        None => (None, text),
    };
    let Some((month, rest)) = rest.split_once('月') else {
        return false;
    };
    match (rest.strip_suffix('日'), rest.is_empty()) {
        (Some(day), _) => is_calendar_day(year, month, Some(day)),
        (None, true) => year.is_some() && is_calendar_day(year, month, None),
        (None, false) => false,
    }
}

fn is_calendar_day(year: Option<&str>, month: &str, day: Option<&str>) -> bool {
    let short = |part: &str| matches!(part.len(), 1 | 2);
    if year.is_some_and(|year| year.len() != 4) || !short(month) || !day.is_none_or(short) {
        return false;
    }
    // Without a year 29 February is a day; 2000 is a leap year.
    let year = year
        .map_or(Some(2000), number_of)
        .and_then(|year| i32::try_from(year).ok());
    let day = day.map_or(Some(1), number_of);
    let date = year
        .zip(number_of(month))
        .zip(day)
        .and_then(|((year, month), day)| NaiveDate::from_ymd_opt(year, month, day));
    date.is_some()
}

/// Digits only: `parse` alone would take a sign.
fn number_of(text: &str) -> Option<u32> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

fn is_number(value: &str) -> bool {
    is_unsigned_decimal(value.strip_prefix('-').unwrap_or(value), usize::MAX)
}

fn is_unsigned_decimal(value: &str, most_integer_digits: usize) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (integer, decimals) = match value.split_once('.') {
        Some((integer, decimals)) => (integer, Some(decimals)),
        None => (value, None),
    };
    digits(integer) && integer.len() <= most_integer_digits && decimals.is_none_or(digits)
}

fn is_amount(value: &str) -> bool {
    let value = value
        .strip_prefix(['¥', '￥', '$', '€', '£'])
        .unwrap_or(value);
    is_unsigned_decimal(value.strip_suffix('元').unwrap_or(value), 10)
}

fn is_phone_number(value: &str) -> bool {
    let value = value.strip_prefix('+').unwrap_or(value);
    value.bytes().any(|byte| byte.is_ascii_digit())
        && value
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-')
}

/// First and last may be Chinese (粤A8Z888挂), the rest letters and digits.
fn is_car_number(value: &str) -> bool {
    let characters: Vec<char> = value.chars().collect();
    let last = characters.len() - 1;
    characters
        .iter()
        .enumerate()
        .all(|(at, c)| c.is_ascii_alphanumeric() || ((at == 0 || at == last) && is_han(*c)))
}

/// At most 10 when any character is Chinese, else at most 20; digits are no part of a name.
fn is_name(value: &str, length: usize) -> bool {
    let most = if value.chars().any(is_han) { 10 } else { 20 };
    length <= most && !value.chars().any(char::is_numeric)
}

fn is_han(c: char) -> bool {
    matches!(u32::from(c),
        0x3007 | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x2_0000..=0x3_23af)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(key: &str, value: &str) -> Result<(), FieldFault> {
        let choices = ["高".to_owned(), "低".to_owned()];
        FieldType::of_key(key).unwrap().check(value, &choices)
    }

    #[test]
    fn every_type_accepts_what_its_rule_allows() {
        let cases = [
            ("thing1", "一二三四五六七八九十一二三四五六七八九十"),
            ("thing2", "Order #12, 张先生!"),
            ("number1", "-12.5"),
            ("number1", "12345678901234567890123456789012"),
            ("letter1", "abcXYZ"),
            ("symbol1", "!?#%&"),
            ("symbol1", "，。"),
            ("character_string1", "SF-2024/10 #1"),
            ("time1", "15:01"),
            ("time1", "15:01:59"),
            ("time1", "2019年10月1日 15:01"),
            ("time1", "2019年10月1日15:01"),
            ("time1", "2019-10-01 15:01~2019-10-01 16:01"),
            ("time1", "15:01~16:01"),
            ("time1", "2019年10月1日"),
            ("date1", "2019年10月1日"),
            ("date1", "2019年10月"),
            ("date1", "10月1日"),
            ("date1", "2018-01-01"),
            ("date1", "2018/01/01"),
            ("date1", "2018.01.01"),
            ("date1", "2018-01"),
            ("date1", "01-01"),
            ("date1", "02-29"),
            ("date1", "2018-01-01 15:01"),
            ("date1", "2018-01-01~2018-01-02"),
            ("amount1", "¥100.5"),
            ("amount1", "100元"),
            ("amount1", "1234567890"),
            ("phone_number1", "+86-0766-66888866"),
            ("phone_number1", "13800138000"),
            ("car_number1", "粤A8Z888挂"),
            ("car_number1", "A12345"),
            ("name1", "欧阳一二三四五六七八"),
            ("name1", "abcdefghij klmnopqr."),
            ("phrase1", "配送中"),
            ("enum1", "高"),
        ];
        for (key, value) in cases {
            assert_eq!(verdict(key, value), Ok(()), "{key} = {value}");
        }
    }

    #[test]
    fn every_type_refuses_what_its_rule_forbids() {
        let cases = [
            ("thing1", "一二三四五六七八九十一二三四五六七八九十一"),
            // Ten characters outside the basic plane are twenty UTF-16 units, eleven are too many.
            ("thing1", "😀😀😀😀😀😀😀😀😀😀😀"),
            ("thing1", "two\nlines"),
            ("number1", "12a"),
            ("number1", "1."),
            ("number1", ".5"),
            ("number1", "+5"),
            ("number1", "123456789012345678901234567890123"),
            ("letter1", "abc1"),
            ("letter1", "abcdefghijklmnopqrstuvwxyzabcdefg"),
            ("symbol1", "!?#%&*"),
            ("symbol1", "a"),
            ("symbol1", "中"),
            ("character_string1", "订单1"),
            ("character_string1", "123456789012345678901234567890123"),
            ("time1", "25:00"),
            ("time1", "15:1"),
            ("time1", "15:01～16:01"),
            ("time1", "2019-10-01T15:01"),
            ("time1", "明天"),
            ("time1", "+9:00"),
            ("date1", "15:01"),
            ("date1", "2019-13-01"),
            ("date1", "2019-02-29"),
            ("date1", "19年1月1日"),
            ("date1", "2019年"),
            ("amount1", "12345678901"),
            ("amount1", "¥¥1"),
            ("amount1", "一百元"),
            ("phone_number1", "138 0013 8000"),
            ("phone_number1", "+86-0766-668888661"),
            ("phone_number1", "+-"),
            ("car_number1", "粤A8Z8888挂"),
            ("car_number1", "A粤8Z888"),
            ("name1", "张三1"),
            ("name1", "一二三四五六七八九十一"),
            ("name1", "abcdefghij张"),
            ("name1", "abcdefghijklmnopqrstu"),
            ("phrase1", "一二三四五六"),
            ("phrase1", "ok"),
            ("phrase1", "??"),
            ("enum1", "中"),
        ];
        for (key, value) in cases {
            assert_eq!(
                verdict(key, value),
                Err(FieldFault::Invalid),
                "{key} = {value}"
            );
        }
    }

    #[test]
    fn blank_is_empty_for_every_type() {
        for key in [
            "thing1",
            "number1",
            "time1",
            "phrase1",
            "enum1",
            "character_string1",
        ] {
            assert_eq!(verdict(key, ""), Err(FieldFault::Empty), "{key}");
            assert_eq!(verdict(key, " \n"), Err(FieldFault::Empty), "{key}");
        }
    }

    #[test]
    fn the_text_is_cut_thirty_bytes_after_the_exclamation_mark() {
        let cases = [
            (
                FieldFault::Invalid,
                "thing23",
                "argument invalid! data.thing23.value invalid",
            ),
            (
                FieldFault::Empty,
                "thing3",
                "argument invalid! data.thing3.value is empty",
            ),
            (
                FieldFault::Invalid,
                "character_string1",
                "argument invalid! data.character_string1.value i",
            ),
        ];
        for (fault, key, text) in cases {
            assert_eq!(fault.text(key), text);
        }
    }

    #[test]
    fn a_key_without_a_number_or_with_an_unknown_type_is_no_keyword() {
        for key in ["thing", "things1", "1", ""] {
            assert_eq!(FieldType::of_key(key), None, "{key}");
        }
    }
}
