"use strict";

/* The requests, newest first: running ones with their time so far, the others as they ended. */
const requests = {
  MOST: 1000,
  rows: new Map(),
  heldAt: null,

  /* Loads the recorded requests, when the page opens and when the daemon was restarted. */
  async load() {
    const found = await session.ask("/admin/requests?limit=" + requests.MOST);
    for (const [id, row] of requests.rows) if (row.data.running) requests.remove(id);
    for (const data of found.requests.reverse()) requests.put(data);
    requests.count();
  },

  /* Updates the list; returns whether requests were missed and must be loaded. */
  show(live, missed) {
    const still = requests.hold();
    for (const data of live.requests.toReversed()) requests.put(data);
    const under_way = new Set(live.under_way.map((data) => data.id));
    for (const data of live.under_way.sort((one, other) => one.at - other.at)) {
      const known = requests.rows.get(data.id);
      if (!known || known.data.running) requests.put({ ...data, running: true });
    }
    for (const [id, row] of requests.rows) if (row.data.running && !under_way.has(id)) missed = true;
    requests.count();
    still();
    return missed;
  },

  /* New rows push the others down, except while the pointer or focus is on a row or the list is scrolled down: then the
     scroll position is adjusted. `heldAt` is the position reached that way from the top, else null. */
  hold() {
    const scroll = draw.byId("requests-scroll");
    const first = scroll.querySelector("tbody tr:not([hidden])");
    const before = first?.offsetTop;
    const chosen = scroll.matches(":hover, :focus-within");
    if (scroll.scrollTop !== requests.heldAt) requests.heldAt = null;
    if (chosen && scroll.scrollTop === 0) requests.heldAt = 0;
    if (!first || (!chosen && scroll.scrollTop === 0)) return () => {};
    if (!chosen && requests.heldAt !== null) return () => (scroll.scrollTop = 0);
    return () => {
      if (first.isConnected) scroll.scrollTop += first.offsetTop - before;
      if (requests.heldAt !== null) requests.heldAt = scroll.scrollTop;
    };
  },

  put(data) {
    let row = requests.rows.get(data.id);
    if (!row) {
      row = requests.make(data.id);
      requests.rows.set(data.id, row);
      requests.place(row, data);
    }
    const over = row.data?.running && !data.running;
    row.data = data;
    requests.update(row, data);
    if (over) why.ended(data.id);
    if (requests.rows.size > requests.MOST + 50) requests.trim();
  },

  /* Sorted by arrival: a long request ends after others that arrived later. */
  place(row, data) {
    const rows = draw.byId("rows");
    let before = rows.firstElementChild;
    while (before && before.row.data.at > data.at) before = before.nextElementSibling;
    rows.insertBefore(row.line, before);
  },

  remove(id) {
    requests.rows.get(id).line.remove();
    requests.rows.delete(id);
  },

  trim() {
    const rows = draw.byId("rows");
    while (requests.rows.size > requests.MOST) requests.remove(rows.lastElementChild.row.data.id);
  },

  make(id) {
    const cells = {};
    const line = draw.make("tr", "", { role: "row" });
    for (const name of ["time", "tool", "asked", "by", "first", "took", "tokens", "cost", "end"]) {
      cells[name] = draw.make("td", "c-" + name + (["first", "took", "tokens", "cost"].includes(name) ? " num" : ""), { role: "cell" });
      line.append(cells[name]);
    }
    const button = draw.make("button", "open", { type: "button", tabindex: "-1" });
    cells.time.append(button);
    cells.time = button;
    const row = { id, line, cells, data: null };
    line.row = row;
    line.addEventListener("click", () => String(getSelection()) || why.open(row.data));
    return row;
  },

  update({ line, cells }, data) {
    draw.text(cells.time, format.shortTime(data.at));
    draw.title(cells.time, format.time(data.at) + ": how it was answered");
    draw.text(cells.tool, (data.tool || data.protocol) + (data.operation === "generate" ? "" : " " + data.operation));
    draw.title(cells.tool, data.protocol);
    draw.text(cells.asked, data.model);
    draw.title(cells.asked, data.model);
    const by = data.provider ? data.provider + "/" + data.account + " " + data.upstream_model : "–";
    draw.text(cells.by, by);
    draw.title(cells.by, by);
    draw.text(cells.first, format.took(data.first_content));
    draw.text(cells.took, format.took(data.took));
    const tokens = data.input + data.cache_read + data.cache_write;
    const used = tokens || data.output;
    draw.text(cells.tokens, used ? format.short(tokens) + " → " + format.short(data.output) : "");
    draw.text(cells.cost, used ? format.money(data.cost) : "");
    const [kind, words, more] = requests.end(data);
    draw.text(cells.end, words);
    draw.title(cells.end, more);
    draw.kind(line, kind);
    line.hidden = !requests.wanted(data);
  },

  /* The state or end of a request: a class, a short text, and a title. */
  end(data) {
    const attempts = data.attempts > 1 ? ", " + data.attempts + " attempts" : "";
    if (data.running) return ["running", (data.first_content === null ? "waiting" : "answering") + attempts, ""];
    const more = data.dropped ? "dropped: " + data.dropped : "";
    if (data.finish === "client_left") return ["left", "client left", more];
    if (data.failure) return ["failed", data.status + " " + data.failure + attempts, more];
    return [data.attempts > 1 ? "ok retried" : "ok", (data.finish || "complete") + attempts + (more ? ", dropped" : ""), more];
  },

  wanted(data) {
    if (requests.failedOnly && !data.failure) return false;
    const text = requests.text;
    if (!text) return true;
    const words = [data.id, data.protocol, data.model, data.provider + "/" + data.account, data.upstream_model, data.failure, data.finish, data.tool];
    return words.some((word) => word.toLowerCase().includes(text));
  },

  count() {
    let shown = 0;
    for (const row of requests.rows.values()) shown += !row.line.hidden;
    const all = requests.rows.size;
    draw.text(draw.byId("requests-count"), all ? (shown < all ? format.count(shown) + " of " : "") + format.count(all) : "");
    const empty = draw.byId("requests-empty");
    draw.shown(empty, shown === 0);
    draw.byId("requests").classList.toggle("none", all === 0);
    // The newest, unless the keyboard is on another one already.
    const lost = !requests.reached?.isConnected || requests.reached.closest("tr").hidden;
    if (lost || !draw.byId("rows").contains(document.activeElement)) requests.reach(draw.byId("rows").querySelector("tr:not([hidden]) .open"));
    if (shown === 0 && empty.of !== Boolean(all)) {
      empty.of = Boolean(all);
      const words = all ? "No request matches the filter." : 'No requests yet. `eval "$(bm env)"` configures the tools of a shell to use bm.';
      empty.replaceChildren(...draw.words("span", "", words).childNodes);
    }
  },

  /* Only one row is reached by Tab, so that what follows is not a thousand rows away; the arrow keys go on from there. */
  reach(button) {
    if (requests.reached === button) return;
    if (requests.reached) requests.reached.tabIndex = -1;
    requests.reached = button;
    if (button) button.tabIndex = 0;
  },

  walk(event) {
    const shown = [...draw.byId("rows").querySelectorAll("tr:not([hidden]) .open")];
    const at = shown.indexOf(event.target);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: shown.length - 1, PageDown: at + 10, PageUp: at - 10 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    shown[Math.min(Math.max(to, 0), shown.length - 1)].focus();
  },

  filter() {
    requests.text = draw.byId("filter").value.trim().toLowerCase();
    requests.failedOnly = draw.byId("failed-only").checked;
    for (const row of requests.rows.values()) row.line.hidden = !requests.wanted(row.data);
    requests.count();
  },

  start() {
    draw.byId("filter").addEventListener("input", requests.filter);
    draw.byId("rows").addEventListener("keydown", requests.walk);
    draw.byId("rows").addEventListener("focusin", (event) => event.target.matches(".open") && requests.reach(event.target));
    draw.byId("failed-only").addEventListener("change", requests.filter);
  },
};
