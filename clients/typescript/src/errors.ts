// SPDX-License-Identifier: Apache-2.0
// What can go wrong, as the hub says it (RFC 9457) or as this side sees it.

/** The hub refused. `code` is stable; `field` names what is wrong, `hint` what would be right. */
export class GeresError extends Error {
  override readonly name: string = "GeresError";
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly field?: string,
    readonly hint?: string,
  ) {
    super(message);
  }
}

/** The hub could not be reached, or did not answer in time, also after repeating. */
export class Unreachable extends Error {
  override readonly name: string = "Unreachable";
}

export async function errorOf(answer: Response): Promise<GeresError> {
  const text = await answer.text();
  try {
    const problem = JSON.parse(text) as { code?: string; detail?: string; title?: string; field?: string; hint?: string };
    const message = problem.detail ?? problem.title ?? `HTTP ${answer.status}`;
    return new GeresError(answer.status, problem.code ?? "unknown", message, problem.field, problem.hint);
  } catch {
    return new GeresError(answer.status, "unknown", text.slice(0, 200) || `HTTP ${answer.status}`);
  }
}
