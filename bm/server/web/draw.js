"use strict";

/* Creates and changes elements. Text is always set as text and never parsed as HTML. */
const draw = {
  byId(id) {
    return document.getElementById(id);
  },

  /* An element with a class, attributes by name, and children: elements or strings. */
  make(tag, kind = "", attributes = {}, ...children) {
    const element = document.createElement(tag);
    if (kind) element.className = kind;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  },

  /* These set only what differs: no new layout, selected text stays selected, screen readers announce only changes. */
  text(element, text) {
    if (element.textContent !== text) element.textContent = text;
  },

  kind(element, kind) {
    if (element.className !== kind) element.className = kind;
  },

  shown(element, shown) {
    if (element.hidden === shown) element.hidden = !shown;
  },

  title(element, text) {
    if (element.title !== text) element.title = text;
  },

  /* An element with a text in which `commands` are in backquotes. */
  words(tag, kind, text) {
    const parts = text.split("`").map((part, place) => (place % 2 ? draw.make("code", "", {}, part) : part));
    return draw.make(tag, kind, {}, ...parts);
  },

  /* Keeps one child per item, in order. `make(item)` creates a child, `update(child, item)` updates it. */
  list(parent, items, key, make, update) {
    const known = (parent.childrenByKey ??= new Map());
    const wanted = new Set();
    let before = parent.firstElementChild;
    for (const item of items) {
      const name = key(item);
      wanted.add(name);
      let child = known.get(name);
      if (!child) known.set(name, (child = make(item)));
      if (child === before) before = before.nextElementSibling;
      else parent.insertBefore(child, before);
      update(child, item);
    }
    for (const [name, child] of known) {
      if (wanted.has(name)) continue;
      known.delete(name);
      child.remove();
    }
  },

  /* A table row from cells: strings, elements or [class, content]. */
  row(cells, tag = "td") {
    const row = document.createElement("tr");
    for (const cell of cells) {
      const [kind, content] = Array.isArray(cell) ? cell : ["", cell];
      row.append(draw.make(tag, kind, {}, content));
    }
    return row;
  },

  /* A message at the bottom that disappears by itself, also above a dialog. */
  toast(text, bad = false) {
    const toast = draw.byId("toast");
    toast.textContent = text;
    toast.className = bad ? "toast bad" : "toast";
    toast.hidePopover();
    toast.showPopover();
    clearTimeout(draw.toastEnds);
    draw.toastEnds = setTimeout(() => toast.hidePopover(), bad ? 12000 : 5000);
  },

  /* An error in a form, with what helps as buttons. */
  problem(element, text) {
    element.replaceChildren(...draw.words("span", "", text).childNodes, ...commands.buttons(text));
  },

  /* A button that is disabled while what it does is awaited; errors become messages. */
  button(words, kind, act) {
    const button = draw.make("button", kind, { type: "button" }, words);
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        await act();
      } catch (error) {
        draw.toast(error.message, true);
      } finally {
        button.disabled = false;
      }
    });
    return button;
  },

  /* Buttons of which one is pressed; `choose(value)` is called with another one. */
  choices(parent, choices, chosen, choose) {
    const press = (value) => {
      for (const button of parent.children) button.setAttribute("aria-pressed", String(button.value === value));
    };
    for (const [value, words] of choices) {
      const button = draw.make("button", "", { type: "button", value }, words);
      button.addEventListener("click", () => {
        press(value);
        choose(value);
      });
      parent.append(button);
    }
    press(chosen);
  },
};
