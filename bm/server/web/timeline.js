"use strict";

/* The attempts of a request as bars over time: waiting, the call, its end; the first content as a dashed line. */
const timeline = {
  ROW: 26,

  draw(found) {
    const attempts = found.attempts;
    const width = Math.min(Math.max(document.documentElement.clientWidth - 80, 240), 900);
    const names = Math.min(220, width * 0.34);
    const ends = attempts.map((each) => each.at + each.took);
    const whole = Math.max(found.took, ...ends, 0.001);
    const scale = (width - names - 70) / whole;
    const height = attempts.length * timeline.ROW + 22;
    const svg = chart.make("svg", { class: "timeline", viewBox: "0 0 " + width + " " + height, role: "img", "aria-label": timeline.words(attempts) });
    const x = (seconds) => names + seconds * scale;
    svg.append(chart.make("line", { class: "axis", x1: x(0), x2: x(whole), y1: height - 18, y2: height - 18 }));
    for (const part of [0, 1]) svg.append(chart.make("text", { x: x(whole * part), y: height - 4, "text-anchor": part ? "end" : "start" }, format.took(whole * part)));
    attempts.forEach((each, row) => {
      const y = row * timeline.ROW;
      const good = each.outcome === "answered";
      const name = timeline.cut(each.provider + "/" + each.account, names);
      svg.append(chart.make("text", { x: names - 8, y: y + 16, "text-anchor": "end" }, name));
      if (each.wait) svg.append(chart.make("rect", { class: "wait", x: x(Math.max(each.at - each.wait, 0)), y: y + 9, width: each.wait * scale, height: 6 }));
      svg.append(chart.make("rect", { class: good ? "good" : "bad", x: x(each.at), y: y + 5, width: Math.max(each.took * scale, 2), height: 14, rx: 3 }));
      svg.append(chart.make("text", { x: Math.min(x(each.at + each.took) + 6, width - 64), y: y + 16 }, format.took(each.took)));
    });
    if (found.first_content !== null) {
      const first = x(Math.min(found.first_content, whole));
      svg.append(chart.make("line", { class: "first", x1: first, x2: first, y1: 0, y2: height - 18 }));
    }
    return svg;
  },

  cut(text, room) {
    const most = Math.floor((room - 8) / 7);
    return text.length > most ? text.slice(0, most - 1) + "…" : text;
  },

  words(attempts) {
    return attempts.map((each) => each.provider + "/" + each.account + " " + (why.word(each.outcome) || "cancelled") + " after " + format.took(each.took)).join(", ");
  },
};
