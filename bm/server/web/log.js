"use strict";

/* The daemon's log from a level on, newest below. A line about a request opens it. */
const logView = {
  LEVELS: [["DEBUG", "debug"], ["INFO", "info"], ["WARNING", "warning"], ["ERROR", "error"]],
  EVERY: 2000,
  level: "INFO",
  timer: 0,
  lines: [],

  async load() {
    clearTimeout(logView.timer);
    if (views.current !== "log" || document.hidden) return;
    try {
      const level = logView.level;
      const found = await session.ask("/admin/log?lines=1000&level=" + level);
      if (level !== logView.level) return;
      draw.text(draw.byId("log-path"), found.path);
      logView.lines = found.lines;
      logView.show();
    } catch (error) {
      draw.toast(error.message, true);
    }
    logView.timer = setTimeout(logView.load, logView.EVERY);
  },

  show() {
    const text = draw.byId("log-filter").value.trim().toLowerCase();
    const wanted = logView.lines.filter((line) => !text || (line.message + " " + line.name).toLowerCase().includes(text));
    const box = draw.byId("log-lines");
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    const seen = new Map();
    const key = (line) => {
      const name = line.at + line.name + line.message;
      seen.set(name, (seen.get(name) ?? 0) + 1);
      return name + seen.get(name);
    };
    draw.list(box, wanted, key, logView.make, () => {});
    draw.shown(draw.byId("log-empty"), wanted.length === 0);
    if (atEnd) box.scrollTop = box.scrollHeight;
  },

  make(line) {
    const request = line.message.match(/^req_\w+/)?.[0];
    const parts = request ? [logView.link(request), line.message.slice(request.length)] : [line.message];
    const [day, clock] = line.at.split(" ");
    const time = draw.make("time", "", { title: day }, clock);
    return draw.make("li", line.level.toLowerCase(), {}, time, draw.make("b", "", {}, line.level.toLowerCase()), draw.make("span", "", {}, ...parts));
  },

  link(id) {
    const button = draw.make("button", "link", { type: "button" }, id);
    button.addEventListener("click", () => why.open({ id, running: false }));
    return button;
  },

  start() {
    draw.choices(draw.byId("log-level"), logView.LEVELS, logView.level, (level) => {
      logView.level = level;
      logView.load();
    });
    draw.byId("log-filter").addEventListener("input", logView.show);
    document.addEventListener("visibilitychange", () => logView.load());
  },
};
