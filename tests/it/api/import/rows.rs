use serde_json::json;

use super::{faults, file_of, import};
use crate::api::Office;
use crate::harness::{TestDatabase, on_each_database};

on_each_database!(
    every_column_is_read_under_both_of_its_names,
    all_faults_are_told_and_nothing_is_entered,
    the_rows_that_are_right_are_entered_if_asked,
    a_file_without_a_right_row_enters_nothing,
    more_faults_than_are_kept_are_counted,
);

async fn every_column_is_read_under_both_of_its_names(database: &TestDatabase) {
    let office = Office::open(database).await;
    let chinese = "\u{feff}姓名,手机号,微信号,线索来源,服务类别,线索等级,合同状态,备注,负责人\r\n\
        王女士,13800138999,wang,抖音,月嫂,A类,签约中,\"第一行\n\"\"第二行\"\"\",li\r\n";
    let english = "assignedTo,remarks,contractStatus,leadLevel,serviceCategory,leadSource,wechatId,phone,name\n\
        ,,,,,转介绍,zhao,,赵先生\n";
    for file in [chinese, english] {
        let done = import(&office.api, &office.zhang, "", file).await;
        assert_eq!(done["state"], "done", "{done}");
        assert_eq!((&done["total"], &done["imported"]), (&json!(1), &json!(1)));
        assert_eq!(done["errors"], json!([]));
    }
    let customer = async |search: &str| {
        let path = format!("/api/customers?search={search}");
        let page = office.api.get(&office.admin, &path).await.data();
        let id = page["items"][0]["id"].as_str().unwrap().to_owned();
        (office.customer(&id).await, office.history(&id).await)
    };
    let (wang, history) = customer("wang").await;
    for (field, value) in [
        ("name", json!("王女士")),
        ("phone", json!("13800138999")),
        ("leadSource", json!("抖音")),
        ("serviceCategory", json!("月嫂")),
        ("leadLevel", json!("A类")),
        ("contractStatus", json!("签约中")),
        ("remarks", json!("第一行\n\"第二行\"")),
        ("assignedTo", json!(office.li.id)),
        ("assignedBy", json!(office.zhang.id)),
        ("createdBy", json!(office.zhang.id)),
        ("inPublicPool", json!(false)),
        ("claimCount", json!(0)),
        ("version", json!(1)),
    ] {
        assert_eq!(wang[field], value, "{field}");
    }
    assert_eq!(history.len(), 1);
    assert_eq!(history[0]["entrance"], "import");
    assert_eq!(history[0]["toUserId"], json!(office.li.id));
    let (zhao, _) = customer("zhao").await;
    assert_eq!(zhao["assignedTo"], json!(office.zhang.id));
    assert_eq!(zhao["contractStatus"], "待定");
    assert_eq!(zhao["remarks"], json!(null));
}

/// A row each of everything that can be wrong with one; the third line is right.
const FAULTY: &str = "姓名,手机号,微信号,线索来源,服务类别,备注,负责人\n\
    老客户,13900139000,,美团,,,\n\
    王女士,13800138999,,美团,月嫂,\"两\n行\",li\n\
    ,13800138998,,美团,,,\n\
    赵先生,1380013899,,报纸,,,\n\
    钱女士,,,美团,保姆,,\n\
    孙先生,13800138999,,美团,,,\n\
    李女士,13800138997,wx-old,美团,,,\n\
    周先生,13800138996,,美团,,,nobody\n\
    吴先生,13800138995,,美团,,,wang\n\
    郑女士,13800138994\n";

async fn stage<'a>(database: &'a TestDatabase) -> Office<'a> {
    let office = Office::open(database).await;
    database.lead("老客户", "13900139000", &office.li).await;
    let body = json!({ "name": "老微信", "wechatId": "wx-old", "leadSource": "美团" });
    let entered = office.api.post(&office.admin, "/api/customers", &body);
    entered.await.data();
    let path = format!("/api/users/{}", office.wang.id);
    let body = json!({ "active": false });
    office.api.patch(&office.admin, &path, &body).await.data();
    office
}

