"use strict";

/* Aliases and routes: the names that stand for models, and where requests of a kind go. */
const routing = {
  found: null,

  async load() {
    routing.show(await session.ask("/admin/routing"));
  },

  aliases() {
    return (routing.found?.chains ?? []).filter((each) => each.key[0] === "aliases").map((each) => each.key[1]);
  },

  show(found) {
    routing.found = found;
    const make = (each) => {
      const line = draw.make("tr", "", {}, draw.make("td", "name"), draw.make("td"), draw.make("td", "num"));
      line.lastElementChild.append(draw.button("Change", "small", async () => routing.edit(line.row)), " ", draw.button("Remove", "small", async () => routing.remove(line.row)));
      return line;
    };
    const update = (line, each) => {
      line.row = each;
      draw.text(line.children[0], routing.name(each.key));
      draw.text(line.children[1], each.words + (each.overridden_by ? " (from " + each.overridden_by + ")" : ""));
      for (const button of line.querySelectorAll("button")) button.disabled = Boolean(each.overridden_by);
    };
    draw.list(draw.byId("routing-rows"), found.chains, (each) => each.key.join("\n"), make, update);
    draw.shown(draw.byId("routing-empty"), found.chains.length === 0);
  },

  /* "fast", "route think", "route think of claude" */
  name(key) {
    if (key[0] === "aliases") return key[1];
    return "route " + key.at(-1) + (key.length > 2 ? " of " + key[1] : "");
  },

  /* A chain as it is typed: names in order, or a TOML value for those that are weighted. */
  text(value) {
    if (typeof value === "string") return value;
    if (Array.isArray(value)) return value.join(", ");
    return JSON.stringify(value);
  },

  value(text) {
    if (text.startsWith("{")) {
      try {
        return JSON.parse(text);
      } catch {
        throw new Error('a choice is written as {"cheapest": ["a", "b"]} or {"weighted": {"a": 2, "b": 1}}');
      }
    }
    const names = text.split(",").map((name) => name.trim()).filter(Boolean);
    return names.length === 1 ? names[0] : names;
  },

  edit(row) {
    const field = { name: "chain", label: "Goes to", value: routing.text(row.value), required: true, hint: "A model, or several with commas: the next one is tried when one fails." };
    const form = sheet.form([field], "Save", ({ chain }) => routing.save(row.key, routing.value(chain)));
    sheet.open("Change " + routing.name(row.key), null, form);
  },

  add() {
    const { kinds, tables } = routing.found;
    const all = [["", "everything"], ...tables.tools.map((name) => [name, name]), ...tables.protocols.map((name) => [name, name])];
    const target = { name: "chain", label: "Goes to", required: true, hint: "A model such as `groq:openai/gpt-oss-120b`, or several with commas: the next one is tried when one fails." };
    const alias = sheet.form([{ name: "name", label: "Name that tools may ask for", required: true }, target], "Add the alias", ({ name, chain }) => routing.save(["aliases", name], routing.value(chain)));
    const kind = { name: "kind", label: "Requests of this kind", choices: kinds, value: kinds[0] };
    const of = { name: "of", label: "Of", choices: all, value: "" };
    const route = sheet.form([kind, of, { ...target, name: "to" }], "Add the route", (values) => routing.save(["routes", ...(values.of ? [values.of] : []), values.kind], routing.value(values.to)));
    sheet.open("Add a name or a route", null, draw.make("h3", "", {}, "Alias"), alias, draw.make("h3", "", {}, "Route"), route);
  },

  async save(key, value) {
    const found = await session.ask("/admin/routing", { method: "PUT", body: { key, value } });
    routing.show(found);
    if (found.error) throw new Error("The file was changed, but is invalid: " + found.error);
    sheet.close();
    draw.toast(routing.name(key) + (value === null ? ": removed" : ": saved, from the next request on"));
  },

  remove(row) {
    sheet.confirm("Remove " + routing.name(row.key), "Requests for it then go where the model's own name goes.", "Remove", () => routing.save(row.key, null));
  },

  start() {
    draw.byId("routing-add").addEventListener("click", routing.add);
  },
};
