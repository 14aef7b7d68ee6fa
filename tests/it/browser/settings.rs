use serde_json::{Value, json};

use super::chromium::{Browser, Page};
use crate::harness::{PASSWORD, TestApi, TestDatabase, on_each_database};

on_each_database!(somebody_says_what_to_be_told_and_finds_it_again);

async fn somebody_says_what_to_be_told_and_finds_it_again(database: &TestDatabase) {
    let api = TestApi::on(database).await;
    let employee = api.user("lisi", "employee").await;
    let browser = Browser::start().await;
    let name = if database.url().is_embedded() {
        "settings-sqlite"
    } else {
        "settings-postgres"
    };
    let url = format!("{}/inbox", api.url());
    let mut page = browser.open(&url, name).await;
    log_in(&mut page).await;
    page.value("by('to-settings').click()").await;
    page.until(
        "the settings are there instead of the list",
        "!by('settings-view').hidden && by('inbox-view').hidden && document.querySelectorAll('[name=kind]').length > 20 \
         && document.activeElement === by('settings-title')",
    )
    .await;
    page.until(
        "what cannot be muted is locked, and says why",
        "kind('customer.assigned').disabled && kind('customer.assigned').checked \
         && kind('customer.assigned').closest('label').title === '新客户需要及时跟进' \
         && !kind('report.weekly').disabled",
    )
    .await;

    // Two windows at the same time: said beside the second, and nothing is stored.
    page.value("kind('report.weekly').click(); by('add-window').click(); by('add-window').click()")
        .await;
    page.value("fill(1, [6, 7], '07:00', '12:30'); by('settings').requestSubmit()")
        .await;
    page.until(
        "the overlap is told beside the second window",
        "wrong().length === 1 && wrong()[0] === windows()[1] \
         && windows()[1].querySelector('.error').textContent === '免打扰时段之间不能重叠（与时段 1 重叠）' \
         && windows()[1].contains(document.activeElement)",
    )
    .await;
    page.screenshot_of("overlap").await;
    let fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth";
    assert_eq!(
        page.value(fits).await,
        true,
        "something is wider than the page"
    );
    let settings = "/api/notifications/settings";
    let stored = api.get(&employee, settings).await.data();
    assert_eq!(
        (&stored["mutedKinds"], &stored["quietWindows"]),
        (&json!([]), &json!([]))
    );

    for (days, start, end, told) in [
        (
            "[]",
            "13:00",
            "14:00",
            "免打扰时段必须选择星期，1 为星期一，7 为星期日",
        ),
        (
            "[6]",
            "13:00",
            "13:00",
            "免打扰时段的开始和结束时间不能相同",
        ),
        ("[6]", "", "13:00", "字段 quietWindows[1].start 的值不正确"),
    ] {
        page.value(&format!(
            "fill(1, {days}, '{start}', '{end}'); by('settings').requestSubmit()"
        ))
        .await;
        page.until(
            told,
            &format!(
                "wrong().length === 1 && windows()[1].querySelector('.error').textContent === '{told}'"
            ),
        )
        .await;
    }

    page.value(
        "fill(1, [6, 7], '12:30', '14:00'); channel('wechat_cloud').click(); by('through').click(); \
         by('settings').requestSubmit()",
    )
    .await;
    page.until(
        "it is saved",
        "by('settings-saved').textContent === '通知设置已保存' && wrong().length === 0",
    )
    .await;
    let stored = api.get(&employee, settings).await.data();
    assert_eq!(
        json!({
            "mutedKinds": stored["mutedKinds"],
            "mutedChannels": stored["mutedChannels"],
            "quietWindows": stored["quietWindows"],
            "highPriorityBreaksThrough": stored["highPriorityBreaksThrough"],
        }),
        json!({
            "mutedKinds": ["report.weekly"],
            "mutedChannels": ["wechat_cloud"],
            "quietWindows": [
                { "days": [1, 2, 3, 4, 5, 6, 7], "start": "22:00", "end": "08:00" },
                { "days": [6, 7], "start": "12:30", "end": "14:00" },
            ],
            "highPriorityBreaksThrough": true,
        })
    );

    // The address leads there again, logged in as before.
    page.reload().await;
    remember(&mut page).await;
    page.until(
        "all of it is there again",
        "!by('settings-view').hidden && !kind('report.weekly').checked && kind('report.monthly').checked \
         && !channel('wechat_cloud').checked && channel('wechat_subscribe').checked && by('through').checked \
         && windows().length === 2 && windows()[1].querySelector('[name=start]').value === '12:30' \
         && !windows()[0].querySelector('.line .tag').hidden && windows()[1].querySelector('.line .tag').hidden",
    )
    .await;
    page.value("window.scrollTo(0, document.body.scrollHeight)")
        .await;
    page.screenshot().await;

    page.value("windows()[0].querySelector('button').click(); by('settings').requestSubmit()")
        .await;
    page.until(
        "one is left",
        "by('settings-saved').textContent !== '' && windows().length === 1",
    )
    .await;
    page.value("document.querySelector('.head a').click()")
        .await;
    page.until(
        "the list is back",
        "by('settings-view').hidden && !by('inbox-view').hidden",
    )
    .await;
    let stored = api.get(&employee, settings).await.data();
    let windows = stored["quietWindows"].as_array().map(Vec::len);
    assert_eq!(windows, Some(1));
    assert_eq!(
        page.value("document.title").await,
        Value::from("通知中心 · 驿站")
    );
}

async fn log_in(page: &mut Page) {
    remember(page).await;
    page.until("the page asks for a name", "!by('login').hidden")
        .await;
    let fill = format!(
        "by('username').value = 'lisi'; by('password').value = {}; by('login').requestSubmit()",
        json!(PASSWORD)
    );
    page.value(&fill).await;
    page.until("somebody is in", "!by('centre').hidden").await;
}

/// Short names for what the test looks at.
async fn remember(page: &mut Page) {
    page.value(
        "window.by = (id) => document.getElementById(id); \
         window.kind = (kind) => document.querySelector(`[name=kind][value=\"${kind}\"]`); \
         window.channel = (channel) => document.querySelector(`[name=channel][value=\"${channel}\"]`); \
         window.windows = () => Array.from(by('windows').children); \
         window.wrong = () => Array.from(document.querySelectorAll('.window.wrong')); \
         window.fill = (index, days, start, end) => { \
             const one = windows()[index]; \
             for (const box of one.querySelectorAll('[name=day]')) box.checked = days.includes(Number(box.value)); \
             one.querySelector('[name=start]').value = start; \
             one.querySelector('[name=end]').value = end; \
             one.dispatchEvent(new Event('input', { bubbles: true })); \
         }; true",
    )
    .await;
}
