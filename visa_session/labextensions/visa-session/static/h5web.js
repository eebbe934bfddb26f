// What is open in H5Web, back when the page is loaded again. H5Web itself leaves its files out of the layout.

const OPEN = "h5web-open"; // of H5Web: opens what is selected in the file browser
const AGAIN = "visa-session:h5web";

/** The plugin, made with the packages that JupyterLab shares. */
export function plugin(lab) {
  return {
    id: "visa-session:h5web",
    description: "Files that are open in H5Web, kept in the layout.",
    autoStart: true,
    requires: [lab.application.ILayoutRestorer, lab.filebrowser.IDefaultFileBrowser],
    activate: (app, restorer, browser) => {
      const tracker = new lab.apputils.WidgetTracker({ namespace: "visa-h5web" });
      const keys = new WeakMap(); // one file may be open twice
      app.commands.addCommand(AGAIN, {
        label: "Open in H5Web again",
        execute: async ({ path, key }) => tracker.add(await open(app, browser, path, (widget) => keys.set(widget, key))),
      });
      restorer.restore(tracker, {
        command: AGAIN,
        args: (widget) => ({ path: widget.content.filePath, key: keys.get(widget) }),
        name: (widget) => keys.get(widget),
      });
      app.commands.commandExecuted.connect((_, { id }) => {
        if (id !== OPEN) return;
        for (const widget of app.shell.widgets("main")) {
          if (typeof widget.content?.filePath !== "string" || keys.has(widget)) continue;
          keys.set(widget, widget.id);
          tracker.add(widget);
        }
      });
    },
  };
}

/** H5Web's widget for a file, put into the page by H5Web. Its command takes no path, so it is told of a selection. */
async function open(app, browser, path, made) {
  const { shell, commands } = app;
  const add = shell.add;
  let widget;
  browser.selectedItems = () => [{ path, name: path.split("/").pop() }].values();
  shell.add = (one, ...where) => {
    made((widget = one));
    add.call(shell, one, ...where);
  };
  let done;
  try {
    done = commands.execute(OPEN); // all of it at once, before anything else can ask for the selection
  } finally {
    delete browser.selectedItems;
    delete shell.add;
  }
  await done;
  return widget;
}
