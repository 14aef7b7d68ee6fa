//! How long the list of customers takes when there are very many.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use diesel::prelude::*;
use diesel::sql_types::Text;
use reqwest::Client;
use serde_json::Value;
use shared::db::{DatabaseUrl, DbConnection};
use shared::domain::UserId;

use crate::arguments;
use crate::figures::{Durations, show_duration};
use crate::plan;
use crate::running_api::{RunningApi, client};
use crate::server::Server;
use crate::stage::Stage;
use crate::table::{self, say};

/// How many people have customers, in turn.
const PEOPLE: usize = 500;

/// How often each question is asked before it counts.
const WARM_UP: usize = 3;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asker {
    /// Who sees everybody.
    Admin,
    /// Who sees their own, about a thousandth of all.
    Employee,
}

/// What is asked of the list: in words, as a query, by whom.
struct Question(&'static str, &'static str, Asker);

/// Every filter, every sort, texts of every kind, the first pages and the last that can be asked for.
const QUESTIONS: &[Question] = &[
    Question("everybody, first page", "", Asker::Admin),
    Question("everybody, last page within reach", "page=10", Asker::Admin),
    Question("by update", "sortBy=updatedAt", Asker::Admin),
    Question(
        "by activity, longest ago first",
        "sortBy=lastActivityAt&sortOrder=asc",
        Asker::Admin,
    ),
    Question("by assignment", "sortBy=assignedAt", Asker::Admin),
    Question(
        "by assignment, last page",
        "sortBy=assignedAt&page=10",
        Asker::Admin,
    ),
    Question("a source (4.5 %)", "leadSource=抖音", Asker::Admin),
    Question(
        "a source by activity",
        "leadSource=抖音&sortBy=lastActivityAt",
        Asker::Admin,
    ),
    Question(
        "a source by activity, last page",
        "leadSource=抖音&sortBy=lastActivityAt&page=10",
        Asker::Admin,
    ),
    Question(
        "a category (9 %)",
        "serviceCategory=保洁&sortBy=updatedAt",
        Asker::Admin,
    ),
    Question("a level (13 %)", "leadLevel=A类", Asker::Admin),
    Question("a status (12.5 %)", "contractStatus=已签约", Asker::Admin),
    Question(
        "a source and a status",
        "leadSource=抖音&contractStatus=已签约&sortBy=lastActivityAt",
        Asker::Admin,
    ),
    Question(
        "the same, page 200",
        "leadSource=抖音&contractStatus=已签约&sortBy=lastActivityAt&page=200",
        Asker::Admin,
    ),
    Question(
        "four filters",
        "leadSource=抖音&contractStatus=已签约&leadLevel=A类&serviceCategory=保洁",
        Asker::Admin,
    ),
    Question("the public pool", "inPublicPool=true", Asker::Admin),
    Question(
        "outside of it, by activity",
        "inPublicPool=false&sortBy=lastActivityAt",
        Asker::Admin,
    ),
    Question(
        "a source in the pool",
        "inPublicPool=true&leadSource=抖音",
        Asker::Admin,
    ),
    Question("text: one character", "search=王", Asker::Admin),
    Question("text: one that nobody has", "search=鬱", Asker::Admin),
    Question("text: two characters", "search=王伟", Asker::Admin),
    Question("text: three characters", "search=王女士", Asker::Admin),
    Question(
        "text: three, by activity, last page",
        "search=王女士&sortBy=lastActivityAt&page=50",
        Asker::Admin,
    ),
    Question(
        "text: two and a source",
        "search=王伟&leadSource=抖音",
        Asker::Admin,
    ),
    Question("text: end of a number", "search=8999", Asker::Admin),
    Question("text: whole number", "search=13800138999", Asker::Admin),
    Question("text: nobody's number", "search=19999999999", Asker::Admin),
    Question(
        "text: beginning of a WeChat id",
        "search=WX_12345",
        Asker::Admin,
    ),
    Question("text: customer number", "search=CUS12345", Asker::Admin),
    Question("an employee's own", "", Asker::Employee),
    Question(
        "own by activity, page 50",
        "sortBy=lastActivityAt&page=50",
        Asker::Employee,
    ),
    Question("own of a source", "leadSource=抖音", Asker::Employee),
    Question("own by text", "search=王伟", Asker::Employee),
];

