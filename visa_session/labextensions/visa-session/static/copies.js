// Tiles in the launcher for what the image brings: a copy beside the session's data, opened as a notebook.

import { ask } from "./ask.js";

const icon = (name, path) => ({
  name,
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><g class="jp-icon3" fill="#616161">${path}</g></svg>`,
});

const COPIES = [
  {
    option: "visaWelcome",
    command: "visa-session:welcome",
    call: "visa/welcome",
    label: "Welcome",
    caption: "A notebook that shows what this session has, and a first plot of its data",
    icon: icon(
      "visa-session:welcome",
      `<path fill-rule="evenodd" d="M5 3h14a2 2 0 0 1 2 2v14a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2zm1 3v12h12V6z"/>
<path d="M7.500 16.500v-2.500l3-4 2.500 3 3.500-5v8.500z"/>`,
    ),
    rank: 50,
  },
  {
    option: "visaCluster",
    command: "visa-session:cluster-examples",
    call: "visa/cluster/examples",
    label: "Cluster examples",
    caption: "A notebook that sends jobs to the cluster, on this session's own data",
    icon: icon(
      "visa-session:cluster",
      `<path d="M4 3h16v5H4zm2 2v1h2V5zM4 10h16v5H4zm2 2v1h2v-1zM4 17h16v5H4zm2 2v1h2v-1z" fill-rule="evenodd"/>`,
    ),
    rank: 100,
  },
];

/** The plugin, made with the packages that JupyterLab shares. */
export function plugin(lab) {
  return {
    id: "visa-session:copies",
    description: "A welcome to the session, and examples of working on the cluster.",
    autoStart: true,
    optional: [lab.launcher.ILauncher, lab.apputils.ICommandPalette],
    activate: (app, launcher, palette) => {
      for (const { option, command, call, label, caption, icon, rank } of COPIES) {
        if (lab.coreutils.PageConfig.getOption(option) !== "true") continue;
        app.commands.addCommand(command, { label, caption, icon: new lab.ui.LabIcon(icon), execute: () => open(lab, app, call) });
        // The launcher shows no other icon than a kernel's in this section.
        const kernelIconUrl = `data:image/svg+xml,${encodeURIComponent(icon.svgstr)}`;
        launcher?.add({ command, category: "Notebook", rank, kernelIconUrl });
        palette?.addItem({ command, category: "Session" });
      }
    },
  };
}

async function open(lab, app, call) {
  const { ok, told, words } = await ask(lab, call, { method: "POST" });
  if (ok) return app.commands.execute("docmanager:open", { path: told.path.replace(/^\//, "") });
  lab.apputils.Notification.error(words);
}
