// What is said about the people in a session, the same in the desktop's page and in JupyterLab.

/** A time of today as the reader writes it; with the day when it is another. */
export function clock(iso) {
  const at = new Date(iso);
  const hours = at.toLocaleTimeString([], { timeStyle: "short" });
  if (at.toDateString() === new Date().toDateString()) return hours;
  return `${at.toLocaleDateString([], { day: "numeric", month: "short" })}, ${hours}`;
}

/** "4 min 10 s" until a time; empty once it has passed. */
export function untilThen(iso) {
  const seconds = Math.ceil((new Date(iso) - Date.now()) / 1000);
  if (!(seconds > 0)) return "";
  const minutes = Math.floor(seconds / 60);
  if (minutes >= 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return minutes ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

/** Somebody by name, staff as staff. */
export const called = (person) => (person.support ? `${person.full_name} from support` : person.full_name);

/** What somebody is, beside their name. */
export function roleOf(person) {
  return person.role === "viewer" ? "watches" : "works with you";
}

/** Whether somebody has it open now: members are told of those only, the owner of everybody. */
export const isHere = (person) => person.present === undefined || person.present !== null;

export const SIGN = { viewer: "is watching", collaborator: "is controlling" };

/** What the banner says while support is let in: one sentence each. */
export function bannerOf(news) {
  return news.members
    .filter((person) => person.support)
    .map((person) => {
      const until = person.until ? `, until ${clock(person.until)} at the latest` : "";
      if (isHere(person)) return `${called(person)} ${SIGN[person.role] ?? SIGN.viewer}${until}`;
      const may = person.role === "viewer" ? "may come in and watch" : "may come in and work with you";
      return `${called(person)} ${may}${until}`;
    });
}

/** What a request of support's asks for. */
export const asked = (request) =>
  `${request.full_name} from support asks to ${request.role === "viewer" ? "watch" : "work with you"}`;

/** A change of one's own role between two news, in words; empty where there is none. */
export function changeOf(before, now) {
  if (before === null || before.role === now.role || before.role === "owner") return "";
  if (now.role === "collaborator") return "You can now work here: mouse and keyboard are yours too.";
  return awayOf(now) || "You can now only watch.";
}

/** Why somebody may do less than they were let in for; empty where they may do all of it. */
export function awayOf(news) {
  if (!news.granted || news.granted === news.role) return "";
  return `${news.owner.full_name} is away: you can only watch until they are back.`;
}

/** A warning before the end. The time stays right however long the words are there. */
export function endsSoon(ends, minutes) {
  const left = minutes < 1.5 ? "a minute" : `${Math.round(minutes)} minutes`;
  return `This session ends at ${clock(ends)}, in ${left}.`;
}

/** What to do about it. */
export const SAVE = "Programs in it end then. Save your work; files stay.";

export const ENDED = "You are not in this session any more.";

/** Why, as far as one can know; `out`: by the hub's own word, after which the page asks no more. */
export function endedOf(last, why, out) {
  const asks = out ? " This page has stopped asking: when you are let in again, press Try now." : "";
  return `${reasonOf(last, why, out)}${asks}`;
}

function reasonOf(last, why, out) {
  const owner = last?.owner.full_name ?? "Its owner";
  if (why === "data") return `${owner} added data to it that you may not see. Files you saved are kept.`;
  if (last?.until && new Date(last.until) <= new Date()) return "The time you were let in for is over.";
  if (out) return `${owner} took you out, or the facility does not let you in any more. Files you saved are kept.`;
  return `${owner} took you out, or is away and lets nobody in meanwhile. Files you saved are kept.`;
}

/** Told to the owner of whom the data that they added have put out. */
export const putOut = (names) =>
  `${names.join(", ")} may not see the data that you added, and ${names.length === 1 ? "is" : "are"} not in this session any more.`;

/** Those whom the news name as put out and the news before did not. */
export const newlyOut = (last, news) => (last?.put_out ? (news.put_out ?? []).filter((name) => !last.put_out.includes(name)) : []);

/** Told once to somebody who tries to work where they watch. */
export const onlyWatching = (news) =>
  `You are watching. Mouse and keyboard belong to ${news?.owner.full_name ?? "the owner"}, who can let you work here too.`;

/** What a collaborator is told of where they are. */
export const guestOf = (news) => `${news.owner.full_name}'s session`;
