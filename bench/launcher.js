// Runs in every page before its own scripts: when was a start asked for, and when did JupyterLab's launcher come to
// be seen: a tile of it drawn, with nothing over it. Times are milliseconds since 1970.
(() => {
  if (window.top !== window) return;
  const mark = (name) => window.benchMark?.(name, performance.timeOrigin + performance.now());
  window.addEventListener("click", (event) => event.target.closest?.("#start") && mark("click"), true);
  const look = () => {
    const tile = document.querySelector(".jp-LauncherCard");
    const place = tile?.getBoundingClientRect();
    const over = place?.width && document.elementFromPoint(place.x + place.width / 2, place.y + place.height / 2);
    if (!over || !tile.contains(over)) return requestAnimationFrame(look);
    // The next frame: by then this one is on the screen.
    requestAnimationFrame(() => mark("drawn"));
  };
  window.addEventListener("DOMContentLoaded", () => requestAnimationFrame(look));
})();
