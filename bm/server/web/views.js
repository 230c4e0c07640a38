"use strict";

/* The views of the page, each at an address of its own: #usage and so on. */
const views = {
  current: "overview",

  names() {
    return [...draw.byId("tabs").children].map((tab) => tab.hash.slice(1));
  },

  go(name) {
    location.hash = name;
  },

  /* Shows the view that the address names. Other places in the page, as in links that skip, are left alone. */
  follow() {
    const wanted = location.hash.slice(1) || "overview";
    const name = views.names().includes(wanted) ? wanted : views.current;
    views.current = name;
    for (const each of views.names()) draw.shown(draw.byId("view-" + each), each === name);
    for (const tab of draw.byId("tabs").children) {
      if (tab.hash === "#" + name) tab.setAttribute("aria-current", "page");
      else tab.removeAttribute("aria-current");
    }
    if (main.live) views.open();
  },

  /* What a view loads when it is shown. */
  open() {
    const loads = { usage: () => Promise.all([usage.load(), keys.load()]), models: models.load, ask: playground.load, settings: settings.load, log: logView.load };
    loads[views.current]?.()?.catch((error) => draw.toast(error.message, true));
  },

  start() {
    addEventListener("hashchange", views.follow);
    for (const skip of document.querySelectorAll(".skip")) skip.addEventListener("click", views.skip);
    views.follow();
  },

  /* What is skipped to may be in another view. */
  skip(event) {
    event.preventDefault();
    const target = draw.byId(event.currentTarget.hash.slice(1));
    const view = target.closest(".view");
    if (view && view.hidden) views.go(view.id.replace("view-", ""));
    setTimeout(() => target.focus());
  },
};
