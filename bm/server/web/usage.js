"use strict";

/* Usage and cost: figures, a chart over time, and a table by provider, model, account, tool, key, node or day. */
const usage = {
  EVERY: 15,
  SHOWN: 7,
  PERIODS: [["1", "today"], ["7", "7 days"], ["30", "30 days"], ["90", "90 days"]],
  MEASURES: {
    requests: ["requests", (row) => row.requests, (value) => format.short(value)],
    tokens: ["tokens", (row) => row.input + row.cache_read + row.cache_write + row.output, (value) => format.short(value)],
    cost: ["list price", (row) => row.cost ?? 0, (value) => format.money(value)],
    paid: ["paid", (row) => usage.paid(row) ?? 0, (value) => format.money(value)],
  },
  days: "30",
  measure: "requests",
  mark: "",
  at: -Infinity,
  found: null,

  /* What paid providers cost; the rest is what the Gemini accounts would have cost outside the free tier. */
  paid(row) {
    return row.cost === null ? null : Math.max(row.cost - (row.free_cost ?? 0), 0);
  },

  /* Reloads when `mark` has changed, at most every `EVERY` seconds, because it reads the whole ledger. */
  async follow(mark) {
    if (views.current !== "usage" || mark === usage.mark || performance.now() / 1000 - usage.at < usage.EVERY) return;
    usage.mark = mark;
    await usage.load();
  },

  async load() {
    const by = draw.byId("usage-by").value;
    const days = usage.days;
    const query = "days=" + days + "&by=" + by;
    usage.at = performance.now() / 1000;
    try {
      const [found, series] = await Promise.all([session.ask("/admin/usage?" + query), session.ask("/admin/usage/series?" + query)]);
      if (by !== draw.byId("usage-by").value || days !== usage.days) return;
      usage.found = { found, series };
      usage.show();
    } catch (error) {
      draw.text(draw.byId("usage-note"), error.message);
    }
  },

  show() {
    if (!usage.found) return;
    const { found, series } = usage.found;
    usage.figures(found.total);
    usage.table(found);
    draw.shown(draw.byId("usage-chart"), found.rows.length > 0);
    if (found.rows.length) usage.chart(found, series);
  },

  figures(total) {
    const tokens = total.input + total.cache_read + total.cache_write + total.output;
    const part = total.requests ? (100 * total.failures) / total.requests : 0;
    const cached = total.input + total.cache_read + total.cache_write;
    const figures = [
      ["requests", "Requests", format.count(total.requests), total.failures ? format.count(total.failures) + " failed (" + part.toFixed(1) + " %)" : "none failed"],
      ["tokens", "Tokens", format.short(tokens), format.short(cached) + " in, " + format.short(total.output) + " out"],
      ["cached", "Read from caches", cached ? Math.round((100 * total.cache_read) / cached) + " %" : "–", "of the input, " + format.short(total.cache_read) + " tokens"],
      ["paid", "Paid", format.money(usage.paid(total)), "providers, at list price"],
      ["saved", "Would have cost", format.money(total.free_cost), "Gemini accounts, outside the free tier"],
    ];
    const make = ([, title]) => draw.make("div", "tile", {}, draw.make("h3", "", {}, title), draw.make("p"), draw.make("small"));
    draw.list(draw.byId("usage-figures"), figures, ([id]) => id, make, (tile, [id, , value, more]) => {
      tile.id = "figure-" + id;
      draw.text(tile.children[1], value);
      draw.text(tile.children[2], more);
    });
  },

  chart(found, series) {
    const [title, value, show] = usage.MEASURES[usage.measure];
    const by = found.by === "day" ? () => "" : (point) => point.name || "–";
    const sums = new Map();
    for (const point of series.points) sums.set(by(point), (sums.get(by(point)) ?? 0) + value(point));
    const names = [...sums.keys()].sort((one, other) => sums.get(other) - sums.get(one));
    const shown = names.slice(0, usage.SHOWN);
    const places = new Map(series.steps.map((step, place) => [step, place]));
    const lines = new Map([...shown, ...(names.length > shown.length ? ["others"] : [])].map((name) => [name, series.steps.map(() => 0)]));
    for (const point of series.points) {
      const line = lines.get(by(point)) ?? lines.get("others");
      if (places.has(point.step)) line[places.get(point.step)] += value(point);
    }
    const labels = series.steps.map((step) => (series.step === "hour" ? step.slice(11) : step.slice(5)));
    const head = title + " per " + series.step;
    chart.draw(draw.byId("usage-chart"), head, labels, [...lines].map(([name, values]) => ({ name, values })), show);
  },

  table(found) {
    const [, value] = usage.MEASURES[usage.measure];
    const most = Math.max(...found.rows.map(value), 1e-12);
    draw.text(draw.byId("usage-name"), found.by);
    const rows = found.by === "day" ? found.rows.toReversed() : found.rows;
    draw.byId("usage-rows").replaceChildren(...rows.map((row) => usage.row(row.name || "–", row, value(row) / most)));
    draw.byId("usage-total").replaceChildren(...(rows.length > 1 ? [usage.row("total", found.total, 0)] : []));
    draw.shown(draw.byId("usage-empty"), rows.length === 0);
    const unpriced = found.total.unpriced;
    const excluded = unpriced ? " Cost excludes " + format.plural(unpriced, "request") + " to models without a known price." : "";
    draw.text(draw.byId("usage-note"), "Prices are list prices. What Gemini accounts would have cost is not paid within the free tier." + excluded);
  },

  row(name, row, part) {
    const fill = draw.make("i");
    fill.style.width = 100 * part + "%";
    const numbers = { requests: row.requests, failed: row.failures, input: row.input + row.cache_write, cached: row.cache_read, output: row.output };
    const line = draw.row([["name", name]]);
    const cell = (label, text, kind = "num") => line.append(draw.make("td", kind, { "data-label": label }, draw.make("span", "", {}, text)));
    for (const [label, number] of Object.entries(numbers)) cell(label, format.count(number), label === "failed" && number ? "num bad" : "num");
    cell("list price", format.money(row.cost));
    cell("paid", format.money(usage.paid(row)));
    line.append(draw.make("td", "share", {}, draw.make("div", "bar", { "aria-hidden": "true" }, fill)));
    return line;
  },

  start() {
    draw.choices(draw.byId("usage-days"), usage.PERIODS, usage.days, (days) => {
      usage.days = days;
      usage.load();
    });
    const measures = Object.entries(usage.MEASURES).map(([name, [words]]) => [name, words]);
    draw.choices(draw.byId("usage-measure"), measures, usage.measure, (measure) => {
      usage.measure = measure;
      usage.show();
    });
    draw.byId("usage-by").addEventListener("change", usage.load);
    addEventListener("resize", () => views.current === "usage" && usage.show());
  },
};
