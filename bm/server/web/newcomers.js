"use strict";

/* Forms for what is new: an account with a key, a Google sign-in, a provider. Keys go to the daemon once and are not kept. */
const newcomers = {
  TEST: { name: "verify", label: "Test it with one small request first", type: "checkbox", value: true },

  account() {
    const fields = [
      { name: "name", label: "Name", hint: "Of your choice, such as the owner of the key.", required: true },
      { name: "provider", label: "Provider", choices: newcomers.providers(), value: "gemini" },
      { name: "key", label: "Key", type: "password", hint: "It is sent to bm once, stored in accounts.toml and never shown again.", required: true },
      { name: "project", label: "Project (optional)", hint: "Accounts of one Google Cloud project share their limits." },
      newcomers.TEST,
    ];
    const form = sheet.form(fields, "Add", async (values) => {
      const { result } = await session.ask("/admin/accounts", { method: "POST", body: values, seconds: 120 });
      sheet.close();
      newcomers.saved(values.name + ": added to " + values.provider, result);
    });
    const google = draw.make("button", "", { type: "button" }, "Sign in with Google instead");
    google.addEventListener("click", () => newcomers.google());
    const where = draw.words("p", "", "A free key for Gemini is made at ");
    where.append(newcomers.link("https://aistudio.google.com/apikey"));
    sheet.open("Add an account", null, where, form, draw.make("div", "buttons other", {}, google));
  },

  link(address) {
    return draw.make("a", "", { href: address, target: "_blank", rel: "noreferrer noopener" }, address.replace("https://", ""));
  },

  providers() {
    const known = providers.rows.map((row) => row.name);
    return [...known, ...providers.available.map((each) => each.name).filter((name) => !known.includes(name))];
  },

  saved(words, result) {
    if (!result) draw.toast(words + ", untested");
    else if (result.ok) draw.toast(words + "; " + result.model + " answered");
    else draw.toast(words + "; the key is accepted, but " + (result.model || result.provider) + " does not answer now: " + result.error, true);
    main.soon(0);
  },

  /* A sign-in to Google: the consent page opens in another tab and comes back to the daemon's machine. */
  google(row = null) {
    const fields = [
      { name: "name", label: "Name", value: row?.name, required: true },
      { name: "client", label: "client_secret.json", type: "file", accept: ".json,application/json", required: !row, hint: "Your own OAuth client of the type Desktop app, from Google's console." + (row ? " Empty: the one it has." : "") },
      { name: "project", label: "Project (optional)", value: row?.project },
      { name: "location", label: "Vertex AI location (optional)", value: row?.location, hint: "Empty for the Gemini API; else global, us, europe-west4 …" },
    ];
    const form = sheet.form(fields, "Continue", async (values) => newcomers.consent(values.name, await session.ask("/admin/google", { method: "POST", body: values })));
    sheet.open(row ? "Sign in " + row.name + " again" : "Sign in with Google", null, form);
  },

  consent(name, begun) {
    const open = draw.make("a", "main-link", { href: begun.address, target: "_blank", rel: "noreferrer noopener" }, "Open Google's consent page");
    const state = draw.make("p", "", { role: "status" }, "Waiting for your consent, for " + format.duration(begun.seconds) + ".");
    const paste = [{ name: "address", label: "If that page then fails to open an address on this machine, paste that address here", required: true }];
    const path = "/admin/google/" + encodeURIComponent(begun.id);
    const form = sheet.form(paste, "Use it", (values) => session.ask(path, { method: "POST", body: values }));
    sheet.open("Sign in " + name, begun, draw.make("p", "", {}, open), state, form);
    const look = async () => {
      if (sheet.of !== begun) return;
      const { state: now, message } = await session.ask(path);
      if (now === "failed") return draw.problem(state, message);
      if (now === "waiting") return void setTimeout(look, 1000);
      sheet.close();
      draw.toast(name + ": signed in");
      await accountSheet.verify({ provider: "gemini", name });
    };
    setTimeout(look, 1000);
  },

  /* A provider's key, and its mode: from a known name to a provider in use. */
  provider(name = null) {
    const others = providers.available.filter((each) => each.state !== "not running");
    const row = providers.named(name);
    const choices = name ? [name] : others.map((each) => [each.name, each.name + " (" + each.key + ")"]);
    const where = draw.make("p");
    const about = (chosen) => {
      const found = providers.available.find((each) => each.name === chosen);
      const place = found?.link ? newcomers.link("https://" + found.link) : null;
      where.replaceChildren(...(place ? ["Keys of " + chosen + " are made at ", place] : []));
    };
    const fields = [
      { name: "provider", label: "Provider", choices, value: choices[0]?.[0], change: about },
      { name: "key", label: "Key", type: "password", hint: "It is sent to bm once, stored in accounts.toml and never shown again." },
      { name: "mode", label: "Mode", choices: Object.entries(providers.MODES).map(([mode, meaning]) => [mode, mode + ": " + meaning]), value: row && row.mode !== "off" ? row.mode : "fallback" },
      newcomers.TEST,
    ];
    const form = sheet.form(fields, "Use it", (values) => newcomers.use(name ?? values.provider, values));
    sheet.open(name ? "Use " + name : "Use another provider", null, where, form);
    about(name ?? others[0]?.name);
  },

  async use(name, { key, mode, verify }) {
    const path = "/admin/providers/" + encodeURIComponent(name);
    let result = null;
    if (key) result = (await session.ask(path + "/key", { method: "POST", body: { key, verify }, seconds: 120 })).result;
    await session.ask(path + "/mode", { method: "POST", body: { mode } });
    sheet.close();
    newcomers.saved(name + ": " + mode, key ? result : { ok: true, model: "its own key" });
    await providers.load();
  },
};
