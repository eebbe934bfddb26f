// Runs in every page and frame before its own scripts: when was the tile clicked, when did a desktop's
// canvas first show something, and when did it stop changing. Times are milliseconds since 1970.
(() => {
  performance.setResourceTimingBufferSize(10000);
  const now = () => performance.timeOrigin + performance.now();
  const seen = (window.__bench = { clicked: 0, painted: 0, changed: 0 });
  window.addEventListener("click", () => { seen.clicked = now(); }, true);
  const small = document.createElement("canvas");
  small.width = small.height = 64;
  const pen = small.getContext("2d", { willReadFrequently: true });
  pen.imageSmoothingEnabled = false;
  let before = "";
  const look = () => {
    for (const canvas of document.querySelectorAll("canvas")) {
      if (canvas.width < 600 || canvas.height < 400) continue;
      pen.drawImage(canvas, 0, 0, 64, 64);
      const pixels = new Uint32Array(pen.getImageData(0, 0, 64, 64).data.buffer);
      const colours = new Set(pixels);
      if (colours.size > 1 && !seen.painted) seen.painted = now();
      const picture = pixels.join();
      if (picture !== before) { before = picture; seen.changed = now(); }
    }
    requestAnimationFrame(look);
  };
  // Not before: a window that was just opened loses what is asked of its first, empty document.
  window.addEventListener("DOMContentLoaded", () => requestAnimationFrame(look));
})();
