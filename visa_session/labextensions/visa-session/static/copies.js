// A tile in the launcher, where the session reaches a cluster: a copy of the examples, opened as a notebook.

const COMMAND = "visa-session:cluster-examples";

const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><g class="jp-icon3" fill="#616161">
<path d="M4 3h16v5H4zm2 2v1h2V5zM4 10h16v5H4zm2 2v1h2v-1zM4 17h16v5H4zm2 2v1h2v-1z" fill-rule="evenodd"/></g></svg>`;

/** The plugin, made with the packages that JupyterLab shares. */
export function plugin(lab) {
  return {
    id: "visa-session:cluster",
    description: "Examples of working on the cluster.",
    autoStart: true,
    optional: [lab.launcher.ILauncher, lab.apputils.ICommandPalette],
    activate: (app, launcher, palette) => {
      if (lab.coreutils.PageConfig.getOption("visaCluster") !== "true") return;
      app.commands.addCommand(COMMAND, {
        label: "Cluster examples",
        caption: "A notebook that sends jobs to the cluster, on this session's own data",
        icon: new lab.ui.LabIcon({ name: "visa-session:cluster", svgstr: ICON }),
        execute: () => open(lab, app),
      });
      launcher?.add({ command: COMMAND, category: "Notebook", rank: 100 });
      palette?.addItem({ command: COMMAND, category: "Session" });
    },
  };
}

async function open(lab, app) {
  const { ServerConnection } = lab.services;
  const settings = ServerConnection.makeSettings();
  let words = "The session does not answer. Try again in a few seconds.";
  try {
    const answer = await ServerConnection.makeRequest(`${settings.baseUrl}visa/cluster/examples`, { method: "POST" }, settings);
    const told = await answer.json();
    if (answer.ok) return app.commands.execute("docmanager:open", { path: told.path.replace(/^\//, "") });
    words = told.message || words;
  } catch {
    // Said below.
  }
  lab.apputils.Notification.error(words);
}
