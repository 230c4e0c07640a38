"use strict";

/* A conversation with any model, through bm as a tool would have it: who answered, what was lost, what it cost. */
const playground = {
  turns: [],
  abort: null,

  start() {
    draw.byId("ask-form").addEventListener("submit", (event) => {
      event.preventDefault();
      playground.ask();
    });
    draw.byId("ask-text").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      playground.ask();
    });
    draw.byId("ask-stop").addEventListener("click", () => playground.abort?.abort());
    draw.byId("ask-new").addEventListener("click", playground.clear);
  },

  /* The names that can be asked for. */
  async load() {
    const names = await models.names();
    draw.byId("ask-models").replaceChildren(...names.map((name) => draw.make("option", "", { value: name })));
  },

  clear() {
    playground.abort?.abort();
    playground.turns = [];
    draw.byId("ask-turns").replaceChildren();
    draw.byId("ask-text").focus();
  },

  body() {
    const body = { model: draw.byId("ask-model").value.trim() || "sonnet", max_tokens: Number(draw.byId("ask-tokens").value) || 4096, stream: true, messages: playground.turns };
    const system = draw.byId("ask-system").value.trim();
    return system ? { ...body, system } : body;
  },

  async ask() {
    const text = draw.byId("ask-text").value.trim();
    if (!text || playground.abort) return;
    playground.turns.push({ role: "user", content: text });
    const [answer, about] = [draw.make("p", "answer"), draw.make("p", "note")];
    const turn = draw.make("article", "turn", {}, draw.make("p", "question", {}, text), answer, about);
    draw.byId("ask-turns").append(turn);
    draw.byId("ask-text").value = "";
    playground.abort = new AbortController();
    draw.shown(draw.byId("ask-stop"), true);
    draw.byId("ask-send").disabled = true;
    try {
      await playground.stream(answer, about, playground.abort.signal);
      playground.turns.push({ role: "assistant", content: answer.textContent });
    } catch (error) {
      playground.turns.pop();
      draw.byId("ask-text").value = text;
      const words = draw.make("p", "problem", { role: "alert" });
      draw.problem(words, error.name === "AbortError" ? "stopped" : error.message);
      turn.append(words);
    } finally {
      playground.abort = null;
      draw.shown(draw.byId("ask-stop"), false);
      draw.byId("ask-send").disabled = false;
      main.soon(0);
    }
  },

  /* Shows the answer as it comes. Throws what went wrong. */
  async stream(answer, about, signal) {
    const began = performance.now();
    const headers = { "content-type": "application/json", ...session.headers() };
    const response = await fetch("/admin/ask", { method: "POST", headers, body: JSON.stringify(playground.body()), signal });
    if (!response.ok) throw new Error(playground.message(await response.text(), response.status));
    const seen = { first: null, usage: {}, stop: "" };
    let rest = "";
    for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
      const events = (rest + piece).split("\n\n");
      rest = events.pop();
      for (const event of events) playground.event(event, answer, seen, began);
    }
    playground.about(about, response.headers, seen, (performance.now() - began) / 1000);
    if (!seen.stop) throw new Error("the answer broke off");
  },

  event(text, answer, seen, began) {
    const line = text.split("\n").find((each) => each.startsWith("data:"));
    if (!line) return;
    const event = JSON.parse(line.slice(5));
    if (event.type === "error") throw new Error(event.error.message);
    if (event.type === "message_start") Object.assign(seen.usage, event.message.usage);
    if (event.type === "message_delta") {
      Object.assign(seen.usage, event.usage);
      seen.stop = event.delta.stop_reason ?? seen.stop;
    }
    const piece = event.delta?.text;
    if (!piece) return;
    seen.first ??= (performance.now() - began) / 1000;
    answer.append(piece);
  },

  message(text, status) {
    try {
      const { error } = JSON.parse(text);
      return error.message ?? error;
    } catch {
      return "status " + status;
    }
  },

  about(about, headers, seen, took) {
    const of = (name) => headers.get("x-bm-" + name) ?? "";
    const { input_tokens = 0, cache_read_input_tokens = 0, cache_creation_input_tokens = 0, output_tokens = 0 } = seen.usage;
    const tokens = format.count(input_tokens + (cache_read_input_tokens ?? 0) + (cache_creation_input_tokens ?? 0)) + " → " + format.count(output_tokens) + " tokens";
    const parts = [of("provider") + "/" + of("account") + " " + of("model"), "first text after " + format.took(seen.first), format.took(took) + " in total", tokens];
    if (seen.stop === "max_tokens") parts.push("cut off at the limit of the answer");
    about.replaceChildren(parts.filter(Boolean).join(", ") + " ", playground.detail(of("request-id")));
    const dropped = of("dropped");
    if (dropped) about.after(draw.make("p", "todo", {}, "Lost, because the model does not take it: " + dropped));
  },

  detail(id) {
    const button = draw.make("button", "small", { type: "button" }, "How it was answered");
    button.addEventListener("click", () => why.open({ id, running: false }));
    return button;
  },
};
