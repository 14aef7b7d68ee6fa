use proptest::prelude::*;

use super::*;
use FieldType::{
    Amount, CarNumber, CharacterString, Date, Letter, Name, Number, PhoneNumber, Phrase, Symbol,
    Thing, Time,
};

#[test]
fn the_official_examples_are_accepted_and_left_alone() {
    let examples = [
        (Thing, "任意汉字、数字、字母或符号组合"),
        (Thing, "👨‍👩‍👧 一家三口"),
        (Number, "12"),
        (Number, "-3.50"),
        (Letter, "abcXYZ"),
        (Symbol, "@#￥%&"),
        (CharacterString, "NO.2026-11/21 a_b"),
        (Time, "15:01"),
        (Time, "2019年10月1日 15:01"),
        (Time, "2019年10月1日15:01:59"),
        (Time, "2026-11-21 09:30~18:30"),
        (Time, "2026年11月21日 12:24"),
        (Time, "2019年10月1日"),
        (Date, "2019年10月1日"),
        (Date, "2019年10月"),
        (Date, "10月1日"),
        (Date, "2018-01-01"),
        (Date, "2018/01/01 08:00"),
        (Date, "2018.01.01~2018.02.01"),
        (Date, "2018-01"),
        (Date, "01-01"),
        (Amount, "￥100"),
        (Amount, "$99.50"),
        (Amount, "1234567890元"),
        (PhoneNumber, "+86-0766-66888866"),
        (PhoneNumber, "13800138000"),
        (CarNumber, "粤A8Z888挂"),
        (CarNumber, "京AD12345"),
        (Name, "王小明"),
        (Name, "Alexander Smith-Jone"),
        (Name, "阿卜杜拉·买买提"),
        (Phrase, "配送中"),
    ];
    for (field_type, value) in examples {
        assert_eq!(check(field_type, value), Ok(()), "{field_type:?} {value}");
        assert_eq!(clamp(field_type, value), value, "{field_type:?}");
    }
}

#[test]
fn what_the_platform_refuses_is_found() {
    use FieldProblem::{Blank, Forbidden, TooLong};
    let cases = [
        (Thing, "", Blank),
        (Thing, " \u{3000}\u{200B}", Blank),
        (
            Thing,
            "一二三四五六七八九十一二三四五六七八九十一",
            TooLong {
                length: 21,
                limit: 20,
            },
        ),
        (
            Thing,
            "😀😀😀😀😀😀😀😀😀😀a",
            TooLong {
                length: 21,
                limit: 20,
            },
        ),
        (Thing, "a\nb", Forbidden { character: '\n' }),
        (
            Thing,
            "a\u{202E}b",
            Forbidden {
                character: '\u{202E}',
            },
        ),
        (Letter, "ab1", Forbidden { character: '1' }),
        (Symbol, "!a", Forbidden { character: 'a' }),
        (CharacterString, "订单1", Forbidden { character: '订' }),
        (PhoneNumber, "138****8999", Forbidden { character: '*' }),
        (
            PhoneNumber,
            "123456789012345678",
            TooLong {
                length: 18,
                limit: 17,
            },
        ),
        (CarNumber, "粤粤8Z888", Forbidden { character: '粤' }),
        (Name, "张三2", Forbidden { character: '2' }),
        (
            Name,
            "Smith先生和他的太太们",
            TooLong {
                length: 13,
                limit: 10,
            },
        ),
        (Phrase, "-", Forbidden { character: '-' }),
        (
            Phrase,
            "正在配送途中",
            TooLong {
                length: 6,
                limit: 5,
            },
        ),
    ];
    for (field_type, value, problem) in cases {
        assert_eq!(
            check(field_type, value),
            Err(problem),
            "{field_type:?} {value}"
        );
    }
    let malformed = [
        (Number, "1,000"),
        (Number, "1."),
        (Number, "-"),
        (Time, "24:00"),
        (Time, "9:5"),
        (Time, "09:30～18:30"),
        (Time, "-"),
        (Date, "15:01"),
        (Date, "2019-13-01"),
        (Date, "2019-10-0115:01"),
        (Date, "2019-10-01T15:01"),
        (Amount, "12345678901"),
        (Amount, "100 元"),
        (Amount, "元"),
        (PhoneNumber, "+"),
    ];
    for (field_type, value) in malformed {
        assert!(check(field_type, value).is_err(), "{field_type:?} {value}");
    }
}

