// `GET visa/news`: the whole truth about who is in, an object a line, as it changes.

const FIRST_WAIT = 300;
const LONGEST_WAIT = 10000;
/** The same after refusals that are not the hub's last word: the owner is away, or the hub is silent. */
const LONGEST_REFUSED = 60000;
/** The server says every 20 s that it is alive. */
const SILENCE = 50000;

/** Read one stream to its end, which may say why it ends; the status with which it was answered, and whether for good. */
async function read(open, onNews, onEnded, stopped) {
  const give = new AbortController();
  const stop = () => give.abort();
  stopped.addEventListener("abort", stop);
  let silence = setTimeout(stop, SILENCE);
  try {
    const answer = await open({ redirect: "manual", cache: "no-store", signal: give.signal });
    if (answer.status !== 200) {
      return { status: answer.type === "opaqueredirect" ? 302 : answer.status, out: answer.headers.has("X-Visa-Out") };
    }
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let waiting = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return { status: 200 };
      clearTimeout(silence);
      silence = setTimeout(stop, SILENCE);
      const lines = (waiting + value).split("\n");
      waiting = lines.pop();
      for (const line of lines) {
        if (!line.trim()) continue;
        const news = JSON.parse(line);
        news.ended ? onEnded(news.ended) : onNews(news);
      }
    }
  } catch {
    return { status: 0 };
  } finally {
    clearTimeout(silence);
    stopped.removeEventListener("abort", stop);
  }
}

const pause = (wait, signal) =>
  new Promise((done) => {
    const timer = setTimeout(done, wait * (0.8 + 0.4 * Math.random()));
    signal.addEventListener("abort", () => (clearTimeout(timer), done()), { once: true });
  });

/** Until somebody comes back to the page. */
const lookedAt = (signal) =>
  new Promise((done) => {
    signal.addEventListener("abort", done, { once: true });
    document.addEventListener("visibilitychange", () => document.hidden || done(), { signal });
  });

/**
 * Follow the news until the returned function is called; `open(options)` makes the request.
 *
 * `onRefused({ why, out, again })` is told when the server says that this person is not in (any more), and why ("data"),
 * where it says so. It is asked again in a while; where they are `out`, by the hub's own word, only when somebody comes
 * back to the page or calls `again`: people are let in again, and asking does not bring that about.
 */
export function follow(open, onNews, onRefused) {
  const stopped = new AbortController();
  (async () => {
    let why;
    let wait = FIRST_WAIT;
    while (!stopped.signal.aborted) {
      let again;
      const asked = new Promise((done) => (again = done));
      const { status, out = false } = await read(
        open,
        (news) => {
          wait = FIRST_WAIT;
          why = undefined;
          if (!stopped.signal.aborted) onNews(news);
        },
        (ended) => {
          why = ended;
          onRefused({ why, out: false, again });
        },
        stopped.signal,
      );
      if (stopped.signal.aborted) return;
      const refused = status === 401 || status === 403;
      if (refused) {
        wait = Math.max(wait, LONGEST_WAIT);
        onRefused({ why, out, again });
      }
      await Promise.race([asked, out ? lookedAt(stopped.signal) : pause(wait, stopped.signal)]);
      wait = Math.min(refused ? LONGEST_REFUSED : LONGEST_WAIT, wait * 2);
    }
  })();
  return () => stopped.abort();
}
