// The demo facility's login: a full OpenID Connect provider for one client, the hub. For demonstrations
// and tests alone: its accounts and passwords stand in a file.
//
//   node provider.mjs [settings.json]
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { isIP } from 'node:net';
import { Provider, interactionPolicy as rules } from 'oidc-provider';

import { Accounts, Throttle } from './accounts.mjs';
import { Blocked, administer } from './admin.mjs';
import { loginHandler } from './interaction.mjs';
import { logoutPage, sentencePage } from './pages.mjs';
import { readSettings } from './settings.mjs';
import { adapterOver, openStore, secretsOf } from './store.mjs';

const DAY = 24 * 3600;
const SCOPES = {
  openid: ['sub'],
  profile: ['name', 'preferred_username'],
  email: ['email'],
  facility: [
    'uidNumber', 'gidNumber', 'gidNumbers', 'homeDirectory', 'roles', 'experiments', 'instruments',
  ],
};

const log = (what, details) => console.error(`login provider: ${what} ${JSON.stringify(details)}`);

/** When a person is asked something: for a password, by who is not logged in or is no account any more. */
function interactionPolicy() {
  const policy = rules.base();
  policy.remove('consent'); // the only client is the facility's own
  policy.get('login').checks.add(new rules.Check(
    'account_gone',
    'the account of this login is gone',
    ({ oidc }) => Boolean(oidc.session.accountId) && !oidc.account,
  ));
  return policy;
}

function configuration(settings, accounts, blocked, database) {
  const { facility } = settings;
  const told = settings.backchannel_logout_uri && {
    backchannel_logout_uri: settings.backchannel_logout_uri,
    backchannel_logout_session_required: true, // who logs out in one browser goes on in the others
  };
  const { jwks, cookies } = secretsOf(database);
  return {
    adapter: adapterOver(database, settings.rotation_grace_seconds),
    jwks,
    cookies: { keys: cookies },
    clients: [{
      client_id: settings.client_id,
      client_secret: settings.client_secret,
      client_name: 'VISA',
      redirect_uris: settings.redirect_uris,
      post_logout_redirect_uris: settings.post_logout_redirect_uris,
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'client_secret_post',
      ...told,
    }],
    // The hub is on this machine, where oidc-provider would not call anybody.
    fetch: (url, { dispatcher, ...options }) => fetch(url, options),
    responseTypes: ['code'],
    scopes: ['openid', 'profile', 'email', 'facility'],
    claims: SCOPES,
    pkce: { required: () => true },
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, form) => {
          ctx.body = logoutPage({ facility, form });
        },
        postLogoutSuccessSource: (ctx) => {
          ctx.body = sentencePage({ facility, title: 'Logged out', sentence: 'You may close this page.' });
        },
      },
    },
    findAccount: (_ctx, sub) => {
      const claims = blocked.has(sub) ? undefined : accounts.bySub(sub);
      return claims && { accountId: sub, claims: () => claims };
    },
    interactions: { policy: interactionPolicy(), url: (_ctx, interaction) => `/login/${interaction.uid}` },
    loadExistingGrant: async (ctx) => {
      const { client, session, provider } = ctx.oidc;
      const known = session.grantIdFor(client.clientId);
      const old = known && await provider.Grant.find(known);
      const grant = old?.accountId === session.accountId
        ? old
        : new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
      grant.addOIDCScope(Object.keys(SCOPES).join(' '));
      await grant.save();
      return grant;
    },
    issueRefreshToken: () => true,
    expiresWithSession: () => false,
    rotateRefreshToken: true,
    renderError: (ctx, out) => {
      ctx.type = 'html';
      ctx.body = sentencePage({
        facility,
        title: 'This login cannot go on',
        sentence: `${out.error_description ?? out.error}. Go back to VISA and log in again.`,
      });
    },
    ttl: {
      AccessToken: settings.access_token_seconds,
      AuthorizationCode: 60,
      IdToken: 300,
      Interaction: 600,
      RefreshToken: 14 * DAY,
      Grant: 90 * DAY,
      Session: DAY / 2,
    },
  };
}

function safetyHeaders(settings) {
  // Chromium applies form-action to the redirects that follow a login too, and those lead to the hub.
  const hubs = [...settings.redirect_uris, ...settings.post_logout_redirect_uris].flatMap((one) => {
    const { protocol, host, hostname } = new URL(one);
    const below = isIP(hostname.replace(/[[\]]/g, '')) ? [] : [`${protocol}//*.${host}`];
    return [`${protocol}//${host}`, ...below];
  });
  const forms = ["'self'", ...new Set(hubs)].join(' ');
  return {
    // No script of ours. oidc-provider adds the hash of its own one line where it hands a form on.
    'Content-Security-Policy':
      `default-src 'none'; script-src; style-src 'self'; img-src data:; form-action ${forms}; `
      + "frame-ancestors 'none'; base-uri 'none'",
    'Cache-Control': 'no-store',
    'Referrer-Policy': 'same-origin',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
  };
}

function start() {
  const settings = readSettings(process.argv[2]);
  const accounts = new Accounts(settings.accounts);
  const database = openStore(settings.state);
  const blocked = new Blocked(database);
  const provider = new Provider(settings.issuer, configuration(settings, accounts, blocked, database));
  for (const event of ['authorization.error', 'grant.error', 'userinfo.error', 'end_session.error']) {
    provider.on(event, (_ctx, error) => {
      log(event, { error: error.error, description: error.error_description, detail: error.error_detail });
    });
  }
  provider.on('backchannel.error', (_ctx, error) => log('the hub was not told', { error: error.message }));
  provider.on('server_error', (_ctx, error) => log('server error', { error: error.stack }));

  const style = readFileSync(new URL('style.css', import.meta.url));
  const headers = safetyHeaders(settings);
  const login = loginHandler({ provider, accounts, blocked, throttle: new Throttle(), settings, log });
  const oidc = provider.callback();
  const server = createServer((request, response) => {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (request.url.startsWith('/login/')) return login(request, response);
    if (request.url === '/style.css') {
      response.writeHead(200, { 'Content-Type': 'text/css', 'Cache-Control': 'max-age=300' });
      return response.end(style);
    }
    return oidc(request, response);
  });
  server.on('error', (error) => {
    log('cannot listen', { error: error.message });
    process.exit(1);
  });
  server.listen(settings.port, '127.0.0.1', () => {
    console.log(`login provider: listening at ${settings.issuer} (127.0.0.1:${server.address().port})`);
  });
  const admin = administer({
    path: settings.admin_socket, provider, accounts, blocked, clientId: settings.client_id, log,
  });
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => {
      server.close();
      admin?.close();
      server.closeAllConnections();
      database.close();
      process.exit(0);
    });
  }
}

try {
  start();
} catch (error) {
  log('cannot start', { error: error.message });
  process.exit(1);
}
