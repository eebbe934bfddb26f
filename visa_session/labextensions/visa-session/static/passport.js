// "This session": a page with what it was started with, in the launcher and the Help menu.

const COMMAND = "visa-session:passport";

const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><g class="jp-icon3" fill="#616161">
<path fill-rule="evenodd" d="M6 2h12a2 2 0 0 1 2 2v16a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2V4a2 2 0 0 1 2-2zm1 3v14h10V5z"/>
<path d="M9 8h6v1.500H9zM9 11.500h6V13H9zM9 15h4v1.500H9z"/></g></svg>`;

/** The plugin, made with the packages that JupyterLab shares. */
export function plugin(lab) {
  return {
    id: "visa-session:passport",
    description: "What this session was started with.",
    autoStart: true,
    optional: [lab.launcher.ILauncher, lab.mainmenu.IMainMenu, lab.apputils.ICommandPalette],
    activate: (app, launcher, menu, palette) => {
      if (lab.coreutils.PageConfig.getOption("visaPassport") !== "true") return;
      const url = `${lab.coreutils.PageConfig.getBaseUrl()}visa/passport`;
      app.commands.addCommand(COMMAND, {
        label: "This session",
        caption: "What this session was started with: profile, image, packages, experiments",
        icon: new lab.ui.LabIcon({ name: "visa-session:passport", svgstr: ICON }),
        execute: () =>
          app.commands.execute("server-proxy:open", { id: "server-proxy:visa-passport", title: "This session", url, newBrowserTab: false }),
      });
      launcher?.add({ command: COMMAND, category: "Other", rank: 100 });
      menu?.helpMenu.addGroup([{ command: COMMAND }], 0);
      palette?.addItem({ command: COMMAND, category: "Session" });
    },
  };
}