/// Measures and prints.
///
/// # Errors
/// If the database or the program fails, or a question is refused.
pub async fn run(
    url: Option<&DatabaseUrl>,
    arguments: &arguments::Customers,
) -> anyhow::Result<()> {
    // The API makes its first user in a database without any.
    let mut stage = Stage::open(url, 0).await?;
    let api = RunningApi::start(&stage, &[]).await?;
    stage.hire(PEOPLE).await?;
    let employee = api.employee("bench-own").await?;
    let filled = fill(&stage, arguments.customers, &employee.id).await?;
    let http = client()?;
    let mut rows = Vec::new();
    for question in QUESTIONS {
        let token = match question.2 {
            Asker::Admin => &api.token,
            Asker::Employee => &employee.token,
        };
        let ask = Ask::new(&http, &api.url, question, token);
        for _ in 0..WARM_UP {
            ask.once().await?;
        }
        let (mut took, mut found) = (Vec::new(), String::new());
        for _ in 0..arguments.times {
            let (time, total) = ask.once().await?;
            took.push(time);
            found = total;
        }
        let took = Durations::new(took);
        rows.push([
            question.0.to_owned(),
            found,
            show_duration(took.percentile(0.0)),
            show_duration(took.percentile(0.5)),
            show_duration(took.percentile(0.95)),
        ]);
    }
    api.program.stop().await?;

    say(&stage.describe()?);
    say(&format!(
        "{} customers of {PEOPLE} people, filled in {}; each question asked {} times by HTTP, one after the other",
        arguments.customers,
        humantime::format_duration(Duration::from_secs(filled.as_secs())),
        arguments.times
    ));
    table::print(["20 customers", "of", "best", "p50", "p95"], rows);
    if arguments.explain {
        explain(&mut stage).await?;
    }
    Ok(())
}

/// Asks once more, while the server writes down what it does.
async fn explain(stage: &mut Stage) -> anyhow::Result<()> {
    let Some(mut server) = Server::of(stage.url())? else {
        bail!("--explain: only PostgreSQL explains its plans");
    };
    let from = server.log_length()?;
    stage.log_plans()?;
    let api = RunningApi::start(stage, &[]).await?;
    let http = client()?;
    for question in QUESTIONS.iter().filter(|one| one.2 == Asker::Admin) {
        Ask::new(&http, &api.url, question, &api.token)
            .once()
            .await?;
    }
    api.program.stop().await?;
    plan::print(&server.log_from(from)?, "\"customers\"");
    Ok(())
}

/// A question to the API.
struct Ask<'a> {
    http: &'a Client,
    url: String,
    token: &'a str,
}

impl<'a> Ask<'a> {
    fn new(http: &'a Client, api: &str, question: &Question, token: &'a str) -> Self {
        Self {
            http,
            url: format!("{api}/api/customers?{}", question.1),
            token,
        }
    }

    /// How long the answer took, and how many customers match by it.
    async fn once(&self) -> anyhow::Result<(Duration, String)> {
        let request = self.http.get(&self.url).bearer_auth(self.token);
        let asked_at = Instant::now();
        let answer = request.send().await?;
        let status = answer.status();
        let said = answer.bytes().await?;
        let took = asked_at.elapsed();
        if !status.is_success() {
            bail!("{}: {status}: {}", self.url, String::from_utf8_lossy(&said));
        }
        let page: Value = serde_json::from_slice(&said)?;
        let total = page["data"]["total"].as_i64().context("no total")?;
        let exact = page["data"]["totalIsExact"] == true;
        let more = if exact { "" } else { "+" };
        Ok((took, format!("{total}{more}")))
    }
}

/// Puts so many customers into the tables, of which one in a thousand is the employee's.
async fn fill(stage: &Stage, customers: usize, employee: &UserId) -> anyhow::Result<Duration> {
    let began_at = Instant::now();
    let mut statements = Vec::new();
    // Ten times as fast as putting in one row after the other.
    let index = index_of_terms(&mut stage.connection()?)?;
    if index.is_some() {
        statements.push("DROP INDEX customers_by_term".to_owned());
    }
    statements.push(insert(stage, customers, employee));
    statements.extend(index);
    statements.push(if stage.url().is_embedded() {
        "ANALYZE".to_owned()
    } else {
        "VACUUM (ANALYZE) customers".to_owned()
    });
    stage.execute(statements).await?;
    stage.settle().await?;
    Ok(began_at.elapsed())
}

/// How the index of terms is made, where there is one.
fn index_of_terms(connection: &mut DbConnection) -> anyhow::Result<Option<String>> {
    #[derive(QueryableByName)]
    struct Definition {
        #[diesel(sql_type = Text)]
        definition: String,
    }
    let DbConnection::Postgres(connection) = connection else {
        return Ok(None);
    };
    let asked = "SELECT pg_get_indexdef('customers_by_term'::regclass) AS definition";
    let found: Definition = diesel::sql_query(asked).get_result(connection)?;
    Ok(Some(found.definition))
}

const SURNAMES: &str =
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡";
const GIVEN_NAMES: &str =
    "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂文辉玲红建国志华春梅雪飞";
const SOURCES: &str = "美团 抖音 快手 小红书 转介绍 99保姆网 杭州同馨 握个手平台 线索购买 莲心 美家 天机鹿 \
     孕妈联盟 高阁 星星 妈妈网 犀牛 宝宝树 幼亲舒 熊猫 官网 其他";
const CATEGORIES: &str =
    "月嫂 住家育儿嫂 保洁 住家保姆 养宠 小时工 白班育儿 白班保姆 住家护老 家教 陪伴师";
