//! The list of templates.

use serde_json::json;

use crate::harness::{Wire, errcode};

#[tokio::test]
async fn templates_are_listed_as_the_platform_lists_them() {
    let wire = Wire::start().await;
    let token = wire.token().await;
    wire.control(
        "templates",
        json!({"templateId": "AAA", "title": "状态", "type": 3,
        "fields": [{"key": "enum5", "name": "级别", "values": ["高", "低"]}]}),
    )
    .await;
    let answer = wire
        .get(&format!("/wxaapi/newtmpl/gettemplate?access_token={token}"))
        .await;
    assert_eq!(errcode(&answer), 0);
    let listed = answer["data"].as_array().unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0]["priTmplId"], "AAA");
    assert_eq!(listed[0]["type"], 3);
    assert_eq!(
        listed[0]["keywordEnumValueList"],
        json!([{"keywordCode": "enum5", "enumValueList": ["高", "低"]}])
    );
    assert_eq!(
        listed[1]["content"],
        "客户姓名:{{thing1.DATA}}\n客户来源:{{thing2.DATA}}\n分配人:{{name3.DATA}}\n\
         分配时间:{{time4.DATA}}"
    );
    assert_eq!(
        errcode(&wire.get("/wxaapi/newtmpl/gettemplate").await),
        41001
    );
}
