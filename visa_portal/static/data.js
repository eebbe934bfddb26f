// "Data": what was done is said aloud, and a choice of the list is a search.
for (const id of ["refused", "done"]) document.getElementById(id)?.focus();

const find = document.getElementById("find");
find?.addEventListener("change", (event) => {
  if (event.target.name === "scope") find.requestSubmit();
});

// Twice the same is a refusal that would hide what the first did.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  if (event.target.dataset.sent) return event.preventDefault();
  event.target.dataset.sent = "yes";
});
