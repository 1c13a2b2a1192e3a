"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const make = (tag, text, name) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (name) element.className = name;
    return element;
  };

  // ---- The data: columns of lines, numbers in base 36, times as differences -------------------------------------
  const data = JSON.parse($("data").textContent);
  const column = (name) => (data.rows ? data.columns[name].split("\n") : []);
  const texts = Object.fromEntries(Object.keys(data.columns).map((name) => [name, column(name)]));
  const unpacked = {};
  for (const [name, text] of Object.entries(data.packed)) unpacked[name] = [atob(text), data.hex[name]];
  const hex = (name, at) => { // a value of a packed column; zeros: there is none
    if (!unpacked[name]) return texts[name][at];
    const [bytes, digits] = unpacked[name], from = (at * digits) / 2;
    let made = "", any = 0;
    for (let n = from; n < from + digits / 2; n++) {
      const code = bytes.charCodeAt(n);
      any |= code;
      made += (code < 16 ? "0" : "") + code.toString(16);
    }
    return any ? made : "";
  };
  const number = (text) => (text === "" ? -1 : parseInt(text, 36));
  const word = (name, at) => { const n = number(texts[name][at]); return n < 0 ? "" : data.words[name][n]; };
  const since = new Float64Array(data.rows), until = new Float64Array(data.rows);
  const lane = new Int32Array(data.rows), colour = new Uint8Array(data.rows);
  let before = data.base;
  for (let at = 0; at < data.rows; at++) {
    before += number(texts.since[at]);
    since[at] = before;
    const lasted = number(texts.lasted[at]);
    until[at] = lasted < 0 ? Infinity : before + lasted;
    lane[at] = number(texts.lane[at]);
    colour[at] = data.colours[number(texts.family[at])] || 0;
  }
  const plain = {
    id: (at) => hex("id", at),
    eni: (at) => hex("eni", at).replace(/^([0-9a-f]{17})0?$/, "eni-$1"),
    mac: (at) => hex("mac", at).replace(/^[0-9a-f]{12}$/, (all) => all.match(/../g).join(":")),
    vlan: (at) => texts.vlan[at],
    ip: (at) => texts.ip[at],
    family: (at) => word("family", at),
    revision: (at) => texts.revision[at],
    task: (at) => hex("task", at),
    service: (at) => word("service", at),
    container: (at) => hex("container", at),
    netns: (at) => texts.netns[at],
    pid: (at) => texts.pid[at],
    trunk: (at) => word("trunk", at),
    host: (at) => word("host", at),
    ended: (at) => (until[at] === Infinity ? "live" : word("ended", at)),
    mismatch: (at) => word("mismatch", at),
  };
  const family = (at) => plain.family(at) + (plain.family(at) && plain.revision(at) ? ":" + plain.revision(at) : "");
  const owner = (at) => [family(at), plain.task(at).slice(0, 8)].filter(Boolean).join("/") || plain.container(at) || "–";

  // ---- Times ------------------------------------------------------------------------------------------------------
  const zones = { UTC: undefined };
  let zone = "UTC";
  const clock = (ms) => {
    if (!isFinite(ms)) return "live";
    if (zone === "UTC") return new Date(ms).toISOString().slice(0, 19).replace("T", " ");
    return zones[zone].format(ms);
  };
  const addZone = (name, timeZone) => {
    try {
      const part = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" };
      zones[name] = new Intl.DateTimeFormat("sv-SE", { ...part, hour12: false, timeZone });
    } catch { return; }
    const option = make("option", name);
    option.value = name;
    $("zone").append(option);
  };
  const age = (ms) => {
    let left = Math.max(0, Math.floor(ms / 1000));
    for (const [unit, size, lesser, small] of [["d", 86400, "h", 3600], ["h", 3600, "m", 60], ["m", 60, "s", 1]]) {
      if (left >= size) {
        const whole = Math.floor(left / size), rest = Math.floor((left % size) / small);
        return whole + unit + (rest && whole < 30 ? rest + lesser : "");
      }
    }
    return left + "s";
  };

  // ---- What is shown: search, family, view of the timeline ------------------------------------------------------
  const first = data.first, last = Math.max(data.last, data.first + 1000);
  let view = [first, last], shown = [], chosen = -1, only = -1, sort = ["since", 1], hay = null;
  const haystack = () => {
    hay = hay || Array.from({ length: data.rows }, (_, at) =>
      Object.values(plain).map((read) => read(at)).join("\n").toLowerCase() + "\n" + family(at).toLowerCase());
    return hay;
  };
  const terms = (text) => text.toLowerCase().split(/\s+/).filter(Boolean).map((term) => {
    const [, field, value] = term.match(/^([a-z]+):(.+)$/) || [];
    if (!plain[field]) return (at) => haystack()[at].includes(term);
    if (field === "vlan") return (at) => plain.vlan(at) === value;
    return (at) => plain[field](at).toLowerCase().includes(value);
  });
  const keys = {
    vlan: (at) => (texts.vlan[at] === "" ? -1 : +texts.vlan[at]),
    ip: (at) => plain.ip(at).split(".").map((part) => part.padStart(3, "0")).join("."),
    owner, eni: (at) => plain.eni(at) || plain.mac(at), container: plain.container, ended: plain.ended,
    since: (at) => since[at], until: (at) => until[at], lasted: (at) => until[at] - since[at],
  };
  const choose = () => {
    const tests = terms($("search").value);
    const follow = $("follow").checked && (view[0] > first || view[1] < last);
    shown = [];
    for (let at = 0; at < data.rows; at++) {
      if (only >= 0 && number(texts.family[at]) !== only) continue;
      if (follow && (since[at] > view[1] || until[at] < view[0])) continue;
      if (tests.every((test) => test(at))) shown.push(at);
    }
    const key = keys[sort[0]], values = shown.length ? new Map(shown.map((at) => [at, key(at)])) : null;
    shown.sort((a, b) => {
      const x = values.get(a), y = values.get(b);
      return (x < y ? -sort[1] : x > y ? sort[1] : a - b);
    });
    $("count").textContent = shown.length === data.rows ? data.rows + " associations" : shown.length + " of " + data.rows;
    match = shown.length === data.rows ? null : new Uint8Array(data.rows);
    if (match) for (const at of shown) match[at] = 1;
    $("scroll").scrollTop = 0;
    rows();
    draw();
  };
  let match = null;

  // ---- The table: only the rows in sight are elements -------------------------------------------------------------
  const body = $("rows"), scroll = $("scroll");
  let printing = 0;
  const tall = () => parseFloat(getComputedStyle(scroll).getPropertyValue("--row")) || 30;
  const row = (at, index) => {
    const element = make("tr");
    element.id = "row-" + at;
    element.dataset.at = at;
    element.setAttribute("aria-rowindex", index + 2);
    element.setAttribute("aria-selected", at === chosen);
    if (plain.mismatch(at)) element.className = "bad";
    const vlan = make("td", undefined, "vlan");
    vlan.append(make("span", plain.vlan(at) || "–", "tag f" + colour[at]));
    const cells = [
      ["ip", plain.ip(at) || "–"], ["owner", owner(at)], ["eni", plain.eni(at) || plain.mac(at) || "–"],
      ["container", plain.container(at)], ["since", clock(since[at])], ["until", clock(until[at])],
      ["lasted", age(Math.min(until[at], last) - since[at])], ["ended", plain.ended(at)],
    ];
    element.append(vlan, ...cells.map(([name, text]) => {
      const cell = make("td", text, name);
      cell.title = text;
      return cell;
    }));
    return element;
  };
  const spacer = (height) => {
    const element = make("tr", undefined, "spacer");
    element.setAttribute("aria-hidden", "true");
    const cell = make("td");
    cell.colSpan = 9;
    cell.style.height = height + "px";
    element.append(cell);
    return element;
  };
  function rows() {
    const high = tall(), from = printing ? 0 : Math.max(0, Math.floor(scroll.scrollTop / high) - 8);
    const to = printing ? Math.min(shown.length, printing) : Math.min(shown.length, from + Math.ceil(scroll.clientHeight / high) + 16);
    const made = shown.slice(from, to).map((at, index) => row(at, from + index));
    if (!printing && from) made.unshift(spacer(from * high));
    if (!printing && to < shown.length) made.push(spacer((shown.length - to) * high));
    body.replaceChildren(...made);
    $("table").setAttribute("aria-rowcount", shown.length + 1);
    $("none").hidden = shown.length > 0;
    scroll.setAttribute("aria-activedescendant", chosen >= 0 && $("row-" + chosen) ? "row-" + chosen : "");
  }
  let waiting = false;
  scroll.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; rows(); });
  });
  const select = (at, reveal) => {
    chosen = at;
    const index = shown.indexOf(at), high = tall();
    const head = $("table").tHead.offsetHeight;
    if (reveal && index >= 0) {
      const top = index * high;
      if (top < scroll.scrollTop) scroll.scrollTop = top;
      if (top + high > scroll.scrollTop + scroll.clientHeight - head) scroll.scrollTop = top + high - scroll.clientHeight + head;
    }
    rows();
    draw();
    detail();
  };
  const detail = () => {
    const list = $("facts");
    list.replaceChildren();
    $("detail").hidden = chosen < 0;
    if (chosen < 0) return;
    const at = chosen;
    const facts = [
      ["Task", [family(at), plain.task(at)].filter(Boolean).join("  ")], ["Service", plain.service(at)],
      ["VLAN ID", plain.vlan(at)], ["Addresses", plain.ip(at)], ["ENI", plain.eni(at)], ["MAC", plain.mac(at)],
      ["Trunk", plain.trunk(at)], ["Container", plain.container(at)],
      ["Namespace", plain.netns(at) + (plain.pid(at) ? "  pid " + plain.pid(at) : "")], ["Host", plain.host(at)],
      ["From", clock(since[at])], ["Until", clock(until[at])], ["Ended by", plain.ended(at)],
      ["Mismatch", plain.mismatch(at)], ["Association", plain.id(at) + "  (eni-ledger show " + plain.id(at) + ")"],
    ];
    for (const [name, text] of facts) if (text) list.append(make("dt", name), make("dd", text));
  };
  body.addEventListener("click", (event) => {
    const element = event.target.closest("tr[data-at]");
    if (element && !String(getSelection())) select(+element.dataset.at, false);
  });
  scroll.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(scroll.clientHeight / tall()) - 2), index = shown.indexOf(chosen);
    const to = { ArrowDown: index + 1, ArrowUp: index - 1, PageDown: index + page, PageUp: index - page, Home: 0, End: shown.length - 1 }[event.key];
    if (event.key === "Enter" && chosen >= 0) { $("detail").focus(); event.preventDefault(); }
    if (event.key === "Escape") select(-1, false);
    if (to === undefined || !shown.length) return;
    event.preventDefault();
    select(shown[Math.min(shown.length - 1, Math.max(0, to))], true);
  });
  for (const button of document.querySelectorAll("th button")) {
    button.addEventListener("click", () => {
      sort = [button.dataset.key, sort[0] === button.dataset.key ? -sort[1] : 1];
      for (const other of document.querySelectorAll("th button")) {
        const mine = other.dataset.key === sort[0];
        other.parentElement.setAttribute("aria-sort", mine ? (sort[1] > 0 ? "ascending" : "descending") : "none");
      }
      choose();
    });
  }

  // ---- The timeline: a lane for each VLAN ID ----------------------------------------------------------------------
  const box = $("lanes"), canvas = $("canvas"), tip = $("tip");
  const LABEL = 58, AXIS = 22, PAPER = 1000;
  let LANE = 16;
  const lanes = data.lanes;
  const breadth = () => (printing ? PAPER : box.clientWidth);
  const X = (ms) => LABEL + ((ms - view[0]) / (view[1] - view[0])) * (breadth() - LABEL - 4);
  const T = (x) => view[0] + ((x - LABEL) / (breadth() - LABEL - 4)) * (view[1] - view[0]);
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000, 7776000, 31536000];
  function draw(marked) {
    LANE = printing ? Math.max(4, Math.min(16, (PAPER - AXIS) / lanes.length)) : 16;
    const high = printing ? lanes.length * LANE + AXIS : Math.min(box.clientHeight, lanes.length * LANE + AXIS);
    const wide = breadth(), scale = devicePixelRatio || 1, top = printing ? 0 : box.scrollTop;
    $("sizer").style.height = Math.max(0, lanes.length * LANE + AXIS - high) + "px";
    canvas.width = wide * scale; canvas.height = high * scale;
    canvas.style.width = wide + "px"; canvas.style.height = high + "px";
    const style = getComputedStyle(document.body), of = (name) => style.getPropertyValue(name).trim();
    const pen = canvas.getContext("2d"), fills = Array.from({ length: 13 }, (_, n) => of("--f" + n));
    pen.scale(scale, scale);
    pen.fillStyle = of("--tp-box"); pen.fillRect(0, 0, wide, high);
    pen.font = "11px " + (of("--mono") || "monospace"); pen.textBaseline = "middle";
    const y = (n) => AXIS + n * LANE - top;
    const from = Math.max(0, Math.floor(top / LANE)), to = Math.min(lanes.length, from + Math.ceil(high / LANE) + 1);
    pen.fillStyle = of("--tp-page");
    for (let n = from; n < to; n += 1) if (n % 2) pen.fillRect(0, y(n), wide, LANE);
    pen.save();
    pen.beginPath(); pen.rect(LABEL, 0, wide - LABEL, high); pen.clip();
    for (const gap of data.gaps) {
      const x = X(gap[0]), w = Math.max(2, X(gap[1]) - x);
      pen.globalAlpha = 0.25; pen.fillStyle = of("--tp-bad"); pen.fillRect(x, AXIS, w, high - AXIS);
    }
    pen.globalAlpha = 1;
    for (let at = 0; at < data.rows; at++) {
      const n = lane[at];
      if (n < from || n >= to || since[at] > view[1] || until[at] < view[0]) continue;
      const x = Math.max(LABEL - 2, X(since[at])), w = Math.max(1.5, Math.min(X(Math.min(until[at], last)), wide + 2) - x);
      pen.globalAlpha = match && !match[at] ? 0.15 : 1;
      pen.fillStyle = fills[colour[at]];
      pen.fillRect(x, y(n) + LANE / 8, w > 4 ? w - 1 : w, LANE * 0.75);
      if (at === chosen || at === marked) { pen.globalAlpha = 1; pen.strokeStyle = of("--tp-text"); pen.lineWidth = 2; pen.strokeRect(x, y(n) + 1, w, LANE - 2); }
    }
    pen.globalAlpha = 1;
    for (const mark of data.marks) {
      if (mark < view[0] || mark > view[1]) continue;
      pen.fillStyle = of("--tp-bad"); pen.globalAlpha = 1; pen.fillRect(X(mark) - 1, AXIS - 6, 3, 6);
      pen.globalAlpha = 0.5; pen.fillRect(X(mark), AXIS, 1, high);
    }
    pen.restore();
    pen.globalAlpha = 1;
    pen.fillStyle = of("--tp-box"); pen.fillRect(0, 0, wide, AXIS);
    pen.fillStyle = of("--tp-dim");
    const step = steps.find((seconds) => ((view[1] - view[0]) / 1000 / seconds) * 96 < wide - LABEL) || steps[steps.length - 1];
    for (let tick = Math.ceil(view[0] / step / 1000) * step * 1000; tick <= view[1]; tick += step * 1000) {
      const x = X(tick), text = clock(tick);
      pen.fillRect(x, AXIS - 5, 1, 5);
      if (x < wide - 50) pen.fillText(step >= 86400 ? text.slice(0, 10) : step >= 60 ? text.slice(5, 16) : text.slice(11), x + 3, 9);
    }
    pen.textAlign = "right";
    const every = Math.ceil(11 / LANE);
    for (let n = from; n < to; n++) {
      if (y(n) + LANE / 2 < AXIS || n % every) continue;
      pen.fillStyle = of("--tp-dim"); pen.fillText(lanes[n], LABEL - 8, y(n) + LANE / 2, LABEL - 10);
    }
    pen.textAlign = "left";
    $("span").textContent = clock(view[0]) + " to " + clock(view[1]) + " (" + age(view[1] - view[0]) + ")";
  }
  const hit = (event) => {
    const place = canvas.getBoundingClientRect(), x = event.clientX - place.left, y = event.clientY - place.top;
    const n = Math.floor((y - AXIS + box.scrollTop) / LANE);
    if (x < LABEL || y < AXIS || n < 0 || n >= lanes.length) return -1;
    const slack = (T(x + 3) - T(x)), time = T(x);
    let best = -1;
    for (let at = 0; at < data.rows; at++) {
      if (lane[at] !== n || since[at] - slack > time || until[at] + slack < time) continue;
      if (best < 0 || (match && match[at] > match[best]) || (since[at] <= time && time <= until[at])) best = at;
    }
    return best;
  };
  const zoom = (from, to) => {
    const width = Math.min(last - first, Math.max(1000, to - from));
    const start = Math.max(first, Math.min(from, last - width));
    view = [start, start + width];
    box.dataset.view = width < last - first ? view.join(" ") : "";
    if ($("follow").checked) choose(); else draw();
  };
  const by = (factor, at) => {
    const around = at === undefined ? (view[0] + view[1]) / 2 : at;
    zoom(around - (around - view[0]) * factor, around + (view[1] - around) * factor);
  };
  const pan = (part) => zoom(view[0] + part * (view[1] - view[0]), view[1] + part * (view[1] - view[0]));
  const hover = (event) => {
    const at = hit(event);
    tip.hidden = at < 0;
    canvas.style.cursor = at < 0 ? "crosshair" : "pointer";
    draw(at);
    if (at < 0) return;
    tip.replaceChildren(make("strong", owner(at)), ...[
      "VLAN " + (plain.vlan(at) || "–") + "  " + plain.ip(at), plain.eni(at) || plain.mac(at),
      clock(since[at]), "to " + clock(until[at]) + "  (" + age(Math.min(until[at], last) - since[at]) + ")", plain.ended(at),
    ].filter(Boolean).map((text) => make("div", text)));
    tip.style.left = Math.max(4, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)) + "px";
    tip.style.top = Math.max(4, Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8)) + "px";
  };
  let drag = null;
  canvas.addEventListener("pointerdown", (event) => {
    const place = canvas.getBoundingClientRect();
    drag = { x: event.clientX - place.left, view: [...view], touch: event.pointerType === "touch", moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) { hover(event); return; }
    const x = event.clientX - canvas.getBoundingClientRect().left;
    if (!drag.moved && Math.abs(x - drag.x) < 5) return;
    drag.moved = true;
    tip.hidden = true;
    if (drag.touch) {
      const moved = ((drag.x - x) / (box.clientWidth - LABEL)) * (drag.view[1] - drag.view[0]);
      view = [drag.view[0] + moved, drag.view[1] + moved];
      if (view[0] < first) view = [first, first + drag.view[1] - drag.view[0]];
      if (view[1] > last) view = [last - (drag.view[1] - drag.view[0]), last];
      draw();
      return;
    }
    draw();
    const pen = canvas.getContext("2d"), style = getComputedStyle(document.body);
    pen.globalAlpha = 0.25; pen.fillStyle = style.getPropertyValue("--f1");
    pen.fillRect(Math.min(x, drag.x), AXIS, Math.abs(x - drag.x), canvas.clientHeight);
  });
  canvas.addEventListener("pointerup", (event) => {
    const from = drag, x = event.clientX - canvas.getBoundingClientRect().left;
    drag = null;
    if (!from) return;
    if (from.moved && !from.touch) { zoom(T(Math.max(LABEL, Math.min(x, from.x))), T(Math.max(x, from.x))); return; }
    if (from.moved) { zoom(...view); return; }
    const at = hit(event);
    if (from.touch) hover(event);
    if (at >= 0) select(at, true);
  });
  canvas.addEventListener("pointercancel", () => { drag = null; });
  canvas.addEventListener("pointerleave", () => { if (!drag) { tip.hidden = true; draw(); } });
  canvas.addEventListener("dblclick", () => by(3));
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.shiftKey) return; // the page scrolls
    event.preventDefault();
    by((event.deltaY || event.deltaX) > 0 ? 1.3 : 1 / 1.3, T(event.clientX - canvas.getBoundingClientRect().left));
  }, { passive: false });
  box.addEventListener("view", (event) => zoom(...event.detail));
  box.addEventListener("scroll", () => requestAnimationFrame(() => draw()));
  box.addEventListener("keydown", (event) => {
    const acts = {
      ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), "+": () => by(0.5), "=": () => by(0.5), "-": () => by(2),
      0: () => zoom(first, last), ArrowUp: () => { box.scrollTop -= LANE * 3; }, ArrowDown: () => { box.scrollTop += LANE * 3; },
    };
    if (!acts[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    acts[event.key]();
  });
  for (const [id, act] of [["in", () => by(0.5)], ["out", () => by(2)], ["left", () => pan(-0.4)], ["right", () => pan(0.4)], ["all", () => zoom(first, last)]]) {
    $(id).addEventListener("click", act);
  }

  // ---- Legend, search, zones, printing ----------------------------------------------------------------------------
  const legend = $("legend");
  data.legend.forEach((index) => {
    const button = make("button", undefined, "key");
    button.type = "button";
    button.setAttribute("aria-pressed", "false");
    button.append(make("span", "", "dot f" + (data.colours[index] || 0)), make("span", data.words.family[index]));
    button.addEventListener("click", () => {
      only = only === index ? -1 : index;
      [...legend.children].forEach((other) => other.setAttribute("aria-pressed", String(other === button && only === index)));
      choose();
    });
    legend.append(button);
  });
  let timer = 0;
  $("search").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(choose, 60); });
  $("search").addEventListener("keydown", (event) => {
    if (event.key === "Escape") { $("search").value = ""; choose(); }
    if (event.key === "ArrowDown" && shown.length) { event.preventDefault(); scroll.focus(); select(shown[0], true); }
  });
  $("follow").addEventListener("change", choose);
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.matches("input, select, textarea")) return;
    event.preventDefault();
    $("search").focus();
  });
  addZone(data.zone === "UTC" ? "local" : data.zone, data.zone === "UTC" ? undefined : data.zone);
  if (data.zone !== "UTC" && zones[data.zone]) zone = $("zone").value = data.zone;
  const instants = () => {
    for (const element of document.querySelectorAll("time[data-ms]")) element.textContent = clock(+element.dataset.ms);
    for (const element of document.querySelectorAll(".zone")) element.textContent = zone;
  };
  $("zone").addEventListener("change", () => { zone = $("zone").value; instants(); rows(); draw(); detail(); });
  const PRINTED = 1000;
  addEventListener("beforeprint", () => {
    document.documentElement.classList.add("print");
    printing = PRINTED;
    $("cut").hidden = shown.length <= PRINTED;
    rows(); draw();
  });
  addEventListener("afterprint", () => {
    document.documentElement.classList.remove("print");
    printing = 0;
    $("cut").hidden = true;
    rows(); draw();
  });
  addEventListener("resize", () => { rows(); draw(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
  document.documentElement.classList.add("ready");
  box.style.setProperty("--tall", lanes.length * LANE + AXIS + 4 + "px");
  instants();
  choose();
  requestAnimationFrame(() => requestAnimationFrame(() => performance.mark("report-table")));
})();
