"use strict";

/* Polls once a second while the page is visible, and updates it. */
const main = {
  EVERY: 1000,
  live: null,
  answeredAt: null,
  timer: 0,

  async start() {
    for (const part of [sheet, why, requests, accounts, providers, usage, models, routing, playground, settings, logView, views]) part.start();
    draw.byId("key-form").addEventListener("submit", main.enterKey);
    draw.byId("leave").addEventListener("click", main.leave);
    document.addEventListener("visibilitychange", () => document.hidden || main.soon(0));
    addEventListener("hashchange", main.enterCode);
    setInterval(() => main.live && !document.hidden && accounts.tick(), 1000);
    await main.enterCode();
  },

  soon(wait) {
    clearTimeout(main.timer);
    main.timer = setTimeout(main.look, wait);
  },

  async look() {
    if (document.hidden) return;
    clearTimeout(main.timer);
    const turn = (main.turn = (main.turn ?? 0) + 1);
    try {
      await main.follow();
    } catch (error) {
      if (turn === main.turn && !main.failed(error)) return;
    }
    if (turn === main.turn) main.soon(main.EVERY);
  },

  async follow() {
    const before = main.live;
    const live = await session.ask("/admin/live?after=" + (before?.ended ?? 0));
    const anew = before?.run !== live.run;
    if (before && before.status.version !== live.status.version) return location.reload();
    main.live = live;
    main.answeredAt = performance.now();
    main.shown(true);
    document.body.classList.remove("stale");
    overview.show(live);
    accounts.show(live.accounts);
    providers.show(live.providers);
    keys.follow(live.status.budgets);
    const missed = requests.show(live, !anew && live.ended - before.ended > live.requests.length);
    if (anew || missed) await requests.load();
    if (anew) await main.begun();
    await usage.follow(live.run + " " + live.ended);
  },

  /* The first answer of a daemon. */
  async begun() {
    await providers.load();
    views.open();
  },

  /* Shows an error; returns whether to continue polling. */
  failed(error) {
    if (error.status === 401) {
      main.live = null;
      main.shown(false);
      return false;
    }
    if (!error.status) overview.silent(main.answeredAt === null ? null : (performance.now() - main.answeredAt) / 1000);
    else draw.toast(error.message, true);
    return true;
  },

  /* Shows the board, or the sign-in form. */
  shown(board) {
    draw.shown(draw.byId("board"), board);
    draw.shown(draw.byId("sign-in"), !board);
    draw.shown(draw.byId("tabs"), board);
    draw.shown(draw.byId("leave"), board && localStorage.getItem(session.HALF) !== null);
    if (board) return;
    draw.kind(draw.byId("dot"), "dot");
    draw.text(draw.byId("state"), "signed out");
    draw.text(draw.byId("about"), "");
    for (const id of ["why", "sheet"]) if (draw.byId(id).open) draw.byId(id).close();
    draw.byId("key").focus();
  },

  async enterCode() {
    const code = session.takeCode();
    if (code) await main.enter({ code });
    else main.soon(0);
  },

  async enterKey(event) {
    event.preventDefault();
    await main.enter({ key: draw.byId("key").value.trim() });
  },

  async enter(shown) {
    try {
      await session.enter(shown);
      draw.byId("key").value = "";
      draw.text(draw.byId("sign-in-why"), "");
    } catch (error) {
      draw.text(draw.byId("sign-in-why"), error.message);
    }
    main.soon(0);
  },

  async leave() {
    try {
      await session.leave();
    } catch (error) {
      draw.toast(error.message, true);
    }
    main.soon(0);
  },
};

main.start();
