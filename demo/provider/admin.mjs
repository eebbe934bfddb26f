// What an administrator does at the provider: block an account and let it in again. On a unix socket that
// only the account which runs the provider may open, so no page and no other account reaches it.
import { rmSync } from 'node:fs';
import { createServer } from 'node:http';

/** Who is blocked, kept in the store; `end` removes all that is logged in as one subject. */
export class Blocked {
  #sql;

  constructor(database) {
    database.exec('CREATE TABLE IF NOT EXISTS blocked (sub TEXT PRIMARY KEY)');
    this.#sql = {
      has: database.prepare('SELECT 1 FROM blocked WHERE sub = ?'),
      add: database.prepare('INSERT OR IGNORE INTO blocked VALUES (?)'),
      remove: database.prepare('DELETE FROM blocked WHERE sub = ?'),
      end: database.prepare(`DELETE FROM records WHERE json_extract(payload, '$.accountId') = ?`),
    };
  }

  has(sub) {
    return this.#sql.has.get(sub) !== undefined;
  }

  /** Blocked from here on, and logged out everywhere at this provider: sessions, grants, codes, tokens. */
  add(sub) {
    this.#sql.add.run(sub);
    this.#sql.end.run(sub);
  }

  remove(sub) {
    this.#sql.remove.run(sub);
  }
}

/** Listen for GET /accounts and POST /accounts/NAME/block or /unblock; does nothing without a path. */
export function administer({ path, provider, accounts, blocked, clientId, log }) {
  if (!path) return undefined;

  async function tellHub(sub) {
    try {
      const client = await provider.Client.find(clientId);
      if (!client.backchannelLogoutUri) return false;
      await client.backchannelLogout(sub, undefined); // without sid: the whole account
      return true;
    } catch (error) {
      log('the hub was not told of a logout', { sub, error: error.message });
      return false;
    }
  }

  async function answer(request) {
    if (request.method === 'GET' && request.url === '/accounts') {
      return [200, accounts.names().map(({ name, sub }) => ({ name, blocked: blocked.has(sub) }))];
    }
    const asked = /^\/accounts\/([^/]+)\/(block|unblock)$/.exec(request.url);
    if (!asked || request.method !== 'POST') return [404, { error: 'not found' }];
    const [, name, what] = asked;
    const account = accounts.names().find((one) => one.name === decodeURIComponent(name));
    if (!account) return [404, { error: 'no such account' }];
    if (what === 'unblock') {
      blocked.remove(account.sub);
      return [200, { blocked: false }];
    }
    blocked.add(account.sub);
    log('account blocked', { account: account.name });
    return [200, { blocked: true, told: await tellHub(account.sub) }];
  }

  rmSync(path, { force: true });
  const server = createServer(async (request, response) => {
    let [status, body] = [500, { error: 'failed' }];
    try {
      [status, body] = await answer(request);
    } catch (error) {
      log('administration failed', { error: error.message });
    }
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  });
  const mask = process.umask(0o177); // the socket is nobody else's from its first moment
  server.listen(path);
  process.umask(mask);
  return server;
}
