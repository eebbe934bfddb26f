// Extensions that the launcher does not need, loaded once it is drawn; visa_session/later.py says which, and when.

/** The plugin, made with the packages that JupyterLab shares; `shared` is how an extension of its kind gets them. */
export function plugin(lab, shared) {
  return {
    id: "visa-session:later",
    description: "Extensions that are loaded after the launcher.",
    autoStart: true,
    activate: (app) => {
      const { PageConfig } = lab.coreutils;
      const extensions = JSON.parse(PageConfig.getOption("visaLater") || "[]");
      // A window that nobody sees draws no frames, and nobody waits for its launcher.
      const unseen = () => new Promise((done) => setTimeout(done, 5000));
      app.restored.then(() => Promise.race([drawn(), unseen()])).then(() => {
        for (const extension of extensions) {
          load(app, PageConfig, shared, extension).catch((error) => console.error(`${extension.name}: ${error}`));
        }
      });
    },
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
async function load(app, config, shared, { name, load: first, extension, style }) {
  await script(`${config.getOption("fullLabextensionsUrl")}/${name}/${first}`);
  const container = window._JUPYTERLAB[name];
  await container.init(shared);
  if (style) (await container.get(style))();
  const { default: found } = (await container.get(extension))();
  for (const plugin of Array.isArray(found) ? found : [found]) {
    if (config.Extension.isDisabled(plugin.id)) continue;
    app.registerPlugin(plugin);
    if (plugin.autoStart) await app.activatePlugin(plugin.id);
  }
}

const script = (src) =>
  new Promise((done, failed) => {
    const element = Object.assign(document.createElement("script"), { src, async: true, onload: done });
    element.onerror = () => failed(new Error(`${src} could not be loaded`));
    document.head.append(element);
  });
