// A call of the session's own server, with words for the person where it did not work.

/** `{ ok, told, words }`: what was answered, as far as it could be read, and why it was a refusal. */
export async function ask(lab, path, options = {}) {
  const { ServerConnection } = lab.services;
  const settings = ServerConnection.makeSettings();
  let told = null;
  try {
    const answer = await ServerConnection.makeRequest(settings.baseUrl + path, options, settings);
    if (answer.status !== 204) told = await answer.json();
    if (answer.ok) return { ok: true, told, words: "" };
  } catch {
    // Said below.
  }
  return { ok: false, told, words: told?.message || "The session does not answer. Try again in a few seconds." };
}
