"use strict";

/* Usage and cost by provider, model, account or day. */
const usage = {
  EVERY: 15,
  mark: "",
  at: -Infinity,

  /* Reloads when `mark` has changed, at most every `EVERY` seconds, because it reads the whole ledger. */
  async follow(mark) {
    if (mark === usage.mark || performance.now() / 1000 - usage.at < usage.EVERY) return;
    usage.mark = mark;
    await usage.load();
  },

  async load() {
    const by = draw.byId("usage-by").value;
    const days = draw.byId("usage-days").value;
    usage.at = performance.now() / 1000;
    try {
      const found = await session.ask("/admin/usage?days=" + days + "&by=" + by);
      if (by === draw.byId("usage-by").value && days === draw.byId("usage-days").value) usage.show(found);
    } catch (error) {
      draw.text(draw.byId("usage-note"), error.message);
    }
  },

  show(found) {
    const weight = (row) => row.cost ?? 0;
    const unit = found.rows.some((row) => weight(row) > 0) ? weight : (row) => row.requests;
    const most = Math.max(...found.rows.map(unit), 1e-12);
    draw.text(draw.byId("usage-name"), found.by);
    const rows = found.by === "day" ? found.rows.toReversed() : found.rows;
    draw.byId("usage-rows").replaceChildren(...rows.map((row) => usage.row(row.name || "–", row, unit(row) / most)));
    draw.byId("usage-total").replaceChildren(...(rows.length > 1 ? [usage.row("total", found.total, 0)] : []));
    draw.shown(draw.byId("usage-empty"), rows.length === 0);
    const unpriced = found.total.unpriced;
    draw.text(draw.byId("usage-note"), unpriced ? "The cost excludes " + format.plural(unpriced, "request") + " to models without a known price." : "");
  },

  row(name, row, part) {
    const fill = draw.make("i");
    fill.style.width = 100 * part + "%";
    const numbers = [row.requests, row.failures, row.input + row.cache_write, row.cache_read, row.output];
    const failed = row.failures ? "num bad" : "num";
    const cells = numbers.map((number, place) => [place === 1 ? failed : "num", place < 2 ? format.count(number) : format.short(number)]);
    return draw.row([["name", name], ...cells, ["num", format.money(row.cost)], ["share", draw.make("div", "bar", { "aria-hidden": "true" }, fill)]]);
  },

  start() {
    for (const id of ["usage-by", "usage-days"]) draw.byId(id).addEventListener("change", usage.load);
  },
};
