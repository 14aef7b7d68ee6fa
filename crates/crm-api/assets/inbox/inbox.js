"use strict";
// The notification centre of staff: lists what the API has, and hears of news over a WebSocket.
(() => {
  const TOKEN = "yizhan.token";
  const TOAST_MS = 8000;
  const TOASTS_MAX = 4;
  const PAGE_SIZE = 20;
  const RECONNECT_MS_MAX = 30000;
  const KINDS = {
    "customer.created": "新客户创建",
    "customer.assigned": "客户分配",
    "customer.batch_assigned": "批量分配",
    "customer.assigned_from_pool": "公海分配",
    "customer.transferred_away": "客户转移",
    "customer.reclaimed": "客户回收",
    "customer.status_changed": "客户状态变更",
    "customer.follow_up_due": "跟进提醒",
    "customer.follow_up_added": "新跟进记录",
    "lead.auto_transfer_out": "线索自动流出",
    "lead.auto_transfer_in": "线索自动流入",
    "resume.created": "新简历创建",
    "resume.assigned": "简历分配",
    "resume.status_changed": "简历状态变更",
    "resume.order_status_changed": "接单状态变更",
    "resume.follow_up_due": "简历跟进提醒",
    "contract.created": "新合同创建",
    "contract.signed": "合同签署完成",
    "contract.worker_changed": "合同换人",
    "contract.expiring_soon": "合同即将到期",
    "contract.status_changed": "合同状态变更",
    "report.daily_personal": "工作日报",
    "report.daily_team": "团队日报",
    "report.weekly": "工作周报",
    "report.monthly": "工作月报",
    "system.announcement": "系统公告",
    "system.digest": "免打扰汇总",
  };

  const at = (id) => document.getElementById(id);
  let token = sessionStorage.getItem(TOKEN);
  let page = 1;
  let socket = null;
  let attempts = 0;
  let reconnect = 0;
  let newest = null; // the last entry this page has seen; asked for when it comes back
  let loading = 0;

  class LoggedOut extends Error {}

  async function call(method, path, body) {
    const headers = {};
    if (token) headers.Authorization = "Bearer " + token;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let answer;
    try {
      answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    } catch {
      throw new Error("无法连接服务器，请检查网络");
    }
    const envelope = await answer.json().catch(() => ({ success: false, message: "服务器内部错误" }));
    if (answer.status === 401 && token) {
      leave(envelope.message);
      throw new LoggedOut(envelope.message);
    }
    if (!envelope.success) throw Object.assign(new Error(envelope.message), { details: envelope.error?.details });
    return envelope.data;
  }

  function complain(error) {
    if (!(error instanceof LoggedOut)) at("message").textContent = error.message;
  }

  function act(work) {
    return async (event) => {
      event?.preventDefault();
      at("message").textContent = "";
      try {
        await work(event);
      } catch (error) {
        complain(error);
      }
    };
  }

  // The list

  function element(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function time(moment) {
    const date = new Date(moment);
    const today = date.toDateString() === new Date().toDateString();
    return new Intl.DateTimeFormat("zh-CN", today
      ? { hour: "2-digit", minute: "2-digit" }
      : { month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" }).format(date);
  }

  // Only paths of this server: a link comes from a template.
  function link(entry) {
    if (!entry.link || !/^\/(?!\/)/.test(entry.link)) return null;
    const made = element("a", "lead", entry.link.startsWith("/customers/") ? "查看客户" : "查看");
    made.href = entry.link;
    return made;
  }

  function row(entry) {
    const made = element("li", "entry " + entry.priority + (entry.read ? "" : " unread"));
    made.dataset.id = entry.id;
    const when = element("time", "time", time(entry.createdAt));
    when.dateTime = entry.createdAt;
    made.append(element("span", "title", entry.title), when, element("span", "content", entry.content));
    const acts = element("span", "acts");
    const lead = link(entry);
    if (lead) {
      lead.addEventListener("click", () => { if (!entry.read) markRead(entry.id, true); });
      acts.append(lead);
    }
    if (!entry.read) {
      const mark = element("button", "mark", "标为已读");
      mark.type = "button";
      mark.addEventListener("click", act(() => markRead(entry.id)));
      acts.append(mark);
    }
    const remove = element("button", "remove", "删除");
    remove.type = "button";
    remove.setAttribute("aria-label", "删除：" + entry.title);
    remove.addEventListener("click", act(async () => {
      await call("DELETE", "/api/notifications/" + entry.id);
      await load();
    }));
    acts.append(remove);
    made.append(acts);
    return made;
  }

  async function markRead(id, leaving) {
    const body = JSON.stringify({ notificationIds: [id] });
    if (leaving) {
      // The page may be gone before the answer comes.
      fetch("/api/notifications/mark-read", {
        method: "PUT", keepalive: true, body,
        headers: { Authorization: "Bearer " + token, "Content-Type": "application/json" },
      }).catch(() => {});
      return;
    }
    await call("PUT", "/api/notifications/mark-read", { notificationIds: [id] });
    await load();
  }

  function query() {
    const asked = new URLSearchParams({ page, pageSize: PAGE_SIZE });
    const search = at("search").value.trim();
    if (search) asked.set("search", search);
    if (at("kind").value) asked.set("kind", at("kind").value);
    if (at("unread-only").checked) asked.set("unreadOnly", "true");
    return asked;
  }

  async function load() {
    const mine = ++loading;
    const asked = query();
    const list = await call("GET", "/api/notifications?" + asked);
    // A later question may have been answered before this one.
    if (mine !== loading) return;
    if (list.items.length === 0 && list.total > 0 && page > 1) {
      page = list.totalPages;
      return load();
    }
    const focused = document.activeElement?.closest?.(".entry")?.dataset.id;
    // What stands here before anything can be pushed is no news.
    if (socket?.readyState !== WebSocket.OPEN) list.items.forEach((entry) => known.add(entry.id));
    at("list").replaceChildren(...list.items.map(row));
    if (focused) {
      const again = at("list").querySelector(`[data-id="${CSS.escape(focused)}"] button`);
      (again ?? at("list")).focus();
    }
    at("empty").hidden = list.items.length > 0;
    at("page").textContent = `第 ${list.page} / ${Math.max(1, list.totalPages)} 页，共 ${list.total} 条`;
    at("previous").disabled = page <= 1;
    at("next").disabled = page >= list.totalPages;
    const unfiltered = page === 1 && !asked.has("search") && !asked.has("kind") && !asked.has("unreadOnly");
    if (unfiltered && list.items[0]) see(list.items[0].id);
  }

  function see(id) {
    if (newest === null || id > newest) newest = id;
  }

  // News

  function showCount(count) {
    at("count").textContent = count > 99 ? "99+" : String(count);
    at("count").hidden = count === 0;
    at("bell").setAttribute("aria-label", `未读通知 ${count} 条，只看未读`);
    document.title = (count > 0 ? `(${count > 99 ? "99+" : count}) ` : "") + "通知中心 · 驿站";
  }

  function toast(entry) {
    const made = element("div", "toast " + entry.priority);
    made.append(element("strong", "", entry.title), element("span", "", entry.content + " "));
    const lead = link(entry);
    if (lead) made.append(lead);
    at("toasts").append(made);
    while (at("toasts").children.length > TOASTS_MAX) at("toasts").firstChild.remove();
    setTimeout(() => made.remove(), TOAST_MS);
    at("bell").classList.remove("rung");
    void at("bell").offsetWidth; // so that the bell rings anew
    at("bell").classList.add("rung");
  }

  const known = new Set();
  let reload = 0;
  function loadSoon() {
    clearTimeout(reload);
    reload = setTimeout(() => load().catch(complain), 50);
  }

  function hear(message) {
    switch (message.type) {
      case "unreadCount":
        showCount(message.count);
        break;
      case "notification":
        // After an interruption the server says again what may have been missed. That the list has it
        // already says nothing: it may have been loaded in this moment.
        if (known.has(message.id)) break;
        known.add(message.id);
        see(message.id);
        if (!message.read) toast(message);
        loadSoon();
        break;
      case "refresh":
        loadSoon();
        break;
      case "error":
        console.warn("notification socket:", message.code, message.message);
        break;
    }
  }

  function showConnection(state, text) {
    at("connection").className = "connection " + state;
    at("connection").textContent = text;
  }

  function connect() {
    clearTimeout(reconnect);
    const opened = new WebSocket(location.origin.replace(/^http/, "ws") + "/api/notifications/ws", ["yizhan.jwt", token]);
    socket = opened;
    opened.onopen = () => {
      attempts = 0;
      showConnection("open", "实时接收中");
      if (newest !== null) opened.send(JSON.stringify({ type: "since", id: newest }));
      // Whatever changed otherwise while it was away.
      loadSoon();
    };
    opened.onmessage = (event) => hear(JSON.parse(event.data));
    opened.onclose = (event) => {
      if (socket !== opened) return;
      socket = null;
      if (!token) return;
      if (event.code === 4401) return leave(event.reason);
      if (event.code === 4429) return showConnection("closed", event.reason + "，此页不再实时更新");
      showConnection("closed", "连接已断开，正在重连…");
      const wait = Math.min(RECONNECT_MS_MAX, 500 * 2 ** attempts++) * (0.5 + Math.random() / 2);
      reconnect = setTimeout(again, wait);
    };
  }

  // A handshake that is refused tells no reason; the API does.
  async function again() {
    try {
      showCount((await call("GET", "/api/notifications/unread-count")).count);
    } catch (error) {
      if (error instanceof LoggedOut) return;
    }
    if (token && !socket) connect();
  }

  // Coming and going

  async function enter() {
    const me = await call("GET", "/api/auth/me");
    at("person").textContent = me.name;
    at("login").hidden = true;
    at("centre").hidden = false;
    page = 1;
    await load();
    connect();
    turn();
  }

  // The page has two sides, told apart by what stands after the # of its address.
  function turn() {
    const settings = location.hash === "#settings";
    at("inbox-view").hidden = settings;
    at("settings-view").hidden = !settings;
    at("to-settings").hidden = settings;
    if (settings) window.inbox.settings.open();
  }
  window.addEventListener("hashchange", () => { if (token) turn(); });
  window.inbox = { call, element, LoggedOut, settings: null };

  function leave(reason) {
    token = null;
    newest = null;
    known.clear();
    sessionStorage.removeItem(TOKEN);
    clearTimeout(reconnect);
    socket?.close();
    socket = null;
    at("centre").hidden = true;
    at("toasts").replaceChildren();
    at("list").replaceChildren();
    at("login").hidden = false;
    at("login-error").textContent = reason ?? "";
    document.title = "通知中心 · 驿站";
    at("username").focus();
  }

  at("login").addEventListener("submit", async (event) => {
    event.preventDefault();
    at("login-error").textContent = "";
    try {
      const body = { username: at("username").value, password: at("password").value };
      const answer = await call("POST", "/api/auth/login", body);
      token = answer.access_token;
      sessionStorage.setItem(TOKEN, token);
      at("password").value = "";
      await enter();
    } catch (error) {
      if (!(error instanceof LoggedOut)) at("login-error").textContent = error.message;
    }
  });
  at("logout").addEventListener("click", act(async () => {
    const leaving = call("POST", "/api/auth/logout");
    await leaving.catch(() => {});
    leave("");
  }));
  at("mark-all").addEventListener("click", act(async () => {
    await call("PUT", "/api/notifications/mark-all-read");
    await load();
  }));
  at("bell").addEventListener("click", act(async () => {
    const only = at("unread-only");
    only.checked = !only.checked;
    await filter();
  }));
  async function filter() {
    at("bell").setAttribute("aria-pressed", String(at("unread-only").checked));
    page = 1;
    await load();
  }
  at("unread-only").addEventListener("change", act(filter));
  at("kind").addEventListener("change", act(filter));
  let typing = 0;
  at("search").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(act(filter), 250);
  });
  at("previous").addEventListener("click", act(() => { page -= 1; return load(); }));
  at("next").addEventListener("click", act(() => { page += 1; return load(); }));
  for (const [kind, name] of Object.entries(KINDS)) {
    const option = element("option", "", name);
    option.value = kind;
    at("kind").append(option);
  }

  // The other scripts of the page are there then.
  document.addEventListener("DOMContentLoaded", () => {
    if (token) {
      enter().catch((error) => {
        if (!(error instanceof LoggedOut)) leave(error.message);
      });
    } else {
      at("login").hidden = false;
    }
  });
})();
