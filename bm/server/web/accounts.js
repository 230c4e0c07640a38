"use strict";

/* One card per account: state, cooldown, usage of its limits, last error. A card keeps its height, so that the cards below
   it do not move. */
const accounts = {
  rows: [],
  seenAt: 0,

  show(rows) {
    accounts.rows = rows;
    accounts.seenAt = performance.now();
    draw.shown(draw.byId("accounts-empty"), rows.length === 0);
    draw.text(draw.byId("accounts-count"), rows.length ? String(rows.length) : "");
    accounts.tick();
  },

  /* Cooldowns also count down between polls. */
  tick() {
    const passed = (performance.now() - accounts.seenAt) / 1000;
    const key = (row) => row.provider + " " + row.name;
    draw.list(draw.byId("accounts"), accounts.rows, key, accounts.make, (card, row) => accounts.update(card, row, passed));
  },

  make() {
    const card = draw.make("article", "card");
    card.parts = {};
    for (const [name, tag] of [["name", "h3"], ["provider", "span"], ["state", "span"], ["quotas", "ul"], ["use", "span"], ["error", "span"]]) {
      card.parts[name] = draw.make(tag, name);
    }
    const { name, provider, state, quotas, use, error } = card.parts;
    card.append(draw.make("div", "line", {}, name, provider, state), quotas, draw.make("p", "line", {}, use, error));
    return card;
  },

  update(card, row, passed) {
    const { name, provider, state, quotas, use, error } = card.parts;
    const cooling = row.cooldowns.map((each) => ({ ...each, left: each.seconds - passed })).filter((each) => each.left > 0);
    draw.text(name, row.name);
    draw.text(provider, row.provider);
    draw.text(state, row.state + accounts.cooldown(cooling));
    draw.kind(state, "badge " + row.state.replace(" ", "-"));
    draw.list(quotas, accounts.quotas(row), (each) => each.name, accounts.makeQuota, accounts.updateQuota);
    draw.text(use, accounts.use(row));
    const lines = cooling.map((each) => (each.model || "all models") + " cooling down " + format.duration(each.left) + ": " + each.reason);
    draw.text(error, row.state === "disabled" ? row.reason : lines.at(-1) ?? row.last_error);
    draw.title(error, lines.length ? lines.join("\n") : error.textContent);
  },

  /* The longest cooldown, and the number of others. */
  cooldown(cooling) {
    if (!cooling.length) return "";
    return " " + format.left(Math.max(...cooling.map((each) => each.left))) + (cooling.length > 1 ? " +" + (cooling.length - 1) : "");
  },

  use(row) {
    const last = row.last_used ? format.duration(Date.now() / 1000 - row.last_used) + " ago" : "never used";
    const failed = row.failures_today ? ", " + format.count(row.failures_today) + " failed" : "";
    const busy = row.inflight ? ", " + row.inflight + " running" : "";
    return format.count(row.requests_today) + " today" + failed + busy + ", " + last;
  },

  /* The limits that are closest to being used up. Usage without a limit is shown per day only. */
  quotas(row) {
    const worth = row.quotas.filter((quota) => quota.limit !== null || quota.window === "day");
    const rows = worth.map((quota) => ({
      name: quota.model + " " + quota.unit + " " + quota.window,
      model: quota.model,
      part: quota.limit ? Math.min(quota.used / quota.limit, 1) : null,
      words: accounts.used(quota),
      resets: quota.resets ? "until " + format.reset(quota.resets) : "",
    }));
    const nearest = rows.sort((one, other) => (other.part ?? -1) - (one.part ?? -1)).slice(0, 4);
    return nearest.sort((one, other) => one.name.localeCompare(other.name));
  },

  /* "12 / 15 a minute", "31k / 250k tokens a minute", "34 a day" */
  used(quota) {
    const short = quota.unit === "tokens" ? format.short : format.count;
    const limit = quota.limit === null ? "" : " / " + short(quota.limit);
    return short(quota.used) + limit + (quota.unit === "tokens" ? " tokens" : "") + (quota.window === "minute" ? " a minute" : " a day");
  },

  makeQuota() {
    const quota = draw.make("li");
    quota.parts = { model: draw.make("span", "model"), words: draw.make("span", "words"), resets: draw.make("span", "resets"), fill: draw.make("i") };
    const { model, words, resets, fill } = quota.parts;
    quota.append(model, words, resets, draw.make("div", "bar", { "aria-hidden": "true" }, fill));
    return quota;
  },

  updateQuota(quota, each) {
    draw.text(quota.parts.model, each.model);
    draw.title(quota.parts.model, each.model);
    draw.text(quota.parts.words, each.words);
    draw.text(quota.parts.resets, each.resets);
    const fill = quota.parts.fill;
    fill.style.width = 100 * (each.part ?? 0) + "%";
    draw.kind(fill, each.part >= 1 ? "full" : each.part >= 0.8 ? "low" : "");
    draw.kind(quota, each.part === null ? "unlimited" : "");
  },
};
