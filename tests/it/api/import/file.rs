use std::io::{Read, Write};
use std::net::TcpStream;

use reqwest::Method;

use super::{file_of, send_file};
use crate::api::Office;
use crate::harness::{TestApi, TestDatabase, on_each_database};

on_each_database!(
    a_file_that_is_no_table_of_customers_is_refused_with_the_way_out,
    a_file_in_another_encoding_is_refused_with_its_name,
    a_body_that_is_no_csv_is_refused,
    a_file_that_is_too_large_is_refused_before_it_has_come,
    one_row_too_many_is_refused,
);

async fn a_file_that_is_no_table_of_customers_is_refused_with_the_way_out(database: &TestDatabase) {
    let office = Office::open(database).await;
    let before = database.contents().await;
    for (file, message) in [
        ("", "文件为空，请上传包含表头和数据的 CSV 文件"),
        ("姓名,手机号,线索来源\n", "文件只有表头，没有数据"),
        ("姓名,手机号\n王女士,13800138999\n", "缺少列：线索来源"),
        ("姓名,线索来源\n王女士,美团\n", "缺少列：手机号或微信号"),
        ("姓名,name,手机号,线索来源\n", "列重复：姓名"),
        (
            "姓名,手机号,线索来源,生日\n",
            "不支持的列：生日；支持的列：姓名、手机号、微信号、线索来源、服务类别、线索等级、合同状态、备注、负责人",
        ),
        (
            "姓名,手机号,线索来源\n王女士,13800138999,\"美团\n",
            "从第 2 行开始有未闭合的引号",
        ),
    ] {
        let answer = send_file(&office.api, &office.zhang, "", file).await;
        assert_eq!(answer.said(), (400, message));
        assert_eq!(answer.body["error"]["details"]["field"], "file");
    }
    let query = send_file(&office.api, &office.zhang, "?skip=true", "姓名").await;
    assert_eq!(query.said(), (400, "不支持的字段：skip"));
    database.assert_unchanged_since(&before).await;
}

async fn a_file_in_another_encoding_is_refused_with_its_name(database: &TestDatabase) {
    let office = Office::open(database).await;
    let before = database.contents().await;
    // 姓名,手机号,线索来源
    let gbk = b"\xd0\xd5\xc3\xfb,\xca\xd6\xbb\xfa\xba\xc5,\xcf\xdf\xcb\xf7\xc0\xb4\xd4\xb4\r\n";
    let utf16 = b"\xff\xfe\xd3\x59\x0d\x54";
    for (bytes, name) in [
        (gbk.to_vec(), "看起来是 GBK/GB18030"),
        (utf16.to_vec(), "看起来是 UTF-16"),
        (b"abc\xff".to_vec(), "无法识别"),
    ] {
        let answer = send_file(&office.api, &office.zhang, "", bytes).await;
        let message = format!(
            "文件编码不是 UTF-8（{name}），请在 Excel 中选择“另存为”“CSV UTF-8（逗号分隔）”后重新上传"
        );
        assert_eq!(answer.said(), (400, message.as_str()));
    }
    database.assert_unchanged_since(&before).await;
}

async fn a_body_that_is_no_csv_is_refused(database: &TestDatabase) {
    let office = Office::open(database).await;
    let send = async |kind: &str| {
        let request = office.api.request(Method::POST, "/api/customers/import");
        let request = request.bearer_auth(&office.zhang.token);
        TestApi::send(request.header("content-type", kind).body(file_of(0, 1))).await
    };
    for kind in ["application/json", "multipart/form-data; boundary=x"] {
        let answer = send(kind).await;
        assert_eq!(answer.said(), (415, "请求体必须是 text/csv"), "{kind}");
    }
    let answer = send("text/csv; charset=GBK").await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.body["error"]["details"]["field"], "Content-Type");
    assert_eq!(send("TEXT/CSV; charset=\"UTF-8\"").await.status, 202);
}

async fn a_file_that_is_too_large_is_refused_before_it_has_come(database: &TestDatabase) {
    let office = Office::open(database).await;
    let before = database.contents().await;
    let head = |length: &str| {
        format!(
            "POST /api/customers/import HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
             Content-Type: text/csv\r\n{length}\r\n\r\n",
            office.zhang.token
        )
    };
    // 50 MB are announced, and nothing comes.
    let announced = exchange(&office.api, &head("Content-Length: 50000000"), 0).await;
    assert!(announced.starts_with("HTTP/1.1 413"), "{announced}");
    // The same with a key, whose middleware wants to read the body.
    let with_key = head("Idempotency-Key: k\r\nContent-Length: 50000000");
    assert!(
        exchange(&office.api, &with_key, 0)
            .await
            .starts_with("HTTP/1.1 413")
    );
    // Nothing is announced, and it comes without an end: chunks of 64 KiB.
    let unannounced = exchange(&office.api, &head("Transfer-Encoding: chunked"), 200).await;
    assert!(unannounced.starts_with("HTTP/1.1 413"), "{unannounced}");
    assert!(unannounced.contains("请求体过大，最大允许 10 MiB"));
    database.assert_unchanged_since(&before).await;
}

async fn one_row_too_many_is_refused(database: &TestDatabase) {
    let office = Office::open(database).await;
    let before = database.contents().await;
    let answer = send_file(&office.api, &office.zhang, "", file_of(0, 10_001)).await;
    assert_eq!(
        answer.said(),
        (422, "文件超过 10000 行数据，请拆分后分别导入")
    );
    database.assert_unchanged_since(&before).await;
}

/// Sends a head and that many chunks of 64 KiB, without an end; answers what comes back.
async fn exchange(api: &TestApi, head: &str, chunks: usize) -> String {
    let address = api.url().replace("http://", "");
    let head = head.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));
        for _ in 0..chunks {
            // The server hangs up as soon as it is too much.
            if stream.write_all(chunk.as_bytes()).is_err() {
                break;
            }
        }
        let mut answer = Vec::new();
        let mut part = [0; 4_096];
        while let Ok(length @ 1..) = stream.read(&mut part) {
            answer.extend_from_slice(&part[..length]);
            if answer.ends_with(b"}") {
                break;
            }
        }
        String::from_utf8_lossy(&answer).into_owned()
    })
    .await
    .unwrap()
}
