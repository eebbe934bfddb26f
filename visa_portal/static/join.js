// "Join": the link's code goes from the address into this tab, and from here into the form.

const KEPT = "visa-join";
const place = document.getElementById("join");

if (location.hash.length > 1) {
  sessionStorage.setItem(KEPT, location.hash.slice(1));
  // Out of the address bar, and so out of the history and of what is copied from it.
  history.replaceState(null, "", location.pathname);
}
if (place.dataset.done === "1") sessionStorage.removeItem(KEPT);

const code = sessionStorage.getItem(KEPT);
const field = document.getElementById("code");
if (code && field) {
  field.value = code;
  field.type = "hidden";
  document.getElementById("by-hand").hidden = true;
  document.getElementById("invited").hidden = false;
  document.getElementById("go-in").focus();
}
window.addEventListener("hashchange", () => location.reload());
