"use strict";

/* One row per provider, with a button for each dispatch mode. Its name opens all about it. */
const providers = {
  MODES: {
    off: "never used",
    exclusive: "serves all requests of its protocols",
    pooled: "one slot beside the Gemini accounts",
    fallback: "serves when no Gemini account is usable",
  },
  rows: [],
  available: [],

  show(rows) {
    providers.rows = rows;
    draw.shown(draw.byId("providers-empty"), rows.every((row) => row.name === "gemini"));
    draw.list(draw.byId("providers"), rows, (row) => row.name, providers.make, providers.update);
    providerSheet.follow();
  },

  named(name) {
    return providers.rows.find((row) => row.name === name);
  },

  /* The known providers that are not set up. */
  async load() {
    providers.available = (await session.ask("/admin/available")).available;
  },

  make(row) {
    const line = draw.make("article", "provider");
    line.parts = { name: draw.make("button", "name", { type: "button", title: "Manage " + row.name }, row.name), state: draw.make("span", "badge"), about: draw.make("small"), hint: draw.make("p", "hint"), modes: [] };
    const { name, state, about, hint } = line.parts;
    name.addEventListener("click", () => providerSheet.open(row.name));
    const buttons = draw.make("div", "modes", { role: "group", "aria-label": "Mode of " + row.name });
    for (const [mode, meaning] of row.name === "gemini" ? [] : Object.entries(providers.MODES)) {
      const button = draw.make("button", "", { type: "button", title: meaning, "data-mode": mode }, mode);
      button.addEventListener("click", () => providers.set(row.name, mode, line));
      line.parts.modes.push(button);
      buttons.append(button);
    }
    line.append(draw.make("h3", "line", {}, name, state, about), buttons, hint);
    return line;
  },

  update(line, row) {
    const { state, about, hint, modes } = line.parts;
    const pool = row.name === "gemini";
    const degraded = row.state === "in use" && row.health === "degraded";
    draw.text(state, degraded ? "degraded" : row.state);
    draw.kind(state, "badge " + (degraded ? "degraded" : row.state.replace(" ", "-")));
    const keys = row.accounts ? format.plural(row.accounts, "account") : row.key_present ? "no key needed" : "";
    draw.text(about, [keys, pool ? "used first" : ""].filter(Boolean).join(", "));
    draw.title(about, row.protocol + " at " + row.base_url);
    for (const button of modes) button.setAttribute("aria-pressed", String(button.dataset.mode === row.mode));
    providers.hint(hint, row, pool);
  },

  /* Why the provider cannot be used, and the remedy. */
  hint(hint, row, pool) {
    let words = "";
    if (!row.accounts && !row.key_present) words = "no key: " + (pool ? "bm accounts add NAME" : "bm providers key " + row.name);
    else if (!row.enabled) words = "switched off: bm providers enable " + row.name;
    else if (row.state === "down" && row.last_error) words = row.last_error;
    if (hint.words === words) return;
    hint.words = words;
    const [reason] = words.split(": bm ");
    const buttons = commands.buttons(words);
    hint.replaceChildren(reason === "no key" ? "" : reason + " ", ...buttons);
    draw.shown(hint, Boolean(words));
  },

  async set(name, mode, line = null) {
    const modes = line?.parts.modes ?? [];
    for (const button of modes) button.disabled = true;
    try {
      const answer = await session.ask("/admin/providers/" + encodeURIComponent(name) + "/mode", { method: "POST", body: { mode } });
      for (const button of modes) button.setAttribute("aria-pressed", String(button.dataset.mode === answer.mode));
      if (answer.error) draw.toast("The file was changed, but is invalid: " + answer.error, true);
      else if (answer.mode !== mode) draw.toast((answer.overridden_by ?? "The environment") + " overrides the file: " + name + " stays " + answer.mode, true);
      else draw.toast(name + ": " + mode + (answer.enabled || mode === "off" ? ", from the next request on" : ", but it is switched off"));
      main.soon(0);
    } catch (error) {
      draw.toast(name + " is unchanged: " + error.message, true);
    } finally {
      for (const button of modes) button.disabled = false;
      modes.find((button) => button.dataset.mode === mode)?.focus();
    }
  },

  start() {
    draw.byId("use-provider").addEventListener("click", async () => {
      await providers.load();
      newcomers.provider();
    });
  },
};
