"use strict";

/* One dialog for what is done step by step: details of a thing, and forms. */
const sheet = {
  /* Opens it with a title and parts. `of` names what it shows; returns whether it was open for that already. */
  open(title, of, ...parts) {
    const dialog = draw.byId("sheet");
    const same = dialog.open && sheet.of === of;
    sheet.of = of;
    draw.text(draw.byId("sheet-title"), title);
    draw.byId("sheet-body").replaceChildren(...parts);
    if (!dialog.open) dialog.showModal();
    if (!same) (draw.byId("sheet-body").querySelector("input, select, textarea, button") ?? draw.byId("sheet-close")).focus();
    return same;
  },

  close() {
    draw.byId("sheet").close();
  },

  /* A form. Each field is { name, label, type, value, hint, choices, required }; `submit(values)` is awaited, and what it
     throws is shown in the form. Values of passwords are dropped at once. */
  form(fields, action, submit, { danger = false, cancel = null } = {}) {
    const form = draw.make("form", "form", { novalidate: "" });
    const inputs = new Map();
    for (const field of fields) form.append(sheet.field(field, inputs));
    const problem = draw.make("p", "problem", { role: "alert" });
    const button = draw.make("button", danger ? "main danger" : "main", { type: "submit" }, action);
    const buttons = draw.make("div", "buttons", {}, button);
    const back = draw.make("button", "", { type: "button" }, "Cancel");
    back.addEventListener("click", cancel ?? sheet.close);
    buttons.append(back);
    form.append(problem, buttons);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const values = {};
      for (const [name, input] of inputs) values[name] = await sheet.value(input);
      const lacking = fields.find((field) => field.required && !values[field.name]);
      draw.text(problem, lacking ? lacking.label + " is missing" : "");
      if (lacking) return inputs.get(lacking.name).focus();
      button.disabled = true;
      draw.text(button, action + " …");
      try {
        await submit(values);
      } catch (error) {
        draw.problem(problem, error.message);
      } finally {
        button.disabled = false;
        draw.text(button, action);
        for (const input of inputs.values()) if (input.type === "password") input.value = "";
      }
    });
    return form;
  },

  field(field, inputs) {
    const id = "field-" + field.name;
    const type = field.choices ? "select" : field.type === "text-area" ? "textarea" : "input";
    const input = draw.make(type, "", { id, spellcheck: "false", autocomplete: "off" });
    inputs.set(field.name, input);
    if (type === "input") input.type = field.type ?? "text";
    if (field.accept) input.accept = field.accept;
    for (const choice of field.choices ?? []) {
      const [value, words] = Array.isArray(choice) ? choice : [choice, choice];
      input.append(draw.make("option", "", { value }, words));
    }
    if (field.type === "checkbox") input.checked = field.value ?? false;
    else if (field.type !== "file") input.value = field.value ?? "";
    if (field.change) input.addEventListener("change", () => field.change(input.value));
    const label = draw.make("label", "", { for: id }, field.label);
    if (field.hint) input.setAttribute("aria-describedby", id + "-hint");
    const hint = field.hint ? [draw.words("small", "", field.hint)] : [];
    for (const each of hint) each.id = id + "-hint";
    if (field.type === "checkbox") return draw.make("div", "tick", {}, input, label, ...hint);
    return draw.make("div", "entry", {}, label, input, ...hint);
  },

  async value(input) {
    if (input.type === "checkbox") return input.checked;
    if (input.type === "file") return input.files.length ? await input.files[0].text() : "";
    return input.type === "password" ? input.value : input.value.trim();
  },

  /* Asks before something is lost; `act` is awaited. */
  confirm(title, question, action, act, cancel) {
    const form = sheet.form([], action, act, { danger: true, cancel });
    sheet.open(title, null, draw.words("p", "", question), form);
    form.querySelector(".buttons button:last-child").focus();
  },

  start() {
    const dialog = draw.byId("sheet");
    draw.byId("sheet-close").addEventListener("click", sheet.close);
    dialog.addEventListener("close", () => {
      /* The event comes later, when the dialog may be open again for something else. */
      if (dialog.open) return;
      sheet.of = null;
      draw.byId("sheet-body").replaceChildren();
    });
    dialog.addEventListener("mousedown", (event) => event.target === dialog && sheet.close());
  },
};
