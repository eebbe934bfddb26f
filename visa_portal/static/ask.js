// A question before what cannot be undone. Without this module the same link leads to a page that asks.

const dialog = document.getElementById("ask");
const part = (name) => dialog.querySelector(`#ask-${name}`);

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-ask]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const [question, meaning, yes, no] = link.dataset.ask.split("|");
  part("question").textContent = question;
  part("subject").textContent = link.dataset.subject ?? link.closest(".tile").dataset.title;
  part("meaning").textContent = meaning;
  part("yes").textContent = yes;
  part("no").textContent = no || "Keep it";
  // Red is for what loses something.
  const calm = "calm" in link.dataset;
  part("yes").classList.toggle("danger", !calm);
  part("yes").classList.toggle("primary", calm);
  dialog.querySelector("form").action = link.href;
  dialog.showModal();
});
part("no").addEventListener("click", () => dialog.close());
document.addEventListener("submit", (event) => {
  event.submitter?.setAttribute("aria-busy", "true");
  if (event.submitter === part("yes")) event.submitter.textContent = "One moment…";
});
window.addEventListener("pageshow", (event) => {
  // Come back to by "Back": nothing is under way any more.
  if (!event.persisted) return;
  dialog.close();
  for (const busy of document.querySelectorAll(".button[aria-busy]")) busy.removeAttribute("aria-busy");
});
