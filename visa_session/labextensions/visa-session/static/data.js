// "Add data": the owner's way to the portal's page of it, and a word when data came or went.

const COMMAND = "visa-session:data";
const REFRESH = "filebrowser:refresh";

/** `page` is the portal's page, empty where there is none; the command is there for the session's owner. */
export class Data {
  constructor(lab, app, page, palette, menu) {
    this.lab = lab;
    this.app = app;
    this.owner = false;
    this.known = null;
    this.parts = [];
    if (!page) return;
    const isOwners = () => this.owner;
    const command = app.commands.addCommand(COMMAND, {
      label: "Session: add data…",
      caption: "Add another experiment's data to this session, or take some away, while it runs",
      isVisible: isOwners,
      isEnabled: isOwners,
      execute: () => window.open(page, "_blank", "noopener"),
    });
    this.parts.push(command);
    menu?.fileMenu.addGroup([{ command: COMMAND }], 40);
    if (palette) this.parts.push(palette.addItem({ command: COMMAND, category: "Session" }));
  }

  show(news) {
    this.owner = news.role === "owner";
    if (this.app.commands.hasCommand(COMMAND)) this.app.commands.notifyCommandChanged(COMMAND);
    if (!news.data) return;
    const now = new Map(news.data.map((one) => [one.id, one]));
    if (this.known) {
      for (const id of now.keys()) if (!this.known.has(id)) this.tell(`The data of ${id} are here now, in /experiments/${id}.`);
      for (const id of this.known.keys()) {
        if (!now.has(id)) this.tell(`The data of ${id} were taken away. A program that has a file of theirs open keeps it until it closes it.`);
      }
    }
    this.known = now;
  }

  tell(text) {
    this.lab.apputils.Notification.emit(text, "info", { autoClose: 10000 });
    if (this.app.commands.hasCommand(REFRESH)) this.app.commands.execute(REFRESH);
  }

  dispose() {
    for (const part of this.parts) part.dispose();
  }
}
