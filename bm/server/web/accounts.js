"use strict";

/* One card per account: state, cooldown, usage of its limits, last error. A click opens all about it. A card keeps its
   height, so that the cards below it do not move. */
const accounts = {
  rows: [],
  seenAt: 0,

  show(rows) {
    accounts.rows = rows;
    accounts.seenAt = performance.now();
    draw.shown(draw.byId("accounts-empty"), rows.length === 0);
    draw.text(draw.byId("accounts-count"), rows.length ? String(rows.length) : "");
    accounts.tick();
    accountSheet.follow();
  },

  /* The account with a name, if there is exactly one. */
  named(name) {
    const found = accounts.rows.filter((row) => row.name === name);
    return found.length === 1 ? found[0] : null;
  },

  find(provider, name) {
    return accounts.rows.find((row) => row.provider === provider && row.name === name);
  },

  /* Cooldowns also count down between polls. */
  tick() {
    const passed = (performance.now() - accounts.seenAt) / 1000;
    const key = (row) => row.provider + " " + row.name;
    draw.list(draw.byId("accounts"), accounts.rows, key, accounts.make, (card, row) => accounts.update(card, row, passed));
    accountSheet.tick(passed);
  },

  make() {
    const card = draw.make("article", "card");
    card.parts = {};
    for (const [name, tag] of [["name", "button"], ["provider", "span"], ["state", "span"], ["quotas", "ul"], ["use", "span"], ["error", "span"]]) {
      card.parts[name] = draw.make(tag, name);
    }
    const { name, provider, state, quotas, use, error } = card.parts;
    name.type = "button";
    name.addEventListener("click", () => accountSheet.open(card.row));
    card.append(draw.make("h3", "line", {}, name, provider, state), quotas, draw.make("p", "line", {}, use, error));
    return card;
  },

  update(card, row, passed) {
    const { name, provider, state, quotas, use, error } = card.parts;
    card.row = row;
    const cooling = accounts.cooling(row, passed);
    draw.text(name, row.name);
    draw.title(name, "Manage " + row.name + " of " + row.provider);
    draw.text(provider, row.provider);
    draw.text(state, row.state + accounts.cooldown(cooling));
    draw.kind(state, "badge " + row.state.replace(" ", "-"));
    draw.list(quotas, quotaBars.nearest(row), (each) => each.name, quotaBars.make, quotaBars.update);
    draw.text(use, accounts.use(row));
    const lines = cooling.map((each) => (each.model || "all models") + ": " + each.reason);
    draw.text(error, row.state === "disabled" ? row.reason : lines.at(-1) ?? row.last_error);
    draw.title(error, lines.length ? lines.join("\n") : error.textContent);
  },

  /* The cooldowns that have not passed meanwhile. */
  cooling(row, passed) {
    return row.cooldowns.map((each) => ({ ...each, left: each.seconds - passed })).filter((each) => each.left > 0);
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

  start() {
    draw.byId("add-account").addEventListener("click", () => newcomers.account());
  },
};

/* How much of each limit is used, what remains, and when it resets. */
const quotaBars = {
  all(row) {
    const worth = row.quotas.filter((quota) => quota.limit !== null || quota.window === "day");
    return worth.map((quota) => ({
      name: quota.model + " " + quota.unit + " " + quota.window,
      model: quota.model,
      part: quota.limit ? Math.min(quota.used / quota.limit, 1) : null,
      words: quotaBars.words(quota),
      resets: quota.resets ? "until " + format.reset(quota.resets) : "",
    }));
  },

  /* The limits that are closest to being used up. Usage without a limit is shown per day only. */
  nearest(row) {
    const nearest = quotaBars.all(row).sort((one, other) => (other.part ?? -1) - (one.part ?? -1)).slice(0, 3);
    return nearest.sort((one, other) => one.name.localeCompare(other.name));
  },

  /* "3 of 15 left a minute", "219k of 250k tokens left a minute", "34 a day" */
  words(quota) {
    const short = quota.unit === "tokens" ? format.short : format.count;
    const unit = quota.unit === "tokens" ? " tokens" : "";
    const per = quota.window === "minute" ? " a minute" : " a day";
    if (quota.limit === null) return short(quota.used) + unit + per;
    return short(Math.max(quota.limit - quota.used, 0)) + " of " + short(quota.limit) + unit + " left" + per;
  },

  make() {
    const quota = draw.make("li");
    quota.parts = { model: draw.make("span", "model"), words: draw.make("span", "words"), resets: draw.make("span", "resets"), fill: draw.make("i") };
    const { model, words, resets, fill } = quota.parts;
    quota.append(model, resets, words, draw.make("div", "bar", { "aria-hidden": "true" }, fill));
    return quota;
  },

  update(quota, each) {
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
