//! What a message says of a member, whatever stands in the row.

use serde_json::{Value, json};
use shared::outbox::PAYLOAD_BYTES_MAX;

use super::{only_pending, route, withdraw};
use crate::harness::{TestDatabase, on_each_database};

on_each_database! {
    codes_are_words_and_the_phone_number_is_masked,
    what_is_missing_or_blank_is_said_to_be_missing,
    whatever_is_no_code_is_shown_as_it_is,
    an_installation_may_have_codes_of_its_own,
    any_text_survives,
    texts_far_over_the_limits_are_cut,
}

/// What the message of this one member says, without the id and the time.
async fn said(database: &TestDatabase, columns: &str, values: &str) -> Value {
    database.shell(&format!(
        "INSERT INTO members (member_no{columns}) VALUES ('M1'{values})"
    ));
    let (_, mut payload) = only_pending(database).await;
    let payload_fields = payload.as_object_mut().unwrap();
    for field in ["memberId", "time"] {
        let text = payload_fields.remove(field).unwrap();
        assert!(!text.as_str().unwrap().is_empty());
    }
    withdraw(database);
    database.shell("DELETE FROM members");
    payload
}

fn nothing_known() -> Value {
    let missing = "未填写";
    json!({
        "memberNo": "M1", "nickname": missing, "gender": missing, "birthYear": missing,
        "height": missing, "weight": missing, "education": missing, "occupation": missing,
        "location": missing, "phone": missing,
    })
}

async fn codes_are_words_and_the_phone_number_is_masked(database: &TestDatabase) {
    route(database);
    let said = said(
        database,
        ", nickname, wechat, phone, gender, birth_year, height, weight, province, city, district, \
         education, occupation, income, marital_status, self_introduction, partner_requirements",
        ", ' 小满 ', 'wx1', '13800138999', 'FEMALE', 1990, 172, 60, '浙江', '杭州', '西湖区', 'Bachelor', \
         'teacher', '20-30万', 'single', '爱好登山', '有责任心'",
    )
    .await;
    assert_eq!(
        said,
        json!({
            "memberNo": "M1", "nickname": "小满", "gender": "女", "birthYear": "1990", "height": "172cm",
            "weight": "60kg", "education": "本科", "occupation": "教师", "location": "浙江 杭州 西湖区",
            "phone": "138****8999",
        })
    );
}

async fn what_is_missing_or_blank_is_said_to_be_missing(database: &TestDatabase) {
    route(database);
    assert_eq!(said(database, "", "").await, nothing_known());
    let columns = ", nickname, phone, gender, birth_year, height, weight, province, city, district, education, occupation";
    for blank in ["NULL", "''", "'  '", "'\u{3000}\t\u{a0}\n'"] {
        let number = if blank == "NULL" { "NULL" } else { "0" };
        let values = format!(
            ", {blank}, {blank}, {blank}, {number}, {number}, {number}, {blank}, {blank}, {blank}, {blank}, {blank}"
        );
        assert_eq!(
            said(database, columns, &values).await,
            nothing_known(),
            "{blank:?}"
        );
    }
}

async fn whatever_is_no_code_is_shown_as_it_is(database: &TestDatabase) {
    route(database);
    for (column, value, field, word) in [
        ("gender", "'男'", "gender", "男"),
        ("gender", "'M'", "gender", "男"),
        ("gender", "'2'", "gender", "女"),
        ("gender", "'unknown'", "gender", "未填写"),
        ("education", "'双学位'", "education", "双学位"),
        ("occupation", "'doctor'", "occupation", "医生"),
        ("education", "'doctor'", "education", "博士"),
        ("occupation", "'宠物医生'", "occupation", "宠物医生"),
        ("province, city", "'北京', '北京'", "location", "北京"),
        (
            "province, district",
            "'北京', '朝阳区'",
            "location",
            "北京 朝阳区",
        ),
        ("city", "'杭州'", "location", "杭州"),
        ("phone", "'110'", "phone", "****"),
        ("phone", "'+8613800138999'", "phone", "+86****8999"),
    ] {
        let said = said(database, &format!(", {column}"), &format!(", {value}")).await;
        assert_eq!(said[field], word, "{column} = {value}");
    }
}

async fn an_installation_may_have_codes_of_its_own(database: &TestDatabase) {
    route(database);
    database.shell(
        "INSERT INTO member_labels (field, code, label) VALUES ('education', 'dual', '双学位'); \
         UPDATE member_labels SET label = '女士' WHERE field = 'gender' AND code = 'female'",
    );
    let said = said(database, ", gender, education", ", 'female', 'DUAL'").await;
    assert_eq!(
        (&said["gender"], &said["education"]),
        (&json!("女士"), &json!("双学位"))
    );
}

async fn any_text_survives(database: &TestDatabase) {
    route(database);
    for text in [
        "😀👨‍👩‍👧‍👦",
        "𠮷野家",
        "a\"b\\c'd/e",
        "{\"changedFields\":\"城市\"}",
        "{{memberNo}}",
        "a\u{1}b\u{1f}c\u{7f}d",
        "a\tb\nc\rd",
        "\u{202e}反\u{200b}",
        "null",
    ] {
        let quoted = format!(", '{}'", text.replace('\'', "''"));
        let said = said(database, ", nickname", &quoted).await;
        assert_eq!(said["nickname"], text);
    }
}

async fn texts_far_over_the_limits_are_cut(database: &TestDatabase) {
    route(database);
    let long = "😀".repeat(20_000);
    let control = "\u{1}".repeat(20_000);
    for (number, text) in [("M1", &long), ("M2", &control)] {
        database.shell(&format!(
            "INSERT INTO members (member_no, nickname, gender, province, city, district, education, occupation, \
             phone, wechat, self_introduction) VALUES ('{number}', '{text}', '{text}', '{text}', '{text}', '{text}', \
             '{text}', '{text}', '{text}', '{text}', '{text}')"
        ));
        let (message, payload) = only_pending(database).await;
        assert!(message.payload.len() < PAYLOAD_BYTES_MAX / 2);
        let nickname: String = text.chars().take(200).collect();
        assert_eq!(payload["nickname"], nickname);
        withdraw(database);
    }
}
