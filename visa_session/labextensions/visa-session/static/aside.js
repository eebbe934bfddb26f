// Announcements that somebody has put aside in this browser: each holds on, and stays on the portal's pages.

const KEPT = "visa-announcements-aside";
const MOST = 50;

function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? [];
  } catch {
    return []; // a browser that keeps nothing, or what is no list of ours
  }
}

export const isAside = (notice) => notice.kind !== "message" && kept().includes(notice.id);

export function putAside(notice) {
  try {
    localStorage.setItem(KEPT, JSON.stringify([...kept(), notice.id].slice(-MOST)));
  } catch {
    // it is back when the page is loaded anew
  }
}
