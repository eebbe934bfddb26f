// The people of a session in JupyterLab: requests to join, the banner, notices, who is in.

import { isAside, putAside } from "./aside.js";
import { ask } from "./ask.js";
import { Data } from "./data.js";
import { Ending } from "./ending.js";
import { follow } from "./news.js";
import { Banner, element, isOurs, People, Requests } from "./people.js";
import * as words from "./words.js";

const COMMAND = "visa-session:people";

/** The style sheet beside this file; the page's own policy wants it as a file. */
const style = () => element("link", { rel: "stylesheet", href: new URL("lab.css", import.meta.url).href });

/** The plugin, made with the packages that JupyterLab shares. */
export function plugin(lab) {
  let inside = null;
  return {
    id: "visa-session:people",
    description: "Who is in this session, and who asks to join.",
    autoStart: true,
    optional: [lab.statusbar.IStatusBar, lab.apputils.ICommandPalette, lab.mainmenu.IMainMenu],
    activate: (app, statusBar, palette, menu) => {
      inside = new Session(lab, app, statusBar, palette, menu);
    },
    deactivate: () => {
      inside?.dispose();
      inside = null;
    },
  };
}

class Session {
  constructor(lab, app, statusBar, palette, menu) {
    this.lab = lab;
    const option = (name) => lab.coreutils.PageConfig.getOption(name);
    this.settings = lab.services.ServerConnection.makeSettings();
    this.portal = option("visaPortal");
    this.extend = option("visaExtend");
    this.last = null;
    this.notices = new Map();
    this.parts = [];

    const sheet = style();
    document.head.append(sheet);
    this.root = element("div", { class: "visa-lab" });
    document.body.prepend(this.root);
    this.parts.push(() => sheet.remove(), () => this.root.remove());

    this.requests = new Requests(this.root, (request, answer) => this.call("visa/answers", "POST", { request, answer }));
    this.parts.push(() => this.requests.dispose());
    this.addBanner(app);
    this.addPeople(app, statusBar, palette, option("visaSharing"));
    this.data = new Data(lab, app, option("visaData"), palette, menu);
    this.parts.push(() => this.data.dispose());

    const keys = (event) => {
      if (!isOurs(event)) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      if (!this.requests.focus()) this.open(true);
    };
    window.addEventListener("keydown", keys, { capture: true });
    this.parts.push(() => window.removeEventListener("keydown", keys, { capture: true }));

    const changed = (_, change) => {
      if (change.type === "removed") this.seen(change.notification.id);
    };
    lab.apputils.Notification.manager.changed.connect(changed);
    this.parts.push(() => lab.apputils.Notification.manager.changed.disconnect(changed));

    this.ending = new Ending({ warn: (text) => this.warn(text), clear: () => this.unwarn() });
    this.parts.push(() => this.ending.dispose());

    this.parts.push(
      follow(
        (options) => this.request("visa/news", options),
        (news) => this.show(news),
        (refusal) => this.ended(refusal),
      ),
    );
  }

  dispose() {
    for (const part of this.parts.reverse()) part();
    this.parts = [];
  }

  request(path, options) {
    const { ServerConnection } = this.lab.services;
    return ServerConnection.makeRequest(this.settings.baseUrl + path, options, this.settings);
  }

  /** Make a call; words for the person where it did not work. */
  async call(path, method, body) {
    const options = { method, ...(body ? { body: JSON.stringify(body) } : {}) };
    return (await ask(this.lab, path, options)).words;
  }

  addBanner(app) {
    const widget = new this.lab.widgets.Widget();
    widget.id = "visa-session-banner";
    widget.addClass("visa-lab");
    this.guest = element("p", { class: "visa-guest" });
    this.guest.hidden = true;
    const sign = element("p", {});
    this.banner = new Banner(sign);
    const lines = element("div", {}, sign, this.guest);
    widget.node.append(lines);
    this.strip = widget;
    widget.hide();
    app.shell.add(widget, "header");
    // JupyterLab gives a widget the height it asks for by its style: as many lines as this window needs.
    const size = new ResizeObserver(() => {
      widget.node.style.minHeight = `${lines.offsetHeight}px`;
      widget.parent?.fit();
    });
    size.observe(lines);
    this.parts.push(() => widget.dispose(), () => size.disconnect());
  }

