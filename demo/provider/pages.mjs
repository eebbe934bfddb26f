// What a person sees of the demo provider: login, logout, errors. Plain HTML, one style sheet, no script.

const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
/** A text as HTML. */
export const escape = (text) => String(text).replace(/[&<>"']/g, (sign) => ESCAPES[sign]);

function page(facility, title, body) {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escape(title)} - ${escape(facility)}</title>
<link rel="stylesheet" href="/style.css">
<link rel="icon" href="data:,">
</head>
<body>
<main>
<p class="facility">${escape(facility)}</p>
${body}
</main>
<footer>This is the login of a demo, with made-up accounts. Never type a real password here.</footer>
</body>
</html>
`;
}

/** The login form; `error` is said above it, `account` is what was typed before. */
export function loginPage({ facility, action, client, account = '', error = '' }) {
  const said = error ? `<p id="error" class="error" role="alert">${escape(error)}</p>` : '';
  const wrong = error ? ' aria-invalid="true" aria-describedby="error"' : '';
  const focus = (here) => (here ? ' autofocus' : '');
  return page(facility, 'Log in', `<h1>Log in</h1>
<p class="purpose">to continue to ${escape(client)}</p>
${said}
<form method="post" action="${escape(action)}">
<label for="account">Account</label>
<input id="account" name="account" value="${escape(account)}" required maxlength="64"
  autocomplete="username" autocapitalize="none" spellcheck="false"${wrong}${focus(!account)}>
<label for="password">Password</label>
<input id="password" name="password" type="password" required maxlength="256"
  autocomplete="current-password"${wrong}${focus(account)}>
<button type="submit">Log in</button>
</form>`);
}

/** Asks whether to log out; `form` is oidc-provider's own, with its token against forgery. */
export function logoutPage({ facility, form }) {
  return page(facility, 'Log out', `<h1>Log out of ${escape(facility)}?</h1>
<p class="purpose">Sessions that are running go on; you are asked for your password next time.</p>
${form}
<button type="submit" form="op.logoutForm" name="logout" value="yes" autofocus>Log out</button>
<button type="submit" form="op.logoutForm" class="second">Stay logged in</button>`);
}

/** One sentence on a page of its own. */
export function sentencePage({ facility, title, sentence }) {
  return page(facility, title, `<h1>${escape(title)}</h1>
<p class="purpose">${escape(sentence)}</p>`);
}
