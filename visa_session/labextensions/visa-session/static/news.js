// `GET visa/news`: the whole truth about who is in, an object a line, as it changes.

const FIRST_WAIT = 300;
const LONGEST_WAIT = 10000;
/** The server says every 20 s that it is alive. */
const SILENCE = 50000;

/** Read one stream to its end, which may say why it ends; the status with which it was answered. */
async function read(open, onNews, onEnded, stopped) {
  const give = new AbortController();
  const stop = () => give.abort();
  stopped.addEventListener("abort", stop);
  let silence = setTimeout(stop, SILENCE);
  try {
    const answer = await open({ redirect: "manual", cache: "no-store", signal: give.signal });
    if (answer.status !== 200) return answer.type === "opaqueredirect" ? 302 : answer.status;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let waiting = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return 200;
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
    return 0;
  } finally {
    clearTimeout(silence);
    stopped.removeEventListener("abort", stop);
  }
}

/**
 * Follow the news until the returned function is called; `open(options)` makes the request. `onRefused` is told
 * when the server says that this person is not in (any more), and why ("data"), where it says so; it is asked again in
 * a while, since people are let in again.
 */
export function follow(open, onNews, onRefused) {
  const stopped = new AbortController();
  (async () => {
    let why;
    let wait = FIRST_WAIT;
    while (!stopped.signal.aborted) {
      const status = await read(
        open,
        (news) => {
          wait = FIRST_WAIT;
          why = undefined;
          if (!stopped.signal.aborted) onNews(news);
        },
        (ended) => {
          why = ended;
          onRefused(why);
        },
        stopped.signal,
      );
      if (stopped.signal.aborted) return;
      if (status === 401 || status === 403) {
        wait = LONGEST_WAIT;
        onRefused(why);
      }
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, wait * (0.8 + 0.4 * Math.random()));
        stopped.signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
      });
      wait = Math.min(LONGEST_WAIT, wait * 2);
    }
  })();
  return () => stopped.abort();
}
