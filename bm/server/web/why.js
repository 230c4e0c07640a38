"use strict";

/* How one request was answered, as in `bm why`. */
const why = {
  of: null,
  WORDS: { upstream_auth: "key refused", billing: "out of credit", permission: "not permitted" },
  EFFECTS: { disabled: "account disabled until verified", fault: "counts against its health", excluded: "not asked for this model again" },

  async open(row) {
    why.of = row.id;
    const dialog = draw.byId("why");
    draw.text(draw.byId("why-title"), row.id);
    why.fill(draw.make("p", "empty", {}, row.running ? "Still running. The details are shown when it has ended." : "…"));
    if (!dialog.open) dialog.showModal();
    if (!row.running) await why.load();
  },

  /* The request in the dialog has ended. */
  ended(id) {
    if (why.of === id && draw.byId("why").open) why.load();
  },

  async load() {
    const id = why.of;
    try {
      const found = await session.ask("/admin/why/" + encodeURIComponent(id));
      if (why.of === id) why.fill(...why.parts(found));
    } catch (error) {
      if (why.of === id) why.fill(draw.make("p", "empty", {}, error.message));
    }
  },

  fill(...parts) {
    draw.byId("why-body").replaceChildren(...parts);
  },

  parts(found) {
    const kind = found.operation === "generate" ? found.protocol : found.protocol + " " + found.operation;
    const parts = [
      draw.make("p", "", {}, format.time(found.at) + ", " + kind + " " + found.model + (found.tool ? " from " + found.tool : "") + (found.stream ? ", streamed" : "")),
      draw.make("p", found.failure && !found.client_left ? "ending bad" : "ending", {}, why.ending(found)),
    ];
    for (const each of found.advice) parts.push(draw.make("p", "todo", {}, "To do: " + each), ...commands.buttons(each));
    if (found.usage || found.cost !== null) parts.push(draw.make("p", "", {}, why.tokens(found.usage) + ", " + (found.cost === null ? "no known price" : format.money(found.cost))));
    if (found.dropped.length) parts.push(draw.make("h3", "", {}, "Dropped"), why.lines(found.dropped.map((each) => each.field + ": " + each.reason)));
    parts.push(draw.make("h3", "", {}, "Attempts"));
    if (found.attempts.length) parts.push(timeline.draw(found));
    parts.push(why.attempts(found.attempts), draw.make("h3", "", {}, "Plan"));
    if (found.steps.length) parts.push(why.lines(found.steps));
    parts.push(why.plan(found));
    if (found.left_out) parts.push(draw.make("p", "note", {}, format.count(found.left_out) + " more lines were not kept."));
    return parts;
  },

  lines(texts) {
    return draw.make("ul", "lines", {}, ...texts.map((text) => draw.make("li", "", {}, text)));
  },

  ending(found) {
    const by = found.answered_by;
    const where = by ? by.provider + "/" + by.account + " " + by.model : "no target";
    const first = found.first_content === null ? "" : "first content after " + format.took(found.first_content) + ", ";
    const times = first + format.took(found.took) + " in total";
    if (found.client_left) return "The client left (" + where + "); " + times;
    if (found.failure) {
      const { kind, message, retry_after } = found.failure;
      const again = retry_after ? "; retry after " + format.duration(retry_after) : "";
      const broke = found.first_content === null ? "Failed with " + found.status : "Broke off";
      return broke + " (" + why.word(kind) + "): " + message.replace(/\.$/, "") + again + "; " + times;
    }
    const form = !by ? "" : found.passed_through ? ", passed through" : ", translated";
    return "Answered by " + where + form + (found.continuations ? ", continued after a cut" : "") + ": " + found.status + " " + (found.finish || "complete") + "; " + times;
  },

  tokens(usage) {
    if (!usage) return "no usage reported";
    const all = usage.input + usage.cache_read + usage.cache_write;
    return (
      format.count(all) + " tokens in (" + format.count(usage.cache_read) + " cached, " + format.count(usage.cache_write) +
      " written to the cache), " + format.count(usage.output) + " out (" + format.count(usage.thinking) + " thinking)"
    );
  },

  attempts(attempts) {
    if (!attempts.length) return draw.make("p", "empty", {}, "Nothing was sent.");
    const list = draw.make("ol", "attempts");
    for (const each of attempts) {
      const good = each.outcome === "answered";
      const waited = each.wait ? ", after waiting " + format.took(each.wait) : "";
      const status = each.status ? each.status + " " : "";
      const item = draw.make("li", "", {}, draw.make("b", "", {}, each.provider + "/" + each.account + " " + each.model));
      item.append(draw.make("span", good ? "badge ok" : "badge disabled", {}, status + (why.word(each.outcome) || "cancelled")));
      item.append(draw.make("p", "", {}, "after " + format.took(each.took) + waited + why.effect(each)), draw.make("p", "said", {}, each.reason));
      if (each.message) item.append(draw.make("p", "said", {}, "“" + each.message + "”"));
      list.append(item);
    }
    return list;
  },

  word(kind) {
    return why.WORDS[kind] ?? kind.replaceAll("_", " ");
  },

  /* The effect of an attempt on its account. */
  effect(attempt) {
    const [kind, undone] = attempt.effect.split(", ");
    if (!kind) return "";
    if (undone) return "; " + undone + ": the account was not at fault";
    if (attempt.cooldown) return "; account cools down for " + format.duration(attempt.cooldown);
    return "; " + (why.EFFECTS[kind] ?? kind.replaceAll("_", " "));
  },

  plan(found) {
    const places = new Map(found.targets.map((each, place) => [each.provider + " " + each.account, place + 1]));
    const rows = found.considered.map((each) => ({ ...each, place: places.get(each.provider + " " + each.account) }));
    rows.sort((one, other) => (one.place ?? 1e9) - (other.place ?? 1e9));
    if (!rows.length) return draw.make("p", "empty", {}, "No provider was considered.");
    const body = draw.make("tbody");
    for (const each of rows) {
      const verdict = each.in ? "planned" : each.verdict + (each.verdict === "cooling down" ? " " + format.duration(each.seconds) : "");
      body.append(draw.row([["num", String(each.place ?? "")], each.provider + (each.account ? "/" + each.account : ""), each.model, ["", verdict], each.reason]));
    }
    const head = draw.make("thead", "", {}, draw.row([["num", ""], "target", "model", "", "why"], "th"));
    return draw.make("div", "wide", {}, draw.make("table", "", {}, head, body));
  },

  start() {
    const dialog = draw.byId("why");
    draw.byId("why-close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => dialog.open || (why.of = null));
    /* A click outside closes the dialog; it has no padding, so clicks inside hit its children. */
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  },
};
