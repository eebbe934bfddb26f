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
      const { plugin } = await import(new URL("lab.js", here));
      const [apputils, coreutils, services, statusbar, widgets] = await Promise.all(
        ["@jupyterlab/apputils", "@jupyterlab/coreutils", "@jupyterlab/services", "@jupyterlab/statusbar", "@lumino/widgets"].map(take),
      );
      return () => ({ __esModule: true, default: plugin({ apputils, coreutils, services, statusbar, widgets }) });
    },
  };
  window._JUPYTERLAB = window._JUPYTERLAB ?? {};
  window._JUPYTERLAB["visa-session"] = container;
})();
