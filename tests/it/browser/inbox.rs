use serde_json::{Value, json};

use super::chromium::{Browser, Page};
use crate::harness::{PASSWORD, TestApi, TestDatabase, on_each_database};

on_each_database!(
    an_open_page_shows_an_assignment_without_being_loaded_anew,
    what_was_listed_before_it_was_pushed_is_told_all_the_same,
);

async fn an_open_page_shows_an_assignment_without_being_loaded_anew(database: &TestDatabase) {
    let api = TestApi::on(database).await;
    let manager = api.user("zhang", "manager").await;
    let employee = api.user("lisi", "employee").await;
    let lead = api.customer(&manager, "王女士", "13800138999").await;
    let browser = Browser::start().await;
    let mut page = open_inbox(&browser, &api, "inbox", database).await;
    log_in(&mut page, "wrong password").await;
    page.until(
        "a wrong password is named",
        "by('login-error').textContent === '用户名或密码错误'",
    )
    .await;
    log_in(&mut page, PASSWORD).await;
    until_connected(&mut page).await;
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

async fn what_was_listed_before_it_was_pushed_is_told_all_the_same(database: &TestDatabase) {
    let api = TestApi::on(database).await;
    let manager = api.user("zhang", "manager").await;
    let employee = api.user("lisi", "employee").await;
    let lead = api.customer(&manager, "王女士", "13800138999").await;
    let browser = Browser::start().await;
    let mut page = open_inbox(&browser, &api, "inbox-listed", database).await;
    page.value(REMEMBER_SOCKET).await;
    log_in(&mut page, PASSWORD).await;
    until_connected(&mut page).await;
    page.value(REMEMBER_TOASTS).await;

    page.value(HOLD_BACK_NEWS).await;
    api.assign(&manager, &lead, &employee).await.data();
    page.until(
        "the news is there, and held back",
        "window.held.some((event) => JSON.parse(event.data).type === 'notification')",
    )
    .await;
    page.value("by('kind').dispatchEvent(new Event('change'))")
        .await;
    page.until(
        "the list has it",
        "document.querySelectorAll('.entry.unread').length === 1",
    )
    .await;
    assert_eq!(page.value("window.toasts.length").await, 0);

    page.value("window.held.forEach(window.hear)").await;
    page.until(
        "a toast tells of it",
        "window.toasts.some((text) => text.includes('王女士'))",
    )
    .await;
    page.value("window.held.forEach(window.hear)").await;
    assert_eq!(page.value("window.toasts.length").await, 1, "told once");
}

/// The page as it asks for a name and a password. Screenshots of it are called `name`.
async fn open_inbox(browser: &Browser, api: &TestApi, name: &str, database: &TestDatabase) -> Page {
    let on = if database.url().is_embedded() {
        "sqlite"
    } else {
        "postgres"
    };
    let (address, name) = (format!("{}/inbox", api.url()), format!("{name}-{on}"));
    let mut page = browser.open(&address, &name).await;
    page.until(
        "the page asks for a name",
        "!document.getElementById('login').hidden",
    )
    .await;
    page
}

async fn until_connected(page: &mut Page) {
    page.until(
        "it is connected",
        "by('connection').className.includes('open')",
    )
    .await;
}

/// For a page that has not connected yet.
const REMEMBER_SOCKET: &str = "window.WebSocket = class extends WebSocket { \
        constructor(...address) { super(...address); window.socket = this; } \
    }; true";

/// What the server pushes from here on waits in `held` for `hear`.
const HOLD_BACK_NEWS: &str = "window.held = []; window.hear = window.socket.onmessage; \
    window.socket.onmessage = (event) => window.held.push(event); true";

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
