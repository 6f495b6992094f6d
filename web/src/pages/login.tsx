// SPDX-License-Identifier: Apache-2.0
// Takes a token once, or leads to the form of an identity provider; the hub answers with a cookie. No token is kept.
import { useEffect, useState } from 'preact/hooks';
import { enc, get, type Problem } from '../api';
import { problemFrom } from '../data';
import { Command, Trouble, useTitle } from '../parts/basic';
import { go, path } from '../route';
import { caller, ended, logIn, spent } from '../session';

/** Why the hub has not signed somebody in that came back from a provider: a cookie that is for this page, once. */
function takeTrouble(): string {
  const found = /(?:^|; )geres-trouble=([^;]*)/.exec(document.cookie);
  if (!found) return '';
  document.cookie = `geres-trouble=; Path=${new URL(document.baseURI).pathname}; Max-Age=0`;
  try {
    return decodeURIComponent(found[1]!);
  } catch {
    return '';
  }
}

/** Where to go on: this address, as a path below the base. */
function here(): string {
  if (path.value[0] === 'login') return '/';
  return '/' + location.pathname.slice(new URL(document.baseURI).pathname.length) + location.search;
}

export function Login() {
  useTitle('Log in');
  const [token, setToken] = useState(''),
    [problem, setProblem] = useState<Problem>(),
    [busy, setBusy] = useState(false),
    [providers, setProviders] = useState<string[]>([]),
    [trouble] = useState(takeTrouble);
  useEffect(() => {
    get<{ providers: { name: string }[] }>('v1/auth').then(
      (auth) => setProviders(auth.providers.map((one) => one.name)),
      () => setProviders([]),
    );
  }, []);
  const send = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setProblem(undefined);
    try {
      await logIn({ token: token.trim() });
      if (path.value[0] === 'login') go('', true);
    } catch (error) {
      setProblem(problemFrom(error));
    }
    setToken('');
    setBusy(false);
  };
  return (
    <main class="bare" id="main">
      <form class="card login" onSubmit={(event) => void send(event)}>
        <h1>
          <b>Ge</b>Res
        </h1>
        {caller.value && (
          <p>
            You are logged in as {caller.value.name}. Log in as somebody else, or <a href="./">go on</a>.
          </p>
        )}
        {ended.value && <p role="status">Your session has ended. Log in again; this page is where you were.</p>}
        {spent.value && !ended.value && (
          <p role="status">
            The link was used already, or is older than a minute. <code>geres web</code> prints a new one.
          </p>
        )}
        {trouble && (
          <p class="trouble" role="alert">
            {trouble}
          </p>
        )}
        {providers.map((name) => (
          <a class="button provider" key={name} href={`auth/login?provider=${enc(name)}&to=${enc(here())}`}>
            Sign in with {name}
          </a>
        ))}
        <label for="token">Token</label>
        <input
          id="token"
          type="password"
          autocomplete="current-password"
          required
          value={token}
          onInput={(event) => setToken(event.currentTarget.value)}
          spellcheck={false}
        />
        <button class="primary" disabled={busy || !token.trim()}>
          {busy ? 'Logging in…' : 'Log in'}
        </button>
        {problem && <Trouble problem={problem} />}
        <details>
          <summary>Where do I get a token?</summary>
          <p>
            On the machine of the hub it lies in <code>admin.token</code> of the data directory. Whoever has it makes others:
          </p>
          <Command line="geres token create NAME --role viewer --tenant TENANT" />
        </details>
      </form>
    </main>
  );
}
