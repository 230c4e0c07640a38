"use strict";

/* Requests to the daemon. The browser keeps one half of the session in a cookie, this page the other in its storage. */
const session = {
  HALF: "bm-session",

  /* The JSON of a response. Throws an Error with the message; `status` is 0 if there was no response. */
  async ask(path, { method = "GET", body, seconds = 15 } = {}) {
    const headers = { accept: "application/json", ...session.headers() };
    if (body !== undefined) headers["content-type"] = "application/json";
    const content = body === undefined ? undefined : JSON.stringify(body);
    let response, answer;
    try {
      response = await fetch(path, { method, headers, body: content, cache: "no-store", signal: AbortSignal.timeout(1000 * seconds) });
      answer = await response.json();
    } catch {
      throw Object.assign(new Error("bm does not answer"), { status: 0 });
    }
    if (!response.ok) throw Object.assign(new Error(answer.error ?? "status " + response.status), { status: response.status });
    return answer;
  },

  headers() {
    const half = localStorage.getItem(session.HALF);
    return half ? { "x-bm-session": half } : {};
  },

  async enter(shown) {
    const answer = await session.ask("/admin/session", { method: "POST", body: shown });
    localStorage.setItem(session.HALF, answer.session);
  },

  async leave() {
    await session.ask("/admin/session", { method: "DELETE" });
    localStorage.removeItem(session.HALF);
  },

  /* The code that `bm dashboard` appended to the address; removes it from the address and the history. */
  takeCode() {
    const code = new URLSearchParams(location.hash.slice(1)).get("code");
    if (code) history.replaceState(null, "", location.pathname);
    return code;
  },
};
