"use strict";

/* The settings of config.toml: each with its default; changed with the checks of `bm config set`. */
const settings = {
  found: [],

  async load() {
    const { path, settings: found } = await session.ask("/admin/config");
    draw.text(draw.byId("settings-path"), path);
    settings.found = found;
    settings.show();
  },

  show() {
    const text = draw.byId("settings-filter").value.trim().toLowerCase();
    const changed = draw.byId("settings-changed").checked;
    const wanted = settings.found.filter((row) => (!text || row.key.includes(text)) && (!changed || !row.is_default));
    const sections = [...new Set(wanted.map((row) => row.section))].map((name) => ({ name, rows: wanted.filter((row) => row.section === name) }));
    const make = ({ name }) => draw.make("section", "panel", {}, draw.make("div", "head", {}, draw.make("h2", "", {}, name)), draw.make("div", "rows"));
    draw.list(draw.byId("settings-sections"), sections, (each) => each.name, make, (section, each) => {
      draw.list(section.lastElementChild, each.rows, (row) => row.key, settings.make, settings.update);
    });
    draw.shown(draw.byId("settings-empty"), wanted.length === 0);
  },

  make(row) {
    const id = "setting-" + row.key;
    const field = settings.field(row, id);
    const reset = draw.button("Default", "small", () => settings.save(row.key, null));
    const line = draw.make("div", "setting", {}, draw.make("label", "", { for: id }, row.name), field, reset, draw.make("small"));
    field.addEventListener("change", () => settings.save(row.key, field.type === "checkbox" ? String(field.checked) : field.value.trim()));
    return line;
  },

  field(row, id) {
    if (row.kind === "choice") {
      const select = draw.make("select", "", { id }, ...row.choices.map((choice) => draw.make("option", "", { value: choice }, choice)));
      if (!row.choices.includes(row.value)) select.prepend(draw.make("option", "", { value: "" }, "–"));
      return select;
    }
    if (row.kind === "switch") return draw.make("input", "", { id, type: "checkbox" });
    return draw.make("input", "", { id, type: "text", spellcheck: "false", autocomplete: "off", inputmode: row.kind === "number" ? "decimal" : "text" });
  },

  update(line, row) {
    const [, field, reset, about] = line.children;
    field.disabled = row.in_terminal || Boolean(row.overridden_by);
    if (field.type === "checkbox") field.checked = row.value === "true";
    else if (document.activeElement !== field) field.value = row.value;
    draw.shown(reset, !row.is_default && !field.disabled);
    const otherwise = row.is_default ? "" : "default " + (row.default || "empty");
    const place = row.in_terminal ? "set in a terminal" : row.overridden_by ? "set by " + row.overridden_by : "";
    draw.text(about, [place || row.wanted, otherwise].filter(Boolean).join("; "));
    line.classList.toggle("changed", !row.is_default);
  },

  async save(key, value) {
    try {
      const { error, note } = await session.ask("/admin/config", { method: "PUT", body: { key, value } });
      if (error) draw.toast("The file was changed, but is invalid: " + error, true);
      else draw.toast(key + (value === null ? ": the default again" : ": saved") + (note ? "; " + note : ""));
    } catch (error) {
      draw.toast(error.message, true);
      document.activeElement?.blur();
    }
    await settings.load();
  },

  start() {
    draw.byId("settings-filter").addEventListener("input", settings.show);
    draw.byId("settings-changed").addEventListener("change", settings.show);
  },
};
