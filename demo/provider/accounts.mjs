// The demo facility's accounts, read from accounts.json each time so that an edit counts at once.
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';

const FREE_TRIES = 5;
const LONGEST_WAIT = 60; // seconds
const REMEMBERED = 10_000; // names with wrong tries

const digest = (text) => createHash('sha256').update(text, 'utf8').digest();

export class Accounts {
  #path;

  constructor(path) {
    this.#path = path;
    this.#read();
  }

  #read() {
    return JSON.parse(readFileSync(this.#path, 'utf8'));
  }

  #withSub(name, account) {
    return { sub: name, preferred_username: name, ...account };
  }

  /** Every account's name and subject. */
  names() {
    return Object.entries(this.#read()).map(([name, account]) => ({
      name, sub: this.#withSub(name, account).sub,
    }));
  }

  /** The account whose subject this is, as claims; undefined when there is none any more. */
  bySub(sub) {
    for (const [name, account] of Object.entries(this.#read())) {
      const claims = this.#withSub(name, account);
      if (claims.sub === sub) {
        delete claims.password;
        return claims;
      }
    }
    return undefined;
  }

  /** The subject of the account with this password, or undefined; takes as long for an unknown name. */
  check(name, password) {
    const accounts = this.#read();
    const account = Object.hasOwn(accounts, name) ? accounts[name] : undefined;
    const usable = typeof account?.password === 'string' && account.password !== '';
    const same = timingSafeEqual(digest(password), digest(usable ? account.password : 'x'.repeat(64)));
    return same && usable ? this.#withSub(name, account).sub : undefined;
  }
}

/** Slows down whoever guesses: after a few wrong tries, each further one for that name has to wait. */
export class Throttle {
  #wrong = new Map();

  /** Whole seconds until this name may try again, 0 for now. */
  wait(name, now = Date.now()) {
    return Math.max(0, Math.ceil(((this.#wrong.get(name)?.until ?? 0) - now) / 1000));
  }

  failed(name, now = Date.now()) {
    const tries = (this.#wrong.get(name)?.tries ?? 0) + 1;
    const wait = tries < FREE_TRIES ? 0 : Math.min(LONGEST_WAIT, 2 ** (tries - FREE_TRIES + 1));
    this.#wrong.delete(name);
    this.#wrong.set(name, { tries, until: now + wait * 1000 });
    if (this.#wrong.size > REMEMBERED) this.#wrong.delete(this.#wrong.keys().next().value);
  }

  succeeded(name) {
    this.#wrong.delete(name);
  }
}
