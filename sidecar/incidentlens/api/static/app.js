// Keeps a page up to date: hears of changes (Server-Sent Events), fetches the page again and swaps the parts of it that
// changed. What a person is doing stays: scrolling, open details, typed text, a selection. Without this script a page
// works as well and refreshes by itself.
(() => {
  "use strict";
  const body = document.body;
  const skew = Number(body.dataset.now) - Date.now(); // the server's clock against this one
  const only = body.dataset.only;
  const shown = new Map(); // part → the server's version of it, without what time alone changes
  let timer = 0;
  let fetching = false;
  let wanted = false;

  const parts = (root) => root.querySelectorAll("[data-live]");

  function essence(part) {
    const copy = part.cloneNode(true);
    copy.querySelectorAll("[data-ago]").forEach((time) => { time.textContent = ""; });
    return copy.innerHTML;
  }

  function busy(part) {
    const active = document.activeElement;
    if (active && part.contains(active) && active.matches("input, textarea, select")) return true;
    for (const field of part.querySelectorAll("input, textarea, select")) {
      if (field.type === "hidden") continue;
      if (field.type === "checkbox" || field.type === "radio") {
        if (field.checked !== field.defaultChecked) return true;
      } else if (field.tagName === "SELECT") {
        const first = Math.max([...field.options].findIndex((option) => option.defaultSelected), 0);
        if (field.selectedIndex !== first) return true;
      } else if (field.value !== field.defaultValue) return true;
    }
    const selection = document.getSelection();
    return Boolean(selection && !selection.isCollapsed && part.contains(selection.anchorNode));
  }

  function swap(fresh) {
    let skipped = false;
    for (const part of parts(fresh)) {
      const name = part.dataset.live;
      const old = document.querySelector(`[data-live="${CSS.escape(name)}"]`);
      const now = essence(part);
      if (!old || shown.get(name) === now) continue;
      if (busy(old)) { skipped = true; continue; }
      for (const details of old.querySelectorAll("details[id]")) {
        const same = part.querySelector(`#${CSS.escape(details.id)}`);
        if (same) same.open = details.open;
      }
      const scrolls = [...old.querySelectorAll("pre")].map((pre) => pre.scrollTop);
      const active = document.activeElement;
      const focus = active && old.contains(active) ? [active.tagName, active.getAttribute("href"), active.textContent] : null;
      shown.set(name, now);
      old.replaceWith(part);
      part.querySelectorAll("pre").forEach((pre, index) => { if (scrolls[index]) pre.scrollTop = scrolls[index]; });
      if (focus) {
        const [tag, href, text] = focus;
        const same = [...part.querySelectorAll(tag)].find((one) => one.getAttribute("href") === href && one.textContent === text);
        if (same) same.focus({ preventScroll: true });
      }
    }
    document.title = fresh.title;
    ages();
    return skipped;
  }

  async function refresh() {
    timer = 0;
    if (fetching || document.hidden) { wanted = true; return; }
    fetching = true;
    wanted = false;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
      if (answer.redirected && new URL(answer.url).pathname === "/login") { location.reload(); return; }
      if (answer.ok && swap(new DOMParser().parseFromString(await answer.text(), "text/html"))) wanted = true;
    } catch {
      wanted = true; // the server is away: the stream's next beginning asks again
    } finally {
      fetching = false;
    }
    if (wanted && !document.hidden) soon(5000);
  }

  function soon(wait) {
    if (!timer) timer = setTimeout(refresh, wait);
  }

  function ages() {
    const now = Date.now() + skew;
    for (const time of document.querySelectorAll("[data-ago]")) {
      const text = ago((now - Number(time.dataset.ago)) / 1000);
      if (time.textContent !== text) time.textContent = text;
    }
  }

  function ago(seconds) {
    const past = seconds >= 0;
    const length = Math.abs(seconds);
    if (length < 5) return "now";
    for (const [size, name] of [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]]) {
      if (length >= size) {
        const text = `${Math.floor(length / size)} ${name}`;
        return past ? `${text} ago` : `in ${text}`;
      }
    }
    return "now";
  }

  function follow() {
    if (!body.dataset.changes || !window.EventSource) return;
    const mark = document.querySelector(".live");
    const say = (state, text) => {
      if (!mark) return;
      mark.hidden = false;
      mark.dataset.state = state;
      mark.lastElementChild.textContent = text;
    };
    const stream = new EventSource(body.dataset.changes);
    stream.addEventListener("open", () => say("on", "live"));
    stream.addEventListener("error", () => say("off", "reconnecting"));
    stream.addEventListener("change", (event) => {
      const ids = JSON.parse(event.data).incidents;
      if (!only || !ids.length || ids.includes(only)) soon(300);
    });
    addEventListener("pagehide", () => stream.close());
  }

  function reveal() {
    let target = null;
    try { target = document.getElementById(decodeURIComponent(location.hash.slice(1))); } catch { return; }
    if (!target) return;
    for (let around = target.closest("details"); around; around = around.parentElement.closest("details")) around.open = true;
    target.scrollIntoView({ block: "nearest" });
  }

  parts(document).forEach((part) => shown.set(part.dataset.live, essence(part)));
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit]") && event.target.form) event.target.form.requestSubmit();
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden && wanted) soon(0); });
  addEventListener("hashchange", reveal);
  if (location.hash) reveal();
  setInterval(ages, 5000);
  setInterval(() => soon(0), 60000); // what time alone changes: a watch's quiet time, an hour's bar
  if (body.dataset.changes) {
    ages();
    follow();
  }
})();
