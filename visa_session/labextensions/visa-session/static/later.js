// Extensions that the launcher does not need, loaded once it is drawn; visa_session/later.py says which, and when.

/** The plugin, made with the packages that JupyterLab shares; `shared` is how an extension of its kind gets them. */
export function plugin(lab, shared) {
  return {
    id: "visa-session:later",
    description: "Extensions that are loaded after the launcher.",
    autoStart: true,
    optional: [lab.application.ILayoutRestorer, lab.statedb.IStateDB, lab.docmanager.IDocumentManager],
    activate: (app, restorer, state, documents) => {
      const { PageConfig } = lab.coreutils;
      const prepare = (late) => belated(late, restorer, state);
      const extensions = JSON.parse(PageConfig.getOption("visaLater") || "[]");
      // A window that nobody sees draws no frames, and nobody waits for its launcher.
      const unseen = () => new Promise((done) => setTimeout(done, 5000));
      let asked;
      const wanted = new Promise((done) => (asked = done));
      const all = app.restored.then(() => Promise.race([drawn(), unseen(), wanted])).then(() =>
        Promise.all(
          extensions.map((extension) =>
            load(app, PageConfig, shared, extension, prepare).catch((error) => console.error(`${extension.name}: ${error}`)),
          ),
        ),
      );
      if (documents) putOff(documents, all, asked);
    },
  };
}

/**
 * Open files whose kind nobody knows yet once all extensions are there, which may know it; `asked` has the late ones come
 * now. Also where none is late: the file browser may be there before what opens its files.
 */
function putOff(documents, all, asked) {
  const open = documents.open;
  const opening = new Set(); // a click more while one waits is the same wish
  let over = false;
  all.then(() => (over = true));
  documents.open = function (path, factory = "default", ...others) {
    const now = () => open.call(this, path, factory, ...others);
    if (over || factory !== "default" || this.registry.getFileTypesForPath(path).length > 0) return now();
    if (opening.has(path)) return;
    opening.add(path);
    asked();
    // What never comes, and no word of that either, keeps nobody from the file.
    Promise.race([all, new Promise((done) => setTimeout(done, 15000))]).then(() => {
      over = true;
      this.openOrReveal(path, factory, ...others);
    });
  };
}

const frame = () => new Promise(requestAnimationFrame);

/** Until the launcher's tiles are there, and two frames more: by then a picture with them was shown. */
async function drawn() {
  while (!document.querySelector(".jp-LauncherCard")) await frame();
  await frame();
  await frame();
}

/** What JupyterLab does with an extension of the page's configuration before it begins. */
async function load(app, config, shared, { name, load: first, extension, style }, prepare) {
  await script(`${config.getOption("fullLabextensionsUrl")}/${name}/${first}`);
  const container = window._JUPYTERLAB[name];
  await container.init(shared);
  if (style) (await container.get(style))();
  const { default: found } = (await container.get(extension))();
  for (const plugin of Array.isArray(found) ? found : [found]) {
    if (config.Extension.isDisabled(plugin.id)) continue;
    app.registerPlugin(prepare(plugin));
    if (plugin.autoStart) await app.activatePlugin(plugin.id);
  }
}

/** A plugin that is given a restorer of layouts which takes its trackers still. */
function belated(plugin, restorer, state) {
  if (!restorer || !state) return plugin;
  const activate = (app, ...services) => {
    let begun;
    const ready = new Promise((done) => (begun = done));
    const late = Object.create(restorer, { restore: { value: (...asked) => restore(app, restorer, state, ready, ...asked) } });
    const done = plugin.activate(app, ...services.map((one) => (one === restorer ? late : one)));
    begun(done);
    return done;
  };
  return { ...plugin, activate };
}

/**
 * Keep what is opened of a tracker in the layout from now on, as JupyterLab does.
 *
 * Its own restorer takes no tracker once the layout is there: it would have to wait for it. Nothing waits here. Such a
 * page began with nothing open, and the next one with something of this tracker in its layout loads all at once.
 */
async function restore(app, restorer, state, ready, tracker, { args = () => ({}), command, name, when = [] }) {
  const keep = (_, widget) => {
    const called = name(widget);
    if (called) restorer.add(widget, `${tracker.namespace}:${called}`);
  };
  tracker.widgetAdded.connect(keep);
  tracker.widgetUpdated.connect(keep);
  const all = [ready].concat(when);
  return tracker.restore({ args, command, connector: state, name, registry: app.commands, when: all }).catch(console.error);
}

const script = (src) =>
  new Promise((done, failed) => {
    const element = Object.assign(document.createElement("script"), { src, async: true, onload: done });
    element.onerror = () => failed(new Error(`${src} could not be loaded`));
    document.head.append(element);
  });