const FAULTS: [&str; 11] = [
    "2 手机号 该手机号已存在客户记录",
    "5 姓名 字段 姓名 不能为空",
    "6 手机号 手机号格式不正确",
    "6 线索来源 线索来源只能是：美团、抖音、快手、小红书、转介绍、99保姆网、杭州同馨、握个手平台、线索购买、莲心、美家、天机鹿、孕妈联盟、高阁、星星、妈妈网、犀牛、宝宝树、幼亲舒、熊猫、官网、其他",
    "7 - 请填写手机号或微信号",
    "7 服务类别 服务类别只能是：月嫂、住家育儿嫂、保洁、住家保姆、养宠、小时工、白班育儿、白班保姆、住家护老、家教、陪伴师",
    "8 手机号 与第 3 行的手机号重复",
    "9 微信号 该微信号已存在客户记录",
    "10 负责人 指定的负责人不存在",
    "11 负责人 指定的负责人未激活",
    "12 - 列数不一致：表头有 7 列，此行有 2 列",
];

async fn all_faults_are_told_and_nothing_is_entered(database: &TestDatabase) {
    let office = stage(database).await;
    let told = database.news().await;
    let failed = import(&office.api, &office.sun, "", FAULTY).await;
    assert_eq!(faults(&failed), FAULTS);
    assert_eq!(failed["state"], "failed");
    assert_eq!(failed["failure"]["code"], "invalid_rows");
    assert_eq!(
        failed["failure"]["message"],
        "文件中有错误，未导入任何客户；请修改后重新上传"
    );
    for (figure, number) in [
        ("total", 10),
        ("imported", 0),
        ("invalid", 9),
        ("errorCount", 11),
    ] {
        assert_eq!(failed[figure], number, "{figure}");
    }
    assert_eq!(customer_count(&office).await, 2);
    assert_eq!(database.news().await, told);
}

async fn the_rows_that_are_right_are_entered_if_asked(database: &TestDatabase) {
    let office = stage(database).await;
    let done = import(&office.api, &office.sun, "?skipInvalid=true", FAULTY).await;
    assert_eq!(done["state"], "done");
    assert_eq!(done["failure"], json!(null));
    assert_eq!(faults(&done), FAULTS);
    for (figure, number) in [("total", 10), ("imported", 1), ("invalid", 9)] {
        assert_eq!(done[figure], number, "{figure}");
    }
    assert_eq!(customer_count(&office).await, 3);
    let seen = office.api.get(&office.li, "/api/customers?search=王女士");
    assert_eq!(seen.await.data()["total"], 1);
}

async fn a_file_without_a_right_row_enters_nothing(database: &TestDatabase) {
    let office = stage(database).await;
    let told = database.news().await;
    let file = "姓名,手机号,线索来源\n王女士,1,美团\n";
    let done = import(&office.api, &office.sun, "?skipInvalid=true", file).await;
    assert_eq!(
        (&done["state"], &done["imported"]),
        (&json!("done"), &json!(0))
    );
    assert_eq!(customer_count(&office).await, 2);
    assert_eq!(database.news().await, told);
}

async fn more_faults_than_are_kept_are_counted(database: &TestDatabase) {
    let office = Office::open(database).await;
    let file = file_of(0, 250).replace("美团", "报纸");
    let failed = import(&office.api, &office.sun, "", &file).await;
    assert_eq!(failed["errorCount"], 250);
    assert_eq!(failed["invalid"], 250);
    let told = faults(&failed);
    assert_eq!(told.len(), 200);
    assert!(told[0].starts_with("2 线索来源") && told[199].starts_with("201 "));
}

async fn customer_count(office: &Office<'_>) -> i64 {
    let page = office.api.get(&office.admin, "/api/customers").await.data();
    page["total"].as_i64().unwrap()
}