  addPeople(app, statusBar, palette, sharing) {
    this.panel = element("section", { class: "visa-people", id: "visa-people", "aria-label": "Who is in", tabindex: "-1" });
    this.panel.hidden = true;
    this.root.append(this.panel);
    const path = (name) => `visa/members/${encodeURIComponent(name)}`;
    this.people = new People(this.panel, {
      end: (name) => this.call(path(name), "DELETE"),
      endAll: () => this.call("visa/members", "DELETE"),
      sharing,
    });
    const { Widget } = this.lab.widgets;
    const item = new Widget();
    item.addClass("visa-status");
    this.button = element(
      "button",
      { type: "button", "aria-expanded": "false", "aria-controls": "visa-people", click: () => this.open(this.panel.hidden) },
      "Who is in",
    );
    item.node.append(this.button);
    if (statusBar) {
      const added = statusBar.registerStatusItem("visa-session:people", { item, align: "left", rank: -10, priority: 1 });
      this.parts.push(() => added.dispose());
    }
    const command = app.commands.addCommand(COMMAND, { label: "Session: who is in", execute: () => this.open(true) });
    this.parts.push(() => command.dispose());
    if (palette) {
      const entry = palette.addItem({ command: COMMAND, category: "Session" });
      this.parts.push(() => entry.dispose());
    }
    const outside = (event) => {
      if (!this.panel.contains(event.target) && !this.button.contains(event.target)) this.open(false);
    };
    document.addEventListener("pointerdown", outside, { capture: true });
    this.parts.push(() => document.removeEventListener("pointerdown", outside, { capture: true }));
    this.panel.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.open(false);
      this.button.focus();
    });
  }

  open(on) {
    this.panel.hidden = !on;
    this.button.setAttribute("aria-expanded", String(on));
    if (on) this.panel.focus();
  }

  show(news) {
    const before = this.last;
    this.last = news;
    if (this.over && news.role !== "viewer") return location.reload();
    if (news.role === "viewer") {
      const change = words.changeOf(before, news);
      // More news of a viewer are no reason to take back the words that said how they became one.
      if (change || !this.watches) this.cover(change || "You can only watch.", "", true);
      this.watches = true;
      return;
    }
    this.requests.show(news.requests ?? []);
    this.banner.show(news);
    this.guest.hidden = news.role === "owner";
    if (news.role !== "owner") this.guest.textContent = `This is ${words.guestOf(news)}, with their files.`;
    const shown = !this.banner.node.hidden || !this.guest.hidden;
    if (shown) this.strip.show();
    else this.strip.hide();
    this.people.show(news);
    const count = People.count(news);
    this.button.textContent = count === 1 ? "1 other here" : `${count} others here`;
    this.notify(news.notices ?? []);
    const out = words.newlyOut(before, news);
    if (out.length > 0) this.data.tell(words.putOut(out));
    this.data.show(news);
    if (before?.ends !== news.ends) this.askEnd();
  }

  /** How long it still may run, by the server's clock. */
  async askEnd() {
    try {
      const { ends, seconds_left: left } = await (await this.request("visa/session", {})).json();
      this.ending.set(ends, left);
    } catch {
      // The next news bring it, or the next page.
    }
  }

  warn(text) {
    this.unwarn();
    const { Notification } = this.lab.apputils;
    const extend = { label: "Extend…", displayType: "accent", callback: () => window.open(this.extend, "_blank", "noopener") };
    const actions = this.extend && this.last?.may_extend > 0 ? [extend] : [];
    this.warning = Notification.emit(`${text} ${words.SAVE}`, "warning", { autoClose: false, actions });
  }

  unwarn() {
    if (this.warning) this.lab.apputils.Notification.dismiss(this.warning);
    this.warning = null;
  }

  notify(notices) {
    const { Notification } = this.lab.apputils;
    for (const notice of notices) {
      if ([...this.notices.values()].some((one) => one.id === notice.id) || isAside(notice)) continue;
      const from = notice.kind === "message" ? "Message from the facility" : "Announcement";
      const shown = Notification.emit(`${from}: ${notice.words}`, notice.kind === "message" ? "warning" : "info", {
        autoClose: false,
      });
      this.notices.set(shown, notice);
    }
    for (const [shown, one] of this.notices) {
      if (notices.some((notice) => notice.id === one.id)) continue;
      this.notices.delete(shown);
      Notification.dismiss(shown);
    }
  }

  /** A message that was put away has been read; an announcement holds on. */
  seen(shown) {
    const notice = this.notices.get(shown);
    if (notice === undefined) return;
    if (notice.kind !== "message") return putAside(notice);
    this.call(`visa/notices/${encodeURIComponent(notice.id)}/seen`, "POST");
  }

  ended({ why, out, again }) {
    this.watches = false;
    this.cover(words.ENDED, words.endedOf(this.last, why, out), false, again);
  }

  /** JupyterLab is of no use to who is not in it: say so over all of it. */
  cover(title, detail, watch, again = null) {
    this.over?.remove();
    const link = (text, href, kind = "") => element("a", { class: `visa-button ${kind}`, href, target: "_top" }, text);
    const row = element("div", { class: "visa-row" });
    if (watch) row.append(link("Watch the desktop", `${this.settings.baseUrl}desktop/`, "visa-main"));
    if (this.portal) row.append(link("My sessions", this.portal, watch ? "" : "visa-main"));
    if (again) row.append(element("button", { type: "button", class: "visa-button", click: again }, "Try now"));
    const card = element(
      "div",
      { class: "visa-card", role: "alertdialog", "aria-labelledby": "visa-over", "aria-describedby": "visa-over-more", tabindex: "-1" },
      element("h2", { id: "visa-over" }, title),
      element("p", { id: "visa-over-more" }, detail || "JupyterLab is for those who work here."),
      row,
    );
    this.over = element("div", { class: "visa-over" }, card);
    this.root.append(this.over);
    card.focus();
  }
}
