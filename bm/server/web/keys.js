"use strict";

/* The keys of clients and the budgets: what was spent of each, and when it begins anew. They are changed in a terminal, which
   alone shows a new key. */
const keys = {
  async load() {
    keys.show((await session.ask("/admin/keys")).keys);
  },

  /* The budgets are part of what is polled. */
  follow(budgets) {
    draw.list(draw.byId("budgets"), budgets.map(keys.bar), (each) => each.name, quotaBars.make, quotaBars.update);
    keys.empty();
  },

  bar(budget) {
    const shown = (amount) => (budget.unit === "tokens" ? format.count(Math.round(amount)) + " tokens" : format.money(amount));
    const left = Math.max(budget.amount - budget.spent, 0);
    return {
      name: budget.scope + " " + budget.name + " " + budget.limit,
      model: keys.whose(budget) + ": " + budget.limit,
      part: budget.amount ? Math.min(budget.spent / budget.amount, 1) : 1,
      words: shown(budget.spent) + " spent, " + shown(left) + " left",
      resets: budget.resets_at ? "until " + format.reset(budget.resets_at) : "",
    };
  },

  whose(budget) {
    return budget.name ? budget.scope + " " + budget.name : "everything";
  },

  show(rows) {
    const make = () => draw.make("tr", "", {}, ...["name", "", "", "", ""].map((kind) => draw.make("td", kind)));
    draw.list(draw.byId("keys-rows"), rows, (row) => row.name, make, (line, row) => {
      const limits = [row.rpm ? format.count(row.rpm) + " requests a minute" : "", row.tpm ? format.count(row.tpm) + " tokens a minute" : "", ...row.budgets];
      const may = [row.models.length ? "models " + row.models.join(", ") : "", row.providers.length ? "providers " + row.providers.join(", ") : ""];
      const texts = [row.name, row.hint, may.filter(Boolean).join("; ") || "everything", limits.filter(Boolean).join(", ") || "none", row.expired ? "expired" : row.expires_at ? format.day(new Date(row.expires_at)) : "never"];
      texts.forEach((text, place) => {
        draw.text(line.children[place], text);
        line.children[place].dataset.label = ["", "key", "may use", "limits", "ends"][place];
      });
    });
    draw.shown(draw.byId("keys-table"), rows.length > 0);
    keys.empty();
  },

  empty() {
    draw.shown(draw.byId("keys-empty"), !draw.byId("keys-rows").childElementCount && !draw.byId("budgets").childElementCount);
  },
};
