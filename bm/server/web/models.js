"use strict";

/* The models that can be asked for: what to type, limits, prices, capabilities, retirement. */
const models = {
  FRESH: 60000,
  MOST: 400,
  rows: [],
  at: -Infinity,

  async load() {
    if (performance.now() - models.at > models.FRESH) {
      models.rows = (await session.ask("/admin/models", { seconds: 60 })).models.filter((row) => row.generates);
      models.at = performance.now();
    }
    models.show();
    await routing.load();
  },

  /* Every name that can be typed: aliases first. */
  async names() {
    await models.load();
    return [...routing.aliases(), ...models.rows.map((row) => row.name)];
  },

  show() {
    const text = draw.byId("models-filter").value.trim().toLowerCase();
    const wanted = models.rows.filter((row) => !text || (row.name + " " + row.title + " " + row.takes.join(" ")).toLowerCase().includes(text));
    const count = wanted.length < models.rows.length ? format.count(wanted.length) + " of " + format.count(models.rows.length) : format.count(models.rows.length);
    draw.text(draw.byId("models-count"), count);
    draw.byId("models-rows").replaceChildren(...wanted.slice(0, models.MOST).map(models.row));
    draw.shown(draw.byId("models-empty"), wanted.length === 0);
    const more = wanted.length - models.MOST;
    draw.text(draw.byId("models-note"), (more > 0 ? format.count(more) + " more: filter to see them. " : "") + "Context and answer in tokens; prices are list prices of a million tokens in US dollars.");
  },

  row(row) {
    const line = draw.row([["name", draw.make("code", "", {}, row.name)]]);
    const cell = (label, text, kind = "num") => line.append(draw.make("td", kind, { "data-label": label }, draw.make("span", "", {}, text)));
    cell("context", row.context ? format.short(row.context) : "–");
    cell("answer", row.max_output ? format.short(row.max_output) : "–");
    cell("input", row.price ? models.price(row.price[0]) : "–");
    cell("output", row.price ? models.price(row.price[1]) : "–");
    cell("takes", row.takes.join(", "), "takes");
    cell("note", row.note, "note-cell todo");
    return line;
  },

  price(dollars) {
    return "$" + dollars.toFixed(dollars && dollars < 0.1 ? 3 : 2);
  },

  start() {
    draw.byId("models-filter").addEventListener("input", models.show);
  },
};
