"use strict";
// The settings beside the notification centre: what somebody is told outside of it, and when.
(() => {
  const { call, element, LoggedOut } = window.inbox;
  const PATH = "/api/notifications/settings";
  const DAYS = ["一", "二", "三", "四", "五", "六", "日"];
  const at = (id) => document.getElementById(id);
  let ids = 0;

  function choice(name, text, checked) {
    const made = element("label", "check");
    const box = element("input");
    box.type = "checkbox";
    box.name = name;
    box.checked = checked;
    made.append(box, element("span", "", text));
    return made;
  }

  // Kinds and channels

  function showKinds(settings) {
    const modules = new Map();
    for (const kind of settings.kinds) {
      if (!modules.has(kind.module)) modules.set(kind.module, []);
      modules.get(kind.module).push(kind);
    }
    const muted = new Set(settings.mutedKinds);
    at("kinds").replaceChildren(...Array.from(modules, ([module, kinds]) => {
      const group = element("fieldset", "module");
      const choices = element("div", "choices");
      choices.append(...kinds.map((kind) => {
        const made = choice("kind", kind.title, !muted.has(kind.kind));
        const box = made.firstChild;
        box.value = kind.kind;
        if (kind.mandatoryBecause) {
          made.classList.add("locked");
          made.title = kind.mandatoryBecause;
          box.disabled = true;
          box.checked = true;
          const tag = element("span", "tag", "必收");
          tag.id = "why-" + ++ids;
          tag.setAttribute("aria-label", "必收：" + kind.mandatoryBecause);
          box.setAttribute("aria-describedby", tag.id);
          made.append(tag);
        }
        return made;
      }));
      group.append(element("legend", "", module), choices);
      return group;
    }));
  }

  function showChannels(settings) {
    const muted = new Set(settings.mutedChannels);
    // What is muted on a channel that is gone stays so, and can be seen.
    const shown = settings.channels.filter((one) => one.configured || muted.has(one.channel));
    at("channels").replaceChildren(...shown.map((one) => {
      const made = choice("channel", one.title + (one.configured ? "" : "（未启用）"), !muted.has(one.channel));
      made.firstChild.value = one.channel;
      return made;
    }));
    if (shown.length === 0) at("channels").append(element("span", "hint", "系统还没有配置渠道。"));
  }

  // Windows

  function timeInput(name, label, value) {
    const made = element("label", "check");
    const input = element("input");
    input.type = "time";
    input.name = name;
    input.required = true;
    input.value = value;
    made.append(element("span", "", label), input);
    return made;
  }

  function showWindow(quiet) {
    const made = element("div", "window");
    made.setAttribute("role", "group");
    const line = element("div", "line");
    const days = element("div", "days");
    days.setAttribute("role", "group");
    days.setAttribute("aria-label", "星期");
    days.append(...DAYS.map((name, index) => {
      const label = element("label");
      const box = element("input");
      box.type = "checkbox";
      box.name = "day";
      box.value = String(index + 1);
      box.checked = quiet.days.includes(index + 1);
      box.setAttribute("aria-label", "星期" + name);
      label.append(box, element("span", "", name));
      return label;
    }));
    const next = element("span", "tag", "到第二天");
    const remove = element("button", "", "删除");
    remove.type = "button";
    remove.addEventListener("click", () => {
      made.remove();
      numberWindows();
      changed();
      at("add-window").focus();
    });
    const [start, end] = [timeInput("start", "从", quiet.start), timeInput("end", "到", quiet.end)];
    const overnight = () => {
      const [from, to] = [start.lastChild.value, end.lastChild.value];
      next.hidden = !from || !to || to >= from;
    };
    made.addEventListener("input", () => { overnight(); clear(made); });
    line.append(days, start, end, next, remove);
    const error = element("p", "error");
    error.id = "window-error-" + ++ids;
    error.setAttribute("role", "alert");
    made.setAttribute("aria-describedby", error.id);
    made.append(line, error);
    overnight();
    return made;
  }

  function windows() {
    return Array.from(at("windows").children);
  }

  function numberWindows() {
    windows().forEach((one, index) => {
      one.setAttribute("aria-label", `免打扰时段 ${index + 1}`);
      one.querySelector("button").setAttribute("aria-label", `删除免打扰时段 ${index + 1}`);
    });
    at("no-windows").hidden = windows().length > 0;
  }

  // Errors

  function clear(one) {
    one.classList.remove("wrong");
    one.querySelector(".error").textContent = "";
  }

  function clearAll() {
    for (const id of ["kinds-error", "channels-error", "windows-error", "settings-error", "settings-saved"]) {
      at(id).textContent = "";
    }
    windows().forEach(clear);
  }

  // Beside what it is about, and the focus there.
  function complain(error) {
    if (error instanceof LoggedOut) return;
    const field = error.details?.field ?? "";
    const place = /^quietWindows\[(\d+)\](?:\.(\w+))?/.exec(field);
    const wrong = place && windows()[Number(place[1])];
    if (wrong) {
      wrong.classList.add("wrong");
      const other = /\[(\d+)\]/.exec(error.details.overlapsWith ?? "");
      wrong.querySelector(".error").textContent =
        error.message + (other ? `（与时段 ${Number(other[1]) + 1} 重叠）` : "");
      wrong.querySelector(`[name="${place[2] === "end" ? "end" : place[2] === "start" ? "start" : "day"}"]`).focus();
      return;
    }
    const group = { mutedKinds: "kinds", mutedChannels: "channels", quietWindows: "windows" }[field.split("[")[0]];
    at((group ?? "settings") + "-error").textContent = error.message;
  }

  function changed() {
    at("settings-saved").textContent = "";
  }

  // Coming and going

  function show(settings) {
    showKinds(settings);
    showChannels(settings);
    at("windows").replaceChildren(...settings.quietWindows.map(showWindow));
    at("time-zone").textContent = settings.timeZone;
    at("through").checked = settings.highPriorityBreaksThrough;
    numberWindows();
  }

  function unchecked(name) {
    const boxes = at("settings").querySelectorAll(`input[name="${name}"]:not(:checked)`);
    return Array.from(boxes, (box) => box.value);
  }

  function wished() {
    return {
      mutedKinds: unchecked("kind"),
      mutedChannels: unchecked("channel"),
      quietWindows: windows().map((one) => ({
        days: Array.from(one.querySelectorAll("[name=day]:checked"), (box) => Number(box.value)),
        start: one.querySelector("[name=start]").value,
        end: one.querySelector("[name=end]").value,
      })),
      highPriorityBreaksThrough: at("through").checked,
    };
  }

  async function open() {
    clearAll();
    try {
      show(await call("GET", PATH));
      at("settings-title").focus();
    } catch (error) {
      complain(error);
    }
  }

  at("settings").addEventListener("submit", async (event) => {
    event.preventDefault();
    clearAll();
    const save = event.target.querySelector("[type=submit]");
    save.disabled = true;
    try {
      show(await call("PUT", PATH, wished()));
      at("settings-saved").textContent = "通知设置已保存";
    } catch (error) {
      complain(error);
    } finally {
      save.disabled = false;
    }
  });
  at("settings").addEventListener("input", changed);
  at("add-window").addEventListener("click", () => {
    const made = showWindow({ days: [1, 2, 3, 4, 5, 6, 7], start: "22:00", end: "08:00" });
    at("windows").append(made);
    numberWindows();
    changed();
    made.querySelector("input").focus();
  });

  window.inbox.settings = { open };
})();
