"use strict";

/* The top of the page: the state of the daemon, notices and figures. */
const overview = {
  SVG: "http://www.w3.org/2000/svg",

  show(live) {
    const { status, traffic, today } = live;
    overview.alive(live);
    overview.notices(live);
    const recent = traffic.recent;
    const set = (id, text, more) => {
      draw.text(draw.byId("tile-" + id), text);
      draw.text(draw.byId("tile-" + id + "-more"), more);
    };
    const rate = recent.seconds > 0 ? (recent.requests * 60) / Math.max(recent.seconds, 60) : 0;
    const output = recent.seconds > 0 ? recent.output / Math.max(recent.seconds, 60) : 0;
    set("active", format.count(status.requests.active), format.count(status.requests.total) + " since start");
    set("rate", format.rate(rate), recent.failures ? format.count(recent.failures) + " failed" : "none failed");
    set("output", format.rate(output), format.short(recent.input) + " in, " + format.short(recent.output) + " out/min");
    if (today) set("cost", today.requests ? format.money(usage.paid(today)) : "$0.00", overview.saved(today));
    else set("cost", "–", "the ledger cannot be read");
    overview.accounts(status.accounts, set);
    overview.curve(traffic);
    overview.nodes(status.shared);
  },

  /* The nodes of a team, where there are others. */
  nodes(team) {
    const rows = team && team.nodes.length > 1 ? team.nodes : [];
    draw.shown(draw.byId("nodes"), rows.length > 0);
    draw.text(draw.byId("nodes-store"), team ? (team.away ? "the store is away" : team.store) : "");
    const make = () => draw.make("tr", "", {}, ...["name", "", "", "", "num", "num", "num"].map((kind) => draw.make("td", kind)));
    draw.list(draw.byId("nodes-rows"), rows, (row) => row.name + " " + row.since, make, (line, row) => {
      const state = row.here ? "there, up " + format.duration(Date.now() / 1000 - row.since) : "gone for " + format.duration(row.seen);
      const { active, total, failed } = row.requests;
      const texts = [row.name, state, row.url, row.version, row.here ? format.count(active) : "–", format.count(total), format.count(failed)];
      texts.forEach((text, place) => {
        draw.text(line.children[place], text);
        line.children[place].dataset.label = ["", "state", "address", "version", "running", "requests", "failed"][place];
      });
    });
  },

  /* What the Gemini accounts would have cost; without a known price, the number of requests. */
  saved(today) {
    if (today.free_cost) return "would have cost " + format.money(today.free_cost) + " more";
    return format.plural(today.requests, "request") + ", " + format.short(today.input + today.cache_read + today.cache_write + today.output) + " tokens";
  },

  accounts(counts, set) {
    const all = Object.values(counts).reduce((sum, count) => sum + count, 0);
    const rest = Object.keys(counts).filter((state) => state !== "usable" && counts[state]).map((state) => counts[state] + " " + state);
    set("accounts", counts.usable + " / " + all, rest.join(", ") || (all ? "all usable" : "none yet"));
  },

  alive({ status }) {
    draw.kind(draw.byId("dot"), status.requests.active ? "dot busy" : "dot ok");
    draw.text(draw.byId("state"), "running at " + location.host);
    draw.text(draw.byId("about"), "version " + status.version + ", up " + format.duration(status.uptime));
    document.title = (status.requests.active ? "(" + status.requests.active + ") " : "") + "Better Manager";
  },

  /* The daemon has not answered for `seconds`, so the data is stale. */
  silent(seconds) {
    draw.kind(draw.byId("dot"), "dot bad");
    draw.text(draw.byId("state"), seconds === null ? "no answer (bm start)" : "no answer for " + format.duration(seconds) + " (bm start)");
    document.body.classList.add("stale");
  },

  notices(live) {
    const { status } = live;
    const found = [];
    if (status.config.error) found.push(["bad", "The configuration is invalid, the previous one stays in force:\n" + status.config.error]);
    if (live.not_ready) found.push(["bad", live.not_ready.replace(/: (bm .*)$/, ": `$1`")]);
    for (const warning of status.config.warnings) found.push(["warn", warning]);
    if (status.ledger.problem) found.push(["warn", "The ledger cannot be written (" + status.ledger.problem + "); requests are served anyway."]);
    if (status.ledger.away) found.push(["warn", "The ledger's database takes no requests (" + status.ledger.away + "); " + format.plural(status.ledger.spool.waiting, "request") + " wait in " + status.ledger.spool.path + "."]);
    if (status.ledger.dropped) found.push(["warn", format.plural(status.ledger.dropped, "request") + " since the start are missing from the ledger."]);
    for (const budget of status.budgets) if (budget.state !== "ok") found.push(overview.budget(budget));
    if (status.recording) found.push(["warn", "Recording is on; prompts and answers are kept. `bm record off` turns it off."]);
    draw.list(draw.byId("notices"), found, (each) => each.join(), overview.notice, () => {});
  },

  budget(budget) {
    const spent = "The budget of " + keys.whose(budget) + " (" + budget.limit + ") is " + (budget.state === "spent" ? "used up" : "nearly used up");
    return [budget.state === "spent" ? "bad" : "warn", spent + "; it begins anew on " + format.time(budget.resets_at) + "."];
  },

  notice([kind, text]) {
    const notice = draw.words("p", "notice " + kind, text);
    notice.append(...commands.buttons(text));
    return notice;
  },

  /* Requests over time, with failures in a different color. */
  curve(traffic) {
    const svg = draw.byId("curve");
    const count = traffic.requests.length;
    const most = Math.max(...traffic.requests, 4);
    if (svg.childElementCount !== 2 * count) {
      for (let place = 0; place < 2 * count; place++) {
        const bar = document.createElementNS(overview.SVG, "rect");
        bar.setAttribute("x", String((place % count) + 0.1));
        bar.setAttribute("width", "0.8");
        bar.setAttribute("class", place < count ? "all" : "failed");
        svg.append(bar);
      }
    }
    [...traffic.requests, ...traffic.failures].forEach((number, place) => {
      const height = number ? Math.max((30 * number) / most, 1.5) : 0;
      svg.children[place].setAttribute("height", String(height));
      svg.children[place].setAttribute("y", String(30 - height));
    });
    const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
    const words = format.plural(sum(traffic.requests), "request") + ", " + format.count(sum(traffic.failures)) + " failed";
    draw.text(draw.byId("curve-more"), words);
    svg.setAttribute("aria-label", words + " in the last 15 minutes");
  },
};
