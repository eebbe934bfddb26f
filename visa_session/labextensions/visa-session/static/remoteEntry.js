// What JupyterLab loads of this extension: a "remote container" of module federation, written by hand.
//
// JupyterLab calls `init` with the packages it shares, then `get("./extension")`. The rest are plain modules
// of the browser's own, beside this file.
(() => {
  const here = document.currentScript.src;
  let shared = null;

  /** A package that JupyterLab shares: it has exactly one version of each of those used here. */
  const take = async (name) => {
    const versions = Object.values(shared[name] ?? {});
    if (versions.length === 0) throw new Error(`JupyterLab does not share ${name}`);
    return (await versions[0].get())();
  };

  const container = {
    init(scope) {
      shared = scope;
    },
    async get(module) {
      if (module !== "./extension") throw new Error(`there is no module ${module}`);
      const parts = await Promise.all(["lab.js", "applications.js", "copies.js", "h5web.js", "launcher.js", "later.js", "passport.js"].map((name) => import(new URL(name, here))));
      const [application, apputils, coreutils, docmanager, filebrowser, launcher, mainmenu, services, statedb, statusbar, ui, widgets] = await Promise.all(
        [
          "@jupyterlab/application",
          "@jupyterlab/apputils",
          "@jupyterlab/coreutils",
          "@jupyterlab/docmanager",
          "@jupyterlab/filebrowser",
          "@jupyterlab/launcher",
          "@jupyterlab/mainmenu",
          "@jupyterlab/services",
          "@jupyterlab/statedb",
          "@jupyterlab/statusbar",
          "@jupyterlab/ui-components",
          "@lumino/widgets",
        ].map(take),
      );
      const lab = { application, apputils, coreutils, docmanager, filebrowser, launcher, mainmenu, services, statedb, statusbar, ui, widgets };
      return () => ({ __esModule: true, default: parts.map((part) => part.plugin(lab, shared)) });
    },
  };
  window._JUPYTERLAB = window._JUPYTERLAB ?? {};
  window._JUPYTERLAB["visa-session"] = container;
})();
