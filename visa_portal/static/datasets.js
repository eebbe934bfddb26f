// The datasets of the chosen experiments, in the form of "New session": searched, page by page; what is chosen stays
// chosen, whatever is shown. Without this module the first page of them can be chosen from.
import { announce, ask, nodes } from "./page.js";

const PAUSE = 180; // milliseconds without a key until a search begins

/** What of a form a new choice must be asked with: its datasets, and what came from a passport. */
export function passOn(data, query) {
  for (const id of data.getAll("dataset")) query.append("dataset", id);
  for (const name of ["image", "was"]) if (data.get(name)) query.set(name, data.get(name));
  const software = data.get(`software-${data.get("profile")}`);
  if (software) query.set("software", software);
  if (data.get("image") && !query.has("profile")) {
    query.set("profile", data.get("profile") ?? "");
    query.set("plan", data.get(`plan-${data.get("profile")}`) ?? "");
  }
}

/** Take up the lists of a form that has just come. */
export function ready(form) {
  for (const place of form.querySelectorAll("[data-datasets]")) {
    if (place.dataset.ready) continue;
    place.dataset.ready = "1";
    place.dataset.all = place.querySelector(".count").textContent;
    new List(place);
  }
}

class List {
  constructor(place) {
    this.place = place;
    this.search = place.querySelector('input[type="search"]');
    this.search.closest("p").hidden = false;
    this.picked = new Set([...place.querySelectorAll("[data-carried]")].map((one) => one.value));
    for (const box of this.boxes()) if (box.checked) this.picked.add(box.value);
    this.typing = 0;
    this.asking = null;
    this.search.addEventListener("input", (event) => {
      event.stopPropagation();
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.find(), PAUSE);
    });
    this.search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") event.preventDefault(); // it would start the session
    });
    place.addEventListener("change", (event) => {
      if (event.target.name !== "dataset") return;
      if (event.target.checked) this.picked.add(event.target.value);
      else this.picked.delete(event.target.value);
      this.say();
    });
    place.addEventListener("click", (event) => {
      const more = event.target.closest("[data-more-datasets]");
      if (!more) return;
      event.preventDefault();
      this.more(more);
    });
  }

  boxes() {
    return [...this.place.querySelectorAll('.dataset-list input[type="checkbox"]')];
  }

  async page(query) {
    this.asking?.abort();
    this.asking = new AbortController();
    const response = await ask(`new/datasets?${query}`, { signal: this.asking.signal });
    const text = await response.text();
    if (!response.ok) throw new Error(text);
    return nodes(text);
  }

  async find() {
    const query = new URLSearchParams({ experiment: this.place.dataset.datasets, q: this.search.value });
    await this.trying(async () => {
      this.place.querySelector(".dataset-list").replaceWith(await this.page(query));
      this.mark();
      announce(this.place.querySelector(".count").textContent);
    });
  }

  async more(link) {
    await this.trying(async () => {
      const fresh = await this.page(new URL(link.href).search.slice(1));
      const rows = [...fresh.querySelectorAll("li")];
      this.place.querySelector(".dataset-list ul").append(...rows);
      const next = fresh.querySelector("[data-more-datasets]");
      if (next) link.replaceWith(next);
      else link.closest(".pager").remove();
      this.mark();
      rows[0]?.querySelector("input").focus({ preventScroll: true });
    });
  }

  async trying(what) {
    try {
      await what();
    } catch (error) {
      if (error.name === "AbortError") return;
      const count = this.place.querySelector(".count");
      count.textContent = error instanceof TypeError ? "No connection. Try again in a moment." : error.message;
    }
  }

  /** Tick what is chosen; what is chosen and not shown is sent all the same. */
  mark() {
    for (const one of this.place.querySelectorAll("[data-carried]")) one.remove();
    const shown = new Set();
    for (const box of this.boxes()) {
      box.checked = this.picked.has(box.value);
      shown.add(box.value);
    }
    for (const id of this.picked) {
      if (shown.has(id)) continue;
      const hidden = Object.assign(document.createElement("input"), { type: "hidden", name: "dataset", value: id });
      hidden.dataset.carried = "";
      this.place.append(hidden);
    }
  }

  say() {
    const words = this.picked.size ? `${this.picked.size} of ${this.place.dataset.all}` : "All data";
    this.place.querySelector("summary").textContent = words;
  }
}
