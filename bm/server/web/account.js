"use strict";

/* All about one account, and what can be done with it: as `bm accounts` with its commands. */
const accountSheet = {
  KINDS: { api_key: "API key", google_oauth: "Google sign-in", adc: "default credentials", service_account: "service account" },
  of: null,

  open(row) {
    const parts = accountSheet.make(row);
    accountSheet.of = { provider: row.provider, name: row.name, parts };
    sheet.open(row.name, accountSheet.of, parts.facts, parts.problem, parts.cooldowns, parts.quotas, parts.buttons);
    accountSheet.follow();
    accountSheet.tick(0);
  },

  make(row) {
    const parts = {
      facts: draw.make("dl", "facts"),
      problem: draw.make("div", "todo"),
      cooldowns: draw.make("ul", "timers"),
      quotas: draw.make("ul", "quotas wide-quotas"),
      buttons: draw.make("div", "buttons"),
    };
    const fixed = row.name === "config" || row.name === "local";
    parts.switch = draw.button("", "", () => accountSheet.toggle());
    parts.buttons.append(draw.button("Verify", "main", () => accountSheet.verify(accountSheet.row())));
    if (fixed) return parts;
    if (row.kind === "api_key") parts.buttons.append(accountSheet.plain("Replace key", () => accountSheet.replaceKey(accountSheet.row())));
    if (row.kind === "google_oauth") parts.buttons.append(accountSheet.plain("Sign in again", () => newcomers.google(accountSheet.row())));
    parts.buttons.append(
      parts.switch,
      accountSheet.plain("Rename", () => accountSheet.rename(accountSheet.row())),
      accountSheet.plain("Remove", () => accountSheet.remove(accountSheet.row())),
    );
    return parts;
  },

  plain(words, act) {
    const button = draw.make("button", "", { type: "button" }, words);
    button.addEventListener("click", act);
    return button;
  },

  row() {
    return accountSheet.of && accounts.find(accountSheet.of.provider, accountSheet.of.name);
  },

  shown() {
    return draw.byId("sheet").open && sheet.of === accountSheet.of && sheet.of !== null;
  },

  /* New figures while it is open. */
  follow() {
    if (!accountSheet.shown()) return;
    const row = accountSheet.row();
    if (!row) return sheet.close();
    const { facts, problem, quotas } = accountSheet.of.parts;
    const pairs = {
      provider: row.provider,
      state: row.state + (row.state === "usable" ? "" : ": " + row.reason),
      kind: accountSheet.KINDS[row.kind] ?? row.kind,
      key: row.key_hint,
      project: row.project,
      location: row.location,
      tier: row.tier ? String(row.tier) : "",
      use: accounts.use(row),
    };
    draw.list(facts, Object.entries(pairs).filter(([, value]) => value), ([name]) => name, accountSheet.makeFact, accountSheet.updateFact);
    draw.list(quotas, quotaBars.all(row), (each) => each.name, quotaBars.make, quotaBars.update);
    draw.text(accountSheet.of.parts.switch, row.enabled ? "Disable" : "Enable");
    accountSheet.problems(problem, row);
  },

  makeFact([name]) {
    return draw.make("div", "", {}, draw.make("dt", "", {}, name), draw.make("dd"));
  },

  updateFact(pair, [, value]) {
    draw.text(pair.lastElementChild, value);
  },

  problems(element, row) {
    const lines = [];
    if (row.remedy) lines.push("To do: " + row.remedy);
    else if (row.last_error) lines.push("It has not answered since: " + row.last_error);
    for (const [model, reason] of Object.entries(row.excluded)) lines.push(model + " is not asked here: " + reason);
    const words = lines.join("\n");
    if (element.words === words) return;
    element.words = words;
    element.replaceChildren(...lines.map((line) => draw.words("p", "", line)), ...commands.buttons(row.remedy ?? "", row));
  },

  /* The cooldowns, counting down. */
  tick(passed) {
    if (!accountSheet.shown()) return;
    const row = accountSheet.row();
    if (!row) return;
    const make = () => draw.make("li", "", {}, draw.make("b"), draw.make("span"), draw.make("span", "badge cooling-down"));
    draw.list(accountSheet.of.parts.cooldowns, accounts.cooling(row, passed), (each) => each.model, make, (line, each) => {
      draw.text(line.children[0], each.model || "all models");
      draw.text(line.children[1], each.reason);
      draw.text(line.children[2], format.left(each.left));
    });
  },

  path(row) {
    return "/admin/accounts/" + encodeURIComponent(row.provider) + "/" + encodeURIComponent(row.name);
  },

  async verify(row) {
    draw.toast("testing " + row.name + " …");
    const { results } = await session.ask(accountSheet.path(row) + "/verify", { method: "POST", body: {}, seconds: 120 });
    accountSheet.report(results[0]);
    main.soon(0);
  },

  /* The result of a test, in words. */
  report(result) {
    const who = result.account ? result.account + " of " + result.provider : result.provider;
    if (result.ok) {
      const cost = result.cost === null ? "" : ", " + format.money(result.cost);
      return draw.toast(who + " works: " + result.model + " answered in " + format.took(result.total) + cost);
    }
    draw.toast(who + ": " + result.error + (result.remedy ? "\nTo do: " + result.remedy : ""), true);
  },

  async change(row, changes, done) {
    await session.ask(accountSheet.path(row), { method: "PATCH", body: changes });
    draw.toast(row.name + ": " + done);
    main.soon(0);
  },

  async toggle() {
    const row = accountSheet.row();
    await accountSheet.change(row, { enabled: !row.enabled }, row.enabled ? "disabled; its key is kept" : "enabled");
  },

  rename(row) {
    const form = sheet.form([{ name: "name", label: "New name", value: row.name, required: true }], "Rename", async ({ name }) => {
      await accountSheet.change(row, { name }, "renamed to " + name);
      sheet.close();
    });
    sheet.open("Rename " + row.name, null, form);
  },

  replaceKey(row) {
    const fields = [{ name: "key", label: "New key", type: "password", required: true }, newcomers.TEST];
    const form = sheet.form(fields, "Replace", async ({ key, verify }) => {
      const { result } = await session.ask(accountSheet.path(row) + "/key", { method: "POST", body: { key, verify }, seconds: 120 });
      sheet.close();
      newcomers.saved(row.name + ": key replaced", result);
    });
    sheet.open("Replace the key of " + row.name, null, form);
  },

  remove(row) {
    sheet.confirm("Remove " + row.name, "Remove the account " + row.name + " of " + row.provider + " and its key? The key cannot be shown again.", "Remove", async () => {
      await session.ask(accountSheet.path(row), { method: "DELETE" });
      sheet.close();
      draw.toast(row.name + ": removed");
      main.soon(0);
    });
  },
};
