"use strict";
// Only in the page that `serve` makes: says what was recorded since, and shows it when asked to.
(() => {
  const $ = (id) => document.getElementById(id);
  const state = $("live"), reload = $("reload"), renew = $("renew"), lanes = $("lanes");
  const KEPT = "eni-ledger", PAUSE = 2000, LATEST = 15000;
  let source = null, skip = 0, count = 0, timer = 0, due = 0;

  // What was searched and zoomed to is there again in the page that has the new events.
  const keep = () => {
    const seen = { search: $("search").value, zone: $("zone").value, follow: $("follow").checked, y: scrollY,
      view: lanes.dataset.view, renew: renew.checked };
    sessionStorage.setItem(KEPT, JSON.stringify(seen));
  };
  const restore = () => {
    let seen = null;
    try { seen = JSON.parse(sessionStorage.getItem(KEPT)); sessionStorage.removeItem(KEPT); } catch { /* nothing kept */ }
    if (!seen) return;
    for (const [id, value] of [["search", seen.search], ["zone", seen.zone]]) {
      if (!value || $(id).value === value) continue;
      $(id).value = value;
      $(id).dispatchEvent(new Event(id === "zone" ? "change" : "input"));
    }
    if (!seen.follow) $("follow").click();
    if (seen.view) lanes.dispatchEvent(new CustomEvent("view", { detail: seen.view.split(" ").map(Number) }));
    renew.checked = seen.renew;
    scrollTo(0, seen.y);
  };
  const again = () => { keep(); location.reload(); };

  // Not for each of many events, and at the latest so long after the first one.
  const soon = () => {
    clearTimeout(timer);
    due = due || Date.now() + LATEST;
    timer = setTimeout(again, Math.min(PAUSE, Math.max(0, due - Date.now())));
  };
  const told = () => {
    state.textContent = count ? "Not in this page yet: " + count + (count === 1 ? " event." : " events.") : "Up to date.";
    reload.hidden = !count;
    reload.textContent = "Show " + (count === 1 ? "1 new event" : count + " new events");
    if (count && renew.checked) soon();
  };
  const connect = () => {
    if (source) return;
    skip = +state.dataset.skip;
    count = 0;
    source = new EventSource("/v1/events?since=" + encodeURIComponent(state.dataset.since));
    source.addEventListener("open", told);
    source.addEventListener("message", () => { if (skip) skip--; else { count++; told(); } });
    source.addEventListener("error", (event) => {
      if (event.data) { state.textContent = "Not live: the ledger cannot be read here. Reload the page."; leave(); return; }
      const over = source && source.readyState === EventSource.CLOSED;
      state.textContent = over ? "Not live: the server has no room for another page. Reload to see what is new."
        : "Not live: the server does not answer. It is asked again.";
    });
  };
  const leave = () => { if (source) source.close(); source = null; };
  reload.addEventListener("click", again);
  renew.addEventListener("change", () => { if (renew.checked) { if (count) again(); } else { clearTimeout(timer); due = 0; } });
  document.addEventListener("visibilitychange", () => (document.hidden ? leave() : connect())); // a stream is one of a few
  addEventListener("pagehide", leave);
  addEventListener("pageshow", connect);
  restore();
  connect();
})();
