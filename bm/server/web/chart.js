"use strict";

/* Stacked bars over time, as SVG. What they show can be read with the pointer or the arrow keys, and in the table below. */
const chart = {
  SVG: "http://www.w3.org/2000/svg",
  COLORS: 8,
  WIDTH: 1000,
  HEIGHT: 260,
  LEFT: 60,
  BOTTOM: 24,

  make(tag, attributes = {}, ...children) {
    const element = document.createElementNS(chart.SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
    element.append(...children);
    return element;
  },

  /* `steps` are the labels of the bars, `series` has { name, values }, `show` words a value. */
  draw(figure, title, steps, series, show) {
    const width = Math.max(figure.clientWidth - 32, 260);
    const { HEIGHT: height, LEFT: left, BOTTOM: bottom } = chart;
    const totals = steps.map((_, place) => series.reduce((sum, each) => sum + each.values[place], 0));
    const top = chart.round(Math.max(...totals, 0));
    const svg = chart.make("svg", { viewBox: "0 0 " + width + " " + height, role: "img", tabindex: 0, "aria-label": title });
    const y = (value) => 8 + (height - bottom - 8) * (1 - value / top);
    for (const part of [0, 0.5, 1]) {
      svg.append(chart.make("line", { class: "grid", x1: left, x2: width, y1: y(top * part), y2: y(top * part) }));
      svg.append(chart.make("text", { x: left - 8, y: y(top * part) + 4, "text-anchor": "end" }, show(top * part)));
    }
    const each = (width - left) / steps.length;
    chart.labels(svg, steps, left, each, height);
    const caption = draw.make("figcaption", "", { "aria-live": "polite" });
    const tell = (place) => chart.tell(caption, place === null ? title : steps[place], place, series, totals, show);
    steps.forEach((_, place) => {
      const x = left + place * each;
      const hit = chart.make("rect", { class: "hit", x, width: each, y: 8, height: height - bottom - 8 });
      hit.addEventListener("pointerenter", () => tell(place));
      svg.append(hit);
      let below = 0;
      for (const [number, one] of series.entries()) {
        const value = one.values[place];
        if (!value) continue;
        const gap = Math.min(each * 0.15, 4);
        svg.append(chart.make("rect", { class: "bar-part s" + (number % chart.COLORS), x: x + gap, width: Math.max(each - 2 * gap, 1), y: y(below + value), height: Math.max(y(below) - y(below + value), 0.5), "pointer-events": "none" }));
        below += value;
      }
    });
    svg.addEventListener("pointerleave", () => tell(null));
    chart.keys(svg, steps.length, tell);
    const legend = draw.make("ul", "legend", {}, ...series.map((one, number) => draw.make("li", "", {}, draw.make("i", "s" + (number % chart.COLORS)), one.name)));
    figure.replaceChildren(caption, svg, ...(series.length > 1 || series[0]?.name ? [legend] : []));
    tell(null);
  },

  /* As many labels below the bars as there is room for. */
  labels(svg, steps, left, each, height) {
    const every = Math.ceil(64 / each);
    steps.forEach((step, place) => {
      if (place % every) return;
      svg.append(chart.make("text", { x: left + (place + 0.5) * each, y: height - 6, "text-anchor": "middle" }, step));
    });
  },

  /* What one bar shows, in words. */
  tell(caption, name, place, series, totals, show) {
    if (place === null) return caption.replaceChildren(draw.make("b", "", {}, name), ", point at a bar or use the arrow keys");
    const parts = series.filter((one) => one.values[place]).map((one) => (one.name || "–") + " " + show(one.values[place]));
    caption.replaceChildren(draw.make("b", "", {}, name + ": " + show(totals[place])), parts.length > 1 || parts[0] ? " (" + parts.join(", ") + ")" : "");
  },

  keys(svg, count, tell) {
    let at = count;
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      at = Math.min(Math.max(at + step, 0), count - 1);
      svg.querySelectorAll(".hit").forEach((hit, place) => hit.classList.toggle("on", place === at));
      tell(at);
    });
    svg.addEventListener("blur", () => {
      svg.querySelectorAll(".hit").forEach((hit) => hit.classList.remove("on"));
      tell(null);
    });
  },

  /* The next round number: 1, 2, 2.5 or 5 with zeros. */
  round(most) {
    if (!(most > 0)) return 1;
    const power = 10 ** Math.floor(Math.log10(most));
    return power * [1, 2, 2.5, 5, 10].find((each) => each * power >= most - 1e-12);
  },
};
