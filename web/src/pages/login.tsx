// SPDX-License-Identifier: Apache-2.0
// Takes a token once; the hub answers with a cookie. The token is not kept.
import { useState } from 'preact/hooks';
import { type Problem } from '../api';
import { problemFrom } from '../data';
import { Command, Trouble, useTitle } from '../parts/basic';
import { go, path } from '../route';
import { caller, ended, logIn, spent } from '../session';

export function Login() {
  useTitle('Log in');
  const [token, setToken] = useState(''),
    [problem, setProblem] = useState<Problem>(),
    [busy, setBusy] = useState(false);
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
