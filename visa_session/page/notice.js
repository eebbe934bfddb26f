// The words in the middle of the page while there is no picture.

const box = document.getElementById("notice");
const words = document.getElementById("notice-words");
const more = document.getElementById("notice-more");
const again = document.getElementById("again");
const portal = document.getElementById("portal");

if (document.body.dataset.portal) {
  portal.href = document.body.dataset.portal;
  portal.target = "_top";
}

/** Show words; `still` when nothing more will happen by itself, `retry` for a button that tries at once. */
export function say(text, { detail = "", still = false, retry = null } = {}) {
  words.textContent = text;
  more.textContent = detail;
  box.classList.toggle("still", still);
  again.hidden = retry === null;
  again.classList.toggle("main", !still);
  again.onclick = retry;
  portal.hidden = !(still && portal.href);
  box.hidden = false;
}

/** Take the words away: there is a picture now. */
export function clear() {
  box.hidden = true;
}
