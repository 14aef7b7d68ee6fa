use serde_json::{Value, json};

use super::chromium::{Browser, Page};
use crate::harness::{PASSWORD, TestApi, TestDatabase, on_each_database};

on_each_database!(an_open_page_shows_an_assignment_without_being_loaded_anew);

async fn an_open_page_shows_an_assignment_without_being_loaded_anew(database: &TestDatabase) {
    let api = TestApi::on(database).await;
    let manager = api.user("zhang", "manager").await;
    let employee = api.user("lisi", "employee").await;
    let lead = api.customer(&manager, "王女士", "13800138999").await;
    let browser = Browser::start().await;
    let kind = if database.url().is_embedded() {
        "inbox-sqlite"
    } else {
        "inbox-postgres"
    };
    let mut page = browser.open(&format!("{}/inbox", api.url()), kind).await;

    page.until(
        "the page asks for a name",
        "!document.getElementById('login').hidden",
    )
    .await;
    log_in(&mut page, "wrong password").await;
    page.until(
        "a wrong password is named",
        "by('login-error').textContent === '用户名或密码错误'",
    )
    .await;
    log_in(&mut page, PASSWORD).await;
    page.until(
        "it is connected",
        "by('connection').className.includes('open')",
    )
    .await;
    page.until(
        "there is nothing yet",
        "!by('empty').hidden && by('count').hidden",
    )
    .await;
    page.value("window.loadedOnce = true").await;
    page.value(REMEMBER_TOASTS).await;

    api.assign(&manager, &lead, &employee).await.data();
    page.until(
        "the bell shows one",
        "!by('count').hidden && by('count').textContent === '1'",
    )
    .await;
    page.until(
        "a toast tells of it",
        "window.toasts.some((text) => text.includes('王女士'))",
    )
    .await;
    page.until(
        "the list has it",
        "document.querySelectorAll('.entry.unread').length === 1 \
         && document.querySelector('.entry .content').textContent.includes('138****8999')",
    )
    .await;
    let link = page.value("document.querySelector('.entry a.lead').getAttribute('href')");
    assert_eq!(link.await, format!("/customers/{lead}"));
    assert_eq!(page.value("document.title").await, "(1) 通知中心 · 驿站");
    page.screenshot().await;

    page.value("document.querySelector('.entry .mark').click()")
        .await;
    page.until(
        "it is read",
        "by('count').hidden && document.querySelectorAll('.entry:not(.unread)').length === 1",
    )
    .await;

    // What happens in another tab or program shows here too.
    api.assign(&manager, &lead, &manager).await.data();
    page.until(
        "the loss is told",
        "by('count').textContent === '1' && !by('count').hidden",
    )
    .await;
    api.put(&employee, "/api/notifications/mark-all-read", &Value::Null)
        .await
        .data();
    page.until(
        "it was read elsewhere",
        "by('count').hidden && document.querySelectorAll('.entry.unread').length === 0",
    )
    .await;
    assert_eq!(
        page.value("window.loadedOnce === true").await,
        true,
        "the page was loaded anew"
    );

    // Whoever is out is shown the door.
    let path = format!("/api/users/{}", employee.id);
    let out = json!({ "active": false });
    api.patch(&api.admin().await, &path, &out).await.data();
    page.until(
        "the page asks for a name again",
        "!by('login').hidden && by('login-error').textContent.includes('登录已失效')",
    )
    .await;
}

/// A toast goes away by itself, perhaps before a busy machine comes to look at it.
const REMEMBER_TOASTS: &str = "window.toasts = []; \
    new MutationObserver((changes) => { \
        for (const change of changes) for (const node of change.addedNodes) \
            if (node.classList && node.classList.contains('toast')) window.toasts.push(node.textContent); \
    }).observe(document.body, { childList: true, subtree: true }); true";

async fn log_in(page: &mut Page, password: &str) {
    let fill = format!(
        "window.by = (id) => document.getElementById(id); by('username').value = 'lisi'; \
         by('password').value = {}; by('login').requestSubmit()",
        json!(password)
    );
    page.value(&fill).await;
}
