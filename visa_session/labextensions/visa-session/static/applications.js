// The profile's applications as tiles of the launcher: each starts on the desktop, whose tab opens.

import { ask } from "./ask.js";

const COMMAND = "visa-session:application";
// Between notebooks (0) and consoles (20).
const RANK = 10;

/** A picture of the server's, of whatever kind: the launcher draws nothing but SVG outside of its own sections. */
const picture = (address) =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48"><image width="48" height="48" href="${address}"/></svg>`;

/** The plugin, made with the packages that JupyterLab shares. */
export function plugin(lab) {
  return {
    id: "visa-session:applications",
    description: "The session's applications, started on its desktop.",
    autoStart: true,
    optional: [lab.launcher.ILauncher, lab.apputils.ICommandPalette],
    activate: (app, launcher, palette) => {
      add(lab, app, launcher, palette); // not waited for: JupyterLab would
    },
  };
}

async function add(lab, app, launcher, palette) {
  const { told } = await ask(lab, "visa/applications");
  const applications = new Map((told?.applications ?? []).map((one) => [one.name, one]));
  if (applications.size === 0) return;
  const of = (args) => applications.get(args.name);
  for (const one of applications.values()) {
    one.picture = new lab.ui.LabIcon({ name: `visa-session:application:${one.name}`, svgstr: picture(one.icon) });
  }
  app.commands.addCommand(COMMAND, {
    label: (args) => (args.isPalette ? `Start ${of(args)?.title}` : (of(args)?.title ?? "Start an application")),
    caption: (args) => of(args)?.comment || of(args)?.title || "",
    icon: (args) => of(args)?.picture,
    isEnabled: (args) => args.name === undefined || applications.has(args.name),
    execute: (args) => start(lab, app, of(args)),
  });
  let rank = 0;
  for (const { name } of applications.values()) {
    rank += 1;
    launcher?.add({ command: COMMAND, args: { name }, category: "Applications", categoryRank: RANK, rank });
    palette?.addItem({ command: COMMAND, args: { name, isPalette: true }, category: "Session" });
  }
}

/** Open the desktop and start the application on it; what goes wrong is said when it is known. */
function start(lab, app, application) {
  if (!application) return;
  // Not waited for: the desktop comes up before the person's eyes, and the application on it.
  ask(lab, `visa/applications/${encodeURIComponent(application.name)}`, { method: "POST" }).then(({ ok, told, words }) => {
    if (!ok) say(lab, application, words, told?.lines ?? []);
  });
  const url = `${lab.coreutils.PageConfig.getBaseUrl()}desktop/`;
  return app.commands.execute("server-proxy:open", { id: "server-proxy:visa-desktop", title: "Desktop", url, newBrowserTab: false });
}

function say(lab, { title }, words, lines) {
  const body = new lab.widgets.Widget();
  body.node.append(Object.assign(document.createElement("p"), { textContent: words }));
  if (lines.length) body.node.append(Object.assign(document.createElement("pre"), { textContent: lines.join("\n") }));
  body.addClass("visa-said");
  const { Dialog, showDialog } = lab.apputils;
  return showDialog({ title: `${title} did not start`, body, buttons: [Dialog.okButton({ label: "Close" })] });
}
