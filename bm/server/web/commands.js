"use strict";

/* Commands that messages name, as buttons that do the same here. */
const commands = {
  /* The commands in a text that the page can do, as buttons. `row` is the account that the text is about, if any. */
  buttons(text, row = null) {
    const found = new Map();
    for (const match of text.matchAll(/\bbm ((?:accounts|providers|models|config|route)\b[^`;,()]*)/g)) {
      const made = commands.action(match[1].trim().split(/\s+/), row);
      if (made) found.set(made[0], made);
    }
    return [...found.values()].map(([words, act]) => {
      const button = draw.make("button", "small", { type: "button" }, words);
      button.addEventListener("click", act);
      return button;
    });
  },

  /* A word for a button, and what it does. */
  action([noun, verb, name, value], row) {
    const account = row ?? accounts.named((name ?? "").replaceAll("'", ""));
    switch (noun + " " + (verb ?? "")) {
      case "accounts add":
        return ["Add an account", () => newcomers.account()];
      case "accounts verify":
      case "accounts wake":
        return account && ["Verify " + account.name, (event) => accountSheet.verify(account, event.currentTarget)];
      case "accounts key":
        return account && ["Replace the key of " + account.name, () => accountSheet.replaceKey(account)];
      case "accounts enable":
        return account && ["Enable " + account.name, () => accountSheet.change(account, { enabled: true }, "enabled")];
      case "accounts login":
        return account && ["Sign in again", () => newcomers.google(account)];
      case "providers key":
      case "providers use":
        return name && name !== "NAME" && ["Set the key of " + name, () => newcomers.provider(name)];
      case "providers enable":
        return providers.named(name) && ["Enable " + name, () => providerSheet.enable(name, true)];
      case "providers mode":
        return value in providers.MODES && providers.named(name) && ["Set " + name + " to " + value, () => providers.set(name, value)];
      case "models ":
        return ["See the models", () => views.go("models")];
    }
    return null;
  },
};
