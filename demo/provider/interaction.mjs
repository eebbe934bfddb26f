// The login form: shown by GET, answered by POST, below /login/.
import { loginPage, sentencePage } from './pages.mjs';

const LONGEST_BODY = 4096;

async function formOf(request) {
  const parts = [];
  let length = 0;
  for await (const part of request) {
    length += part.length;
    if (length > LONGEST_BODY) throw new RangeError('the form is too long');
    parts.push(part);
  }
  return new URLSearchParams(Buffer.concat(parts).toString('utf8'));
}

/** A handler of GET and POST /login/UID, over oidc-provider and the accounts. */
export function loginHandler({ provider, accounts, blocked, throttle, settings, log }) {
  const { facility, issuer } = settings;
  const { origin } = new URL(issuer);

  function send(response, status, html) {
    response.writeHead(status, { 'Content-Type': 'text/html; charset=utf-8' }).end(html);
  }

  async function answer(request, response, interaction) {
    const form = await formOf(request);
    const account = form.get('account') ?? '';
    const again = (status, error) => send(response, status, loginPage({
      facility, action: `/login/${interaction.uid}`, client: 'VISA', account: account.slice(0, 64), error,
    }));
    const wait = throttle.wait(account);
    if (wait) {
      log('login refused: too many wrong tries', { account });
      return again(429, `Too many wrong tries. Wait ${wait} seconds, then try again.`);
    }
    const sub = accounts.check(account, form.get('password') ?? '');
    if (!sub) {
      throttle.failed(account);
      log('login refused: unknown account or wrong password', { account });
      return again(401, 'This account and password do not belong together. Try again.');
    }
    throttle.succeeded(account);
    if (blocked.has(sub)) {
      log('login refused: blocked', { account });
      return again(403, 'This account is blocked. Ask the user office.');
    }
    return provider.interactionFinished(request, response, { login: { accountId: sub } });
  }

  return async function handle(request, response) {
    try {
      if (!['GET', 'POST'].includes(request.method)) return send(response, 405, '');
      const from = request.headers.origin;
      if (request.method === 'POST' && from && from !== origin) {
        log('login refused: the form came from elsewhere', { from });
        return send(response, 403, sentencePage({
          facility, title: 'Not accepted', sentence: 'This form came from another site. Go back to VISA.',
        }));
      }
      const interaction = await provider.interactionDetails(request, response);
      if (request.method === 'POST') return await answer(request, response, interaction);
      return send(response, 200, loginPage({ facility, action: `/login/${interaction.uid}`, client: 'VISA' }));
    } catch (error) {
      log('login failed', { error: error.message });
      const expired = error.name === 'SessionNotFound';
      return send(response, expired ? 400 : 500, sentencePage({
        facility,
        title: expired ? 'This login has expired' : 'Something went wrong',
        sentence: 'Go back to VISA and log in again.',
      }));
    }
  };
}