#[test]
fn texts_are_cut_and_cleaned_the_way_a_reader_would() {
    let cases = [
        (
            Thing,
            "一二三四五六七八九十一二三四五六七八九十一",
            "一二三四五六七八九十一二三四五六七八九…",
        ),
        (
            Thing,
            "一二三四五六七八九十一二三四五六七八九十",
            "一二三四五六七八九十一二三四五六七八九十",
        ),
        // The family does not fit whole (18 + 8 units), so none of it stays.
        (Thing, "123456789012345678👨‍👩‍👧", "123456789012345678…"),
        // A letter keeps its accent, a flag both halves, a heart its colour.
        (Thing, "123456789012345678e\u{301}xx", "123456789012345678…"),
        (Thing, "1234567890123456🇨🇳xx", "1234567890123456…"),
        (
            Thing,
            "123456789012345678❤\u{FE0F}xx",
            "123456789012345678…",
        ),
        (Thing, " 张三\r\n\t李四\u{7} ", "张三 李四"),
        (Thing, "\u{200D}\u{FE0F}", "-"),
        (Thing, "", "-"),
        (Number, "共 1,234.5 元", "1234.5"),
        (Number, "３个", "3"),
        (Number, "-7℃", "-7"),
        (Number, "没有", "0"),
        (Letter, "ＡＢ级1", "AB"),
        (Letter, "一", "NA"),
        (Symbol, "a！？", "！？"),
        (Symbol, "abc", "-"),
        (CharacterString, "编号：ＡＢ１２", ":AB12"),
        (CharacterString, "无", "-"),
        (
            Time,
            "２０２６年１１月２１日　１２：２４",
            "2026年11月21日 12:24",
        ),
        (Time, "上午 09:30～18:30 到店", "09:30~18:30"),
        (Time, "2026-11-21T12:24:39Z", "2026-11-21"),
        (Time, "待定", "00:00"),
        (Date, "预约于2026-11-21 12:00，勿迟到", "2026-11-21 12:00"),
        (Date, "2026年11月21日99", "2026年11月21日"),
        (Date, "12026-11-21", "1970-01-01"),
        (Date, "15:01", "1970-01-01"),
        (Amount, "￥1,299.00", "￥1299.00"),
        (Amount, "约 100 元", "100元"),
        (Amount, "123456789012元", "9999999999元"),
        (Amount, "＄５", "$5"),
        (Amount, "面议", "0"),
        (PhoneNumber, "138****8999", "138----8999"),
        (PhoneNumber, "(010) 6688 8866", "01066888866"),
        (PhoneNumber, "未填写", "-"),
        (CarNumber, "京A·12345", "京A12345"),
        (CarNumber, "没有车牌", "没牌"),
        (CarNumber, "-", "无"),
        (Name, "张三2", "张三"),
        (Name, "小王🌸", "小王"),
        (Name, "一二三四五六七八九十某某", "一二三四五六七八九十"),
        (Name, "123", "-"),
        (Phrase, "正在配送途中", "正在配送途"),
        (Phrase, "A类（已签约）", "类已签约"),
        (Phrase, "OK", "无"),
    ];
    for (field_type, text, expected) in cases {
        assert_eq!(clamp(field_type, text), expected, "{field_type:?} {text:?}");
    }
}

#[test]
fn keys_name_their_type() {
    for field_type in FieldType::ALL {
        for number in ["1", "01", "23"] {
            let key = format!("{}{number}", field_type.prefix());
            assert_eq!(FieldType::of_key(&key), Some(field_type));
        }
        assert_eq!(FieldType::of_key(field_type.prefix()), None);
    }
    for key in ["", "1", "things1", "enum1", "thing1x", "Thing1", "thing-1"] {
        assert_eq!(FieldType::of_key(key), None, "{key}");
    }
}

#[test]
fn the_bad_field_is_read_from_real_error_texts() {
    let cases = [
        (
            "argument invalid! data.thing23.value invalid rid: 6718a6a7-1-2",
            Some("thing23"),
        ),
        (
            "argument invalid! data.thing3.value is empty rid: 1",
            Some("thing3"),
        ),
        (
            "argument invalid! data.thing3.value is emtpy",
            Some("thing3"),
        ),
        (
            "argument invalid! data.character_string1.value i rid: 1",
            Some("character_string1"),
        ),
        (
            "argument invalid! data.phone_number6.value invalid",
            Some("phone_number6"),
        ),
        ("bad data. see data.name01.value", Some("name01")),
        ("data.thing.value invalid", None),
        ("data.1.value invalid", None),
        ("data.Thing1.value invalid", None),
        ("data.thing1 invalid", None),
        ("", None),
    ];
    for (errmsg, key) in cases {
        assert_eq!(field_in_errmsg(errmsg), key, "{errmsg}");
    }
}

/// Texts that come near the limits: full of what the types treat in a special way.
fn awkward_text() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "一",
        "张三",
        "𠮷",
        "a",
        "Z",
        "é",
        "e\u{301}",
        "0",
        "12",
        "３",
        "年",
        "月",
        "日",
        "元",
        "￥",
        "$",
        "-",
        "+",
        "*",
        ".",
        ",",
        ":",
        "：",
        "/",
        "~",
        "～",
        " ",
        "\u{3000}",
        "\n",
        "\u{0}",
        "\u{200B}",
        "\u{200D}",
        "\u{FE0F}",
        "\u{202E}",
        "👨‍👩‍👧",
        "🇨",
        "😀",
        "2026",
        "2026-11-21",
        "12:30",
        "23:59:59",
        "…",
        "·",
        "\u{3164}",
        "\u{300}",
    ]);
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_clamped_is_accepted(text in prop_oneof![any::<String>(), awkward_text()]) {
        for field_type in FieldType::ALL {
            let clamped = clamp(field_type, &text);
            prop_assert_eq!(check(field_type, &clamped), Ok(()), "{:?} {:?}", field_type, clamped);
            prop_assert_eq!(clamp(field_type, &clamped), clamped.clone(), "{:?}", field_type);
        }
    }

    #[test]
    fn an_error_text_never_panics(text in any::<String>()) {
        let errmsg = format!("data.{text}.value");
        if let Some(key) = field_in_errmsg(&errmsg) {
            let named = errmsg.contains(&format!("data.{key}.value"));
            prop_assert!(named);
        }
    }
}
