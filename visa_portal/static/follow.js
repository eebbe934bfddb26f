// Looking at a part of the page again and again: soon while it matters, seldom while nobody sees it.
import { announce, ask, nodes } from "./page.js";

const connection = document.getElementById("connection");

/**
 * Ask for `path` and hand what has changed to `show`; `pause` says how long to wait until the next look, in ms.
 * `path` may be a function, which gives nothing while there is nothing to look at; where `show` returns false it is
 * handed the same again.
 * While the portal does not answer the page says so. Returns a function that looks at once.
 */
export function follow(path, show, pause) {
  let etag = "";
  let timer = 0;
  let failures = 0;
  let looking = false;
  let again = false;

  function plan() {
    clearTimeout(timer);
    const wait = failures ? Math.min(30000, 2000 * 2 ** failures) : pause();
    timer = setTimeout(look, document.hidden ? 4 * wait : wait);
  }

  async function look() {
    again = looking;
    if (looking) return;
    const where = typeof path === "string" ? path : path();
    if (!where) return plan();
    looking = true;
    try {
      const response = await ask(where, { headers: etag ? { "If-None-Match": etag } : {} });
      if (response.status === 200) {
        etag = response.headers.get("ETag") || "";
        if (show(nodes(await response.text())) === false) etag = "";
      } else if (response.status !== 304) {
        throw new Error(await response.text());
      }
      if (failures) announce("The page is up to date again.");
      failures = 0;
      connection.hidden = true;
    } catch (error) {
      failures = Math.min(failures + 1, 4);
      connection.textContent =
        (error instanceof TypeError ? "No connection. " : `${error.message} `) +
        "What you see may be out of date. This page tries again by itself.";
      connection.hidden = false;
    } finally {
      looking = false;
    }
    if (again) return look();
    plan();
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) look();
  });
  window.addEventListener("pageshow", (event) => event.persisted && look());
  plan();
  return look;
}