const LEVELS: &str = "O类 A类 B类 C类 D类 流失";
const STATUSES: &str = "已签约 签约中 匹配中 已面试 流失客户 已退款 退款中 待定";

/// One statement, alike on both databases. `n` is the number of a customer; large primes make of it
/// numbers without a pattern.
fn insert(stage: &Stage, customers: usize, employee: &UserId) -> String {
    let any =
        |prime: u64, below: usize| format!("((CAST(n AS BIGINT) * {prime}) % 1000003 % {below})");
    let sign = |of: &str, prime: u64| {
        format!(
            "substr('{of}', CAST(1 + {} AS INTEGER), 1)",
            any(prime, of.chars().count())
        )
    };
    let word = |of: &str, prime: u64| {
        let words: Vec<&str> = of.split(' ').collect();
        let cases: String = words
            .iter()
            .enumerate()
            .map(|(number, word)| format!(" WHEN {number} THEN '{word}'"))
            .collect();
        format!("CASE {}{cases} END", any(prime, words.len()))
    };
    let embedded = stage.url().is_embedded();
    let moment = |minutes: &str| {
        if embedded {
            format!("strftime('%Y-%m-%d %H:%M:%f', '2024-01-01', '+' || {minutes} || ' minutes')")
        } else {
            format!("timestamp '2024-01-01' + {minutes} * interval '1 minute'")
        }
    };
    let person = "(SELECT id FROM users WHERE username = 'bench-' || CAST(n % 500 AS TEXT))";
    let owner = format!(
        "CASE WHEN n % 5 = 0 THEN NULL WHEN n % 1000 = 1 THEN '{employee}' ELSE {person} END"
    );
    let (surname, one, other) = (
        sign(SURNAMES, 7_919),
        sign(GIVEN_NAMES, 104_729),
        sign(GIVEN_NAMES, 15_485_863),
    );
    let any_minute = |prime| any(prime, 1_000_003);
    let columns = [
        ("id", "'0193e5a0-1111-7000-8000-' || substr(CAST(100000000000 + n AS TEXT), 1, 12)".to_owned()),
        ("number", "'CUS' || CAST(10000000000 + CAST(n AS BIGINT) * 80021 AS TEXT)".to_owned()),
        ("name", format!("{surname} || CASE n % 3 WHEN 0 THEN '女士' WHEN 1 THEN {one} ELSE {one} || {other} END")),
        ("phone", "'1' || CAST(3 + n % 7 AS TEXT) || substr(CAST(1000000000 + CAST(n AS BIGINT) * 48271 % 999999937 AS TEXT), 2, 9)".to_owned()),
        ("wechat_id", "CASE WHEN n % 2 = 0 THEN 'wx_' || CAST(CAST(n AS BIGINT) * 48271 AS TEXT) END".to_owned()),
        ("lead_source", word(SOURCES, 1_299_709)),
        ("service_category", word(CATEGORIES, 179_424_673)),
        ("lead_level", format!("CASE WHEN n % 5 = 0 THEN '流失' ELSE {} END", word(LEVELS, 32_452_843))),
        ("contract_status", word(STATUSES, 49_979_687)),
        ("assigned_to", owner),
        ("assigned_at", format!("CASE WHEN n % 5 = 0 THEN NULL ELSE {} END", moment(&any_minute(86_028_121)))),
        ("in_public_pool", "n % 5 = 0".to_owned()),
        ("last_activity_at", moment(&any_minute(67_867_967))),
        ("created_by", person.to_owned()),
        ("created_at", moment("n")),
        ("updated_at", moment(&any_minute(122_949_823))),
    ];
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let values: Vec<&str> = columns.iter().map(|(_, value)| value.as_str()).collect();
    format!(
        "INSERT INTO customers ({}) \
         WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {customers}) \
         SELECT {} FROM numbers",
        names.join(", "),
        values.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use shared::db::schema::customers;

    use super::*;

    /// On the embedded database, and on the server that `scripts/test` starts.
    #[tokio::test]
    async fn as_many_customers_are_put_in_as_asked() {
        let server = std::env::var("TEST_POSTGRES_URL").ok();
        let server: Option<DatabaseUrl> = server.map(|url| url.parse().unwrap());
        for url in [None, server.as_ref()] {
            let mut stage = Stage::open(url, 0).await.unwrap();
            stage.hire(PEOPLE).await.unwrap();
            let employee = stage.people()[7].id.clone();
            fill(&stage, 2_000, &employee).await.unwrap();
            let mut connection = stage.connection().unwrap();
            let count = |connection: &mut DbConnection, own: Option<&UserId>| -> i64 {
                let mut query = customers::table.into_boxed();
                if let Some(own) = own {
                    query = query.filter(customers::assigned_to.eq(own.clone()));
                }
                query.count().get_result(connection).unwrap()
            };
            assert_eq!(count(&mut connection, None), 2_000);
            assert!(count(&mut connection, Some(&employee)) >= 2);
        }
    }
}
