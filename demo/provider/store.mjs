// Where oidc-provider keeps logins, grants and tokens, and where its keys live: one SQLite file, so that
// a restart of the demo logs nobody out.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { chmodSync, closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS records (
    model TEXT, id TEXT, payload TEXT NOT NULL, grant_id TEXT, uid TEXT, expires INTEGER,
    PRIMARY KEY (model, id)
  );
  CREATE INDEX IF NOT EXISTS by_grant ON records (grant_id);
  CREATE INDEX IF NOT EXISTS by_uid ON records (model, uid);
  CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value TEXT NOT NULL);
`;
const seconds = () => Math.floor(Date.now() / 1000);

/** Open the store; an empty path keeps everything in memory. */
export function openStore(path) {
  if (path) {
    closeSync(openSync(path, 'a', 0o600));
    chmodSync(path, 0o600);
  }
  const database = new DatabaseSync(path || ':memory:');
  database.exec(SCHEMA);
  database.prepare('DELETE FROM records WHERE expires < ?').run(seconds());
  return database;
}

/** The signing key set and the cookie keys, made once and kept. */
export function secretsOf(database) {
  const known = database.prepare('SELECT value FROM secrets WHERE name = ?');
  const keep = (name, make) => {
    const row = known.get(name);
    if (row) return JSON.parse(row.value);
    const value = make();
    database.prepare('INSERT INTO secrets VALUES (?, ?)').run(name, JSON.stringify(value));
    return value;
  };
  return {
    jwks: keep('jwks', () => {
      const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const key = privateKey.export({ format: 'jwk' });
      return { keys: [{ ...key, kid: randomBytes(8).toString('hex'), alg: 'RS256', use: 'sig' }] };
    }),
    cookies: keep('cookies', () => [randomBytes(32).toString('base64url')]),
  };
}

/** The adapter class that oidc-provider asks for, over an open store. */
export function adapterOver(database, graceSeconds) {
  const sql = {
    upsert: database.prepare('INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?, ?)'),
    find: database.prepare('SELECT payload FROM records WHERE model = ? AND id = ? AND expires >= ?'),
    byUid: database.prepare('SELECT payload FROM records WHERE model = ? AND uid = ? AND expires >= ?'),
    consume: database.prepare(
      `UPDATE records SET payload = json_set(payload, '$.consumed', ?) WHERE model = ? AND id = ?`,
    ),
    destroy: database.prepare('DELETE FROM records WHERE model = ? AND id = ?'),
    revoke: database.prepare('DELETE FROM records WHERE grant_id = ?'),
  };
  const never = 2 ** 52;

  return class {
    constructor(model) {
      this.model = model;
    }

    #payload(row) {
      if (!row) return undefined;
      const payload = JSON.parse(row.payload);
      // A rotated refresh token works a little longer: the answer with its successor may have been lost.
      if (this.model === 'RefreshToken' && payload.consumed > seconds() - graceSeconds) {
        delete payload.consumed;
      }
      return payload;
    }

    async upsert(id, payload, expiresIn) {
      const expires = expiresIn ? seconds() + expiresIn : never;
      const { grantId = null, uid = null } = payload;
      sql.upsert.run(this.model, id, JSON.stringify(payload), grantId, uid, expires);
    }

    async find(id) {
      return this.#payload(sql.find.get(this.model, id, seconds()));
    }

    async findByUid(uid) {
      return this.#payload(sql.byUid.get(this.model, uid, seconds()));
    }

    async findByUserCode() {
      return undefined; // no device flow here
    }

    async consume(id) {
      sql.consume.run(seconds(), this.model, id);
    }

    async destroy(id) {
      sql.destroy.run(this.model, id);
    }

    async revokeByGrantId(grantId) {
      sql.revoke.run(grantId);
    }
  };
}
