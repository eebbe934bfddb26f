// The launcher as soon as JupyterLab knows that nothing else is open.
//
// JupyterLab itself draws it when its address has been routed, and that waits until the layout has been saved: half a
// second at least, a second mostly, in which nothing happens.

/** The plugin, made with the packages that JupyterLab shares. */
export function plugin(lab) {
  return {
    id: "visa-session:launcher",
    description: "The launcher, without waiting until the layout has been saved.",
    autoStart: true,
    optional: [lab.launcher.ILauncher],
    activate: (app, launcher) => {
      if (!launcher || asksForMore(lab.coreutils.PageConfig)) return;
      app.restored.then(() => {
        if (!app.shell.isEmpty?.("main")) return;
        // Where the file browser is about to be; the launcher follows it from there.
        const cwd = lab.coreutils.PageConfig.getOption("preferredPath").replace(/^\/+/, "");
        app.commands.execute("launcher:create", { cwd });
      });
    },
  };
}

/** Whether the address names something to open, which is not there yet when the layout is. */
function asksForMore(config) {
  const others = [...new URLSearchParams(location.search).keys()].filter((name) => name !== "reset");
  return config.getOption("treePath") !== "" || config.getOption("mode") === "single-document" || others.length > 0;
}
