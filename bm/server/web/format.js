"use strict";

/* Numbers and times for display. Times are in seconds. Locale formatting takes far longer than the rest of an update, so it
   is used only for a few numbers. */
const format = {
  DAYS: ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"],

  /* 1234 -> "1,234" */
  count(number) {
    return number < 1000 ? String(number) : number.toLocaleString("en-US");
  },

  /* 12345 -> "12.3k": at most five characters. */
  short(number) {
    if (number < 1000) return String(Math.round(number));
    for (const [unit, size] of [["k", 1e3], ["M", 1e6], ["G", 1e9]]) {
      const value = number / size;
      if (value < 999.5) return (value < 99.95 ? value.toFixed(1) : String(Math.round(value))) + unit;
    }
    return "∞";
  },

  /* 0 -> "0", 0.8 -> "0.8", 12.34 -> "12" */
  rate(number) {
    return number && number < 9.95 ? number.toFixed(1) : format.count(Math.round(number));
  },

  /* US dollars, with as many digits as a small request needs. */
  money(cost) {
    if (cost === null || cost === undefined) return "–";
    if (cost >= 10) return "$" + cost.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
    return "$" + cost.toFixed(cost >= 0.1 || cost === 0 ? 2 : cost >= 0.001 ? 4 : 6);
  },

  /* A measured time: "42 ms", "0.42 s", "12.3 s", "2 min 5 s". */
  took(seconds) {
    if (seconds === null || seconds === undefined) return "";
    if (seconds < 0.0995) return Math.round(seconds * 1000) + " ms";
    if (seconds < 9.995) return seconds.toFixed(2) + " s";
    if (seconds < 99.95) return seconds.toFixed(1) + " s";
    const whole = Math.round(seconds);
    return Math.floor(whole / 60) + " min " + (whole % 60) + " s";
  },

  /* "45 s", "3 min", "2 h 5 min", "4 d 3 h" */
  duration(seconds) {
    const whole = Math.max(0, Math.round(seconds));
    const minutes = Math.floor(whole / 60);
    if (whole < 60) return whole + " s";
    if (minutes < 60) return minutes + " min";
    if (minutes < 1440) return Math.floor(minutes / 60) + " h " + (minutes % 60) + " min";
    return Math.floor(minutes / 1440) + " d " + (Math.floor(minutes / 60) % 24) + " h";
  },

  /* The rest of a cooldown: "0:45", "3:12", "2:03:12". */
  left(seconds) {
    const whole = Math.max(0, Math.ceil(seconds));
    const hours = Math.floor(whole / 3600);
    const minutes = Math.floor(whole / 60) % 60;
    return (hours ? hours + ":" + format.two(minutes) : String(minutes)) + ":" + format.two(whole % 60);
  },

  /* The local time of a Unix time: "14:03:07", with the date if it is not today. */
  time(at) {
    const moment = new Date(at * 1000);
    const clock = format.clock(moment) + ":" + format.two(moment.getSeconds());
    return format.isToday(moment) ? clock : format.day(moment) + " " + clock;
  },

  /* The same in a narrow column: "14:03:07", or "11-30 14:03" if it is not today. */
  shortTime(at) {
    const moment = new Date(at * 1000);
    return format.isToday(moment) ? format.time(at) : format.day(moment).slice(5) + " " + format.clock(moment);
  },

  /* "14:03", with the weekday if it is not today. */
  reset(at) {
    const moment = new Date(at * 1000);
    return (format.isToday(moment) ? "" : format.DAYS[moment.getDay()] + " ") + format.clock(moment);
  },

  isToday(moment) {
    return moment.toDateString() === new Date().toDateString();
  },

  clock(moment) {
    return format.two(moment.getHours()) + ":" + format.two(moment.getMinutes());
  },

  day(moment) {
    return moment.getFullYear() + "-" + format.two(moment.getMonth() + 1) + "-" + format.two(moment.getDate());
  },

  two(number) {
    return String(number).padStart(2, "0");
  },

  plural(number, noun) {
    return format.count(number) + " " + noun + (number === 1 ? "" : "s");
  },
};
