"use strict";

/* One row per provider, with a button for each dispatch mode. */
const providers = {
  MODES: {
    off: "never used",
    exclusive: "serves all requests of its protocols",
    pooled: "one slot beside the Gemini accounts",
    fallback: "serves when no Gemini account is usable",
  },

  show(rows) {
    draw.shown(draw.byId("providers-empty"), rows.every((row) => row.name === "gemini"));
    draw.list(draw.byId("providers"), rows, (row) => row.name, providers.make, providers.update);
  },

  make(row) {
    const line = draw.make("article", "provider");
    line.parts = { name: draw.make("h3", "", {}, row.name), health: draw.make("span", "badge"), about: draw.make("small"), hint: draw.make("p", "hint"), modes: [] };
    const { name, health, about, hint } = line.parts;
    const buttons = draw.make("div", "modes", { role: "group", "aria-label": "Mode of " + row.name });
    for (const [mode, meaning] of row.name === "gemini" ? [] : Object.entries(providers.MODES)) {
      const button = draw.make("button", "", { type: "button", title: meaning, "data-mode": mode }, mode);
      button.addEventListener("click", () => providers.set(row.name, mode, line));
      line.parts.modes.push(button);
      buttons.append(button);
    }
    line.append(draw.make("div", "line", {}, name, health, about), buttons, hint);
    return line;
  },

  update(line, row) {
    const { health, about, hint, modes } = line.parts;
    const pool = row.name === "gemini";
    draw.text(health, row.health);
    draw.kind(health, "badge " + row.health);
    const keys = row.accounts ? format.plural(row.accounts, "account") : row.key_present ? "no key needed" : "no key";
    draw.text(about, row.protocol + ", " + keys + (pool ? ", used first" : ""));
    draw.title(about, row.base_url);
    for (const button of modes) button.setAttribute("aria-pressed", String(button.dataset.mode === row.mode));
    providers.hint(hint, row, pool);
  },

  /* Why the provider cannot be used, and the remedy. */
  hint(hint, row, pool) {
    let words = "";
    if (!row.enabled) words = "disabled: `bm providers enable " + row.name + "`";
    else if (!row.key_present) words = "no usable key: `" + (pool ? "bm accounts add NAME" : "bm providers key " + row.name) + "`";
    else if (row.health === "down" && row.last_error) words = row.last_error;
    if (hint.words === words) return;
    hint.words = words;
    hint.replaceChildren(...draw.words("span", "", words).childNodes);
  },

  async set(name, mode, line) {
    for (const button of line.parts.modes) button.disabled = true;
    try {
      const answer = await session.ask("/admin/providers/" + encodeURIComponent(name) + "/mode", { method: "POST", body: { mode } });
      for (const button of line.parts.modes) button.setAttribute("aria-pressed", String(button.dataset.mode === answer.mode));
      if (answer.error) draw.toast("The file was changed, but is invalid: " + answer.error, true);
      else if (answer.mode !== mode) draw.toast((answer.overridden_by ?? "The environment") + " overrides the file: " + name + " stays " + answer.mode, true);
      else draw.toast(name + ": " + mode + (answer.enabled ? ", from the next request on" : ", but it is disabled (bm providers enable " + name + ")"));
    } catch (error) {
      draw.toast(name + " is unchanged: " + error.message, true);
    } finally {
      for (const button of line.parts.modes) button.disabled = false;
      line.parts.modes.find((button) => button.dataset.mode === mode).focus();
    }
  },
};
