// The demo provider's settings: a JSON file named on the command line, or PROVIDER_* variables.
import { readFileSync } from 'node:fs';

const KNOWN = {
  issuer: 'text', // public address, as browsers and the hub see it
  port: 'number', // port on 127.0.0.1
  client_id: 'text',
  client_secret: 'text',
  redirect_uris: 'list',
  post_logout_redirect_uris: 'list',
  backchannel_logout_uri: 'text', // where the hub is told that a login is over; empty: it is not told
  accounts: 'text', // path of accounts.json, read again at each login and refresh
  facility: 'text', // name on the login page
  state: 'text', // SQLite file for keys, logins and grants; empty: forgotten when it stops
  admin_socket: 'text', // unix socket on which accounts are blocked; empty: none
  access_token_seconds: 'number',
  rotation_grace_seconds: 'number', // how long a spent refresh token still works, for a lost answer
};
const OPTIONAL = {
  post_logout_redirect_uris: [],
  backchannel_logout_uri: '',
  facility: 'Demo facility',
  state: '',
  admin_socket: '',
  access_token_seconds: 1800,
  rotation_grace_seconds: 30,
};

function fromEnvironment(environment) {
  const values = {};
  for (const [name, kind] of Object.entries(KNOWN)) {
    const text = environment[`PROVIDER_${name.toUpperCase()}`];
    if (text === undefined) continue;
    if (kind === 'list') values[name] = text.split(/\s+/).filter(Boolean);
    else values[name] = kind === 'number' ? Number(text) : text;
  }
  return values;
}

function check(values) {
  for (const name of Object.keys(values)) {
    if (!(name in KNOWN)) throw new Error(`settings: ${name} is not known`);
  }
  for (const [name, kind] of Object.entries(KNOWN)) {
    const value = values[name];
    const right = {
      text: typeof value === 'string' && (value !== '' || name in OPTIONAL),
      number: Number.isSafeInteger(value) && value >= 0,
      list: Array.isArray(value) && value.every((one) => URL.canParse(one)),
    }[kind];
    if (!right) throw new Error(`settings: ${name} is missing or not a ${kind}`);
  }
  if (!values.redirect_uris.length) throw new Error('settings: redirect_uris is empty');
  return values;
}

/** Read and check the settings; throws an Error that names the setting at fault. */
export function readSettings(path, environment = process.env) {
  const given = path ? JSON.parse(readFileSync(path, 'utf8')) : fromEnvironment(environment);
  return check({ ...OPTIONAL, ...given });
}
