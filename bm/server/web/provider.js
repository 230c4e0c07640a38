"use strict";

/* All about one provider: its mode with the tools that it serves in each, its key, its models, a test. */
const providerSheet = {
  name: null,

  async open(name) {
    const found = await session.ask("/admin/providers/" + encodeURIComponent(name));
    const modes = draw.make("fieldset", "mode-list", {}, draw.make("legend", "", {}, "Mode"));
    const pool = name === "gemini";
    for (const [mode, meaning] of pool ? [] : Object.entries(providers.MODES)) modes.append(providerSheet.mode(found, mode, meaning));
    const buttons = draw.make("div", "buttons", {}, draw.button("Test", "main", () => providerSheet.test(name)));
    buttons.append(
      draw.button(pool ? "Add an account" : found.accounts ? "Replace key" : "Set key", "", () => (pool ? newcomers.account() : newcomers.provider(name))),
      draw.button(found.enabled ? "Switch off" : "Switch on", "", async () => {
        await providerSheet.enable(name, !found.enabled);
        await providerSheet.open(name);
      }),
    );
    providerSheet.name = name;
    const facts = providerSheet.facts(found);
    const models = Object.entries(found.models);
    const mapping = draw.make("dl", "facts", {}, ...models.map(([asked, model]) => draw.make("div", "", {}, draw.make("dt", "", {}, asked), draw.make("dd", "", {}, model))));
    const parts = [facts, ...(pool ? [] : [modes]), buttons];
    if (models.length) parts.push(draw.make("h3", "", {}, "Models by the name asked for"), mapping);
    sheet.open(name, "provider " + name, ...parts);
  },

  facts(found) {
    const served = found.serves[found.mode] ?? [];
    const pairs = {
      state: found.state + (found.last_error ? ": " + found.last_error : ""),
      "switched on": found.enabled ? "yes" : "no",
      serves: found.enabled && served.length ? served.join(", ") : "nothing",
      protocol: found.protocol,
      address: found.base_url,
      accounts: found.accounts ? String(found.accounts) : found.key_present ? "no key needed" : "none",
    };
    const facts = Object.entries(pairs).map(([name, value]) => draw.make("div", "", {}, draw.make("dt", "", {}, name), draw.make("dd", "", {}, value)));
    if (found.console) facts.push(draw.make("div", "", {}, draw.make("dt", "", {}, "keys"), draw.make("dd", "", {}, newcomers.link(found.console))));
    return draw.make("dl", "facts", {}, ...facts);
  },

  mode(found, mode, meaning) {
    const id = "mode-" + mode;
    const radio = draw.make("input", "", { type: "radio", name: "mode", id });
    radio.checked = found.mode === mode;
    radio.addEventListener("change", () => providers.set(found.name, mode));
    const served = found.serves[mode] ?? [];
    const words = mode === "off" ? meaning : meaning + (served.length ? "; can answer " + served.join(", ") : "; no tool that bm knows");
    return draw.make("div", "tick", {}, radio, draw.make("label", "", { for: id }, mode), draw.make("small", "", {}, words));
  },

  /* Another page or a terminal may set the mode meanwhile. */
  follow() {
    if (sheet.of !== "provider " + providerSheet.name) return;
    const radio = document.getElementById("mode-" + providers.named(providerSheet.name)?.mode);
    if (radio && !document.activeElement?.matches?.("#sheet input[type=radio]")) radio.checked = true;
  },

  async enable(name, enabled) {
    const answer = await session.ask("/admin/providers/" + encodeURIComponent(name), { method: "PATCH", body: { enabled } });
    if (answer.error) draw.toast("The file was changed, but is invalid: " + answer.error, true);
    else draw.toast(name + (answer.enabled ? ": switched on" : ": switched off; its mode and keys are kept"));
    main.soon(0);
  },

  /* Tests each of its accounts. */
  async test(name) {
    const own = accounts.rows.filter((row) => row.provider === name);
    if (!own.length) return draw.toast(name + " has no key", true);
    for (const row of own) await accountSheet.verify(row);
  },
};
