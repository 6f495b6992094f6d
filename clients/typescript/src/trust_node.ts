// SPDX-License-Identifier: Apache-2.0
// A certificate authority of one's own, or a pinned key, for calls and for the live stream, in Node. A pin says which key
// to trust but not where its certificate is: that is taken from what the server shows, and then trusted as if it had been
// given, so that OpenSSL checks chain, times and purposes, and this side the name.
import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { connect, type ConnectionOptions, type PeerCertificate } from "node:tls";
import type { IHttpConnectionOptions } from "@microsoft/signalr";
import { AbortError, HttpClient, HttpError, type HttpRequest, HttpResponse, TimeoutError } from "@microsoft/signalr";
import EventSource from "eventsource";
import { Agent, fetch as undiciFetch } from "undici";
import WebSocket from "ws";
import { certificateCode, checkName, pinOf, readCertificates, shownBy, untrusted } from "./certificates.js";
import { Untrusted } from "./errors.js";
import type { Trust, Wanted } from "./trust.js";

interface Secure {
  ca: string[];
  checkServerIdentity: (host: string, certificate: PeerCertificate) => Error | undefined;
  allowPartialTrustChain: boolean;
}
interface Ready {
  secure: Secure;
  agent: Agent;
}

export class NodeTrust implements Trust {
  private ready: Promise<Ready> | undefined;
  private latest: Secure | undefined;
  /** Whatever is no certificate trouble is the hub's being away, and is left to the caller. */
  readonly fetch = this.call.bind(this) as unknown as typeof fetch;

  private constructor(
    private readonly url: string,
    private readonly authorities: X509Certificate[],
    private readonly pin: string | undefined,
  ) {}

  static async of(url: string, wanted: Wanted): Promise<NodeTrust> {
    return new NodeTrust(url, wanted.ca ? await readCertificates(wanted.ca) : [], wanted.pin?.value);
  }

  private async call(to: string, init: Parameters<typeof undiciFetch>[1]): Promise<unknown> {
    for (;;) {
      const had = this.ready !== undefined;
      const ready = (this.ready ??= this.prepare());
      try {
        return await undiciFetch(to, { ...init, dispatcher: (await ready).agent });
      } catch (trouble) {
        const wrong = trouble instanceof Untrusted ? trouble : await this.explained(trouble);
        if (this.ready === ready && (wrong || !(await ready.then(() => true).catch(() => false)))) this.ready = undefined;
        if (!wrong) throw trouble;
        // The authority's certificate may have been renewed, with the same key, since it was looked at.
        if (!(had && this.pin && !this.authorities.length)) throw wrong;
      }
    }
  }

  private explained(trouble: unknown): Promise<Untrusted | undefined> {
    return explain(this.url, { authorities: this.authorities, pin: this.pin }, trouble);
  }

  private async prepare(): Promise<Ready> {
    const anchors = this.authorities.length ? this.authorities : [await this.pinned()];
    const secure: Secure = {
      ca: anchors.map((one) => one.toString()),
      checkServerIdentity: (host, certificate) => checkName(host, certificate) ?? this.checkPin(certificate),
      // What is trusted need not be a root: it may be the authority below it, or the hub's certificate itself.
      allowPartialTrustChain: true,
    };
    this.latest = secure;
    return { secure, agent: new Agent({ connect: secure as object }) };
  }

  private async pinned(): Promise<X509Certificate> {
    const shown = await shownBy(this.url);
    const found = shown.find((one) => pinOf(one) === this.pin);
    if (found) return found;
    throw untrusted(this.url, { authorities: [], pin: this.pin }, "pin", shown, undefined);
  }

  /** Where both were given, both have to hold. */
  private checkPin(certificate: PeerCertificate): Error | undefined {
    if (!this.pin) return undefined;
    const seen: string[] = [];
    for (let one = certificate as { raw?: Buffer; issuerCertificate?: unknown } | undefined; one?.raw; ) {
      const made = new X509Certificate(one.raw);
      if (pinOf(made) === this.pin) return undefined;
      if (seen.includes(made.fingerprint256)) break;
      seen.push(made.fingerprint256);
      one = one.issuerCertificate as typeof one;
    }
    return Object.assign(new Error(`no certificate with the key ${this.pin}`), { code: "ERR_TLS_CERT_PIN" });
  }

  signalr() {
    const client = new Client(this.fetch);
    const secure = () => this.latest ?? {};
    // SignalR makes these by itself, after a call of the client above has found the hub trusted.
    class Socket extends WebSocket {
      constructor(url: string, protocols?: string | string[], options?: WebSocket.ClientOptions) {
        super(url, protocols, { ...options, ...(secure() as object) });
      }
    }
    const options = { httpClient: client, WebSocket: Socket as never, EventSource: sourceOf(secure) as never };
    return { options, trouble: () => client.trouble };
  }
}

/**
 * That package verifies nobody unless it is told to, which SignalR does not; and what SignalR gives up before it was open
 * it would try for ever.
 */
function sourceOf(secure: () => object): typeof EventSource {
  const createConnection = (options: ConnectionOptions) => {
    const host = options.host ?? "localhost";
    return connect({ ...options, ...secure(), rejectUnauthorized: true, servername: isIP(host) ? "" : host });
  };
  return class extends EventSource {
    constructor(url: string, options?: object) {
      super(url, url.startsWith("https:") ? { ...options, createConnection } : options);
      const giveUp = () => this.close();
      // Not at once: who sets `onerror` takes all others off.
      queueMicrotask(() => {
        this.addEventListener("error", giveUp);
        this.addEventListener("open", () => this.removeEventListener("error", giveUp));
      });
    }
  };
}

/** What SignalR needs where the system says whom to trust. */
export function systemSignalr(): IHttpConnectionOptions {
  const options = { EventSource: sourceOf(() => ({})) };
  return options as IHttpConnectionOptions;
}

/** What is wrong with the hub's certificate and what came, if the call failed for that. */
export async function explain(
  url: string,
  wanted: { authorities?: X509Certificate[]; pin?: string | undefined },
  trouble: unknown,
): Promise<Untrusted | undefined> {
  const code = certificateCode(trouble);
  if (code === undefined) return undefined;
  const shown = await shownBy(url).catch(() => []);
  const { authorities = [], pin } = wanted;
  return untrusted(url, { authorities, pin }, code === "ERR_TLS_CERT_PIN" ? "pin" : code, shown, trouble);
}

/** SignalR's calls by the trusted fetch. */
class Client extends HttpClient {
  trouble: Untrusted | undefined;

  constructor(private readonly fetch: typeof globalThis.fetch) {
    super();
  }

  override async send(request: HttpRequest): Promise<HttpResponse> {
    const control = new AbortController();
    if (request.abortSignal?.aborted) throw new AbortError();
    if (request.abortSignal) request.abortSignal.onabort = () => control.abort(new AbortError());
    const late = () => control.abort(new TimeoutError());
    const timer = request.timeout ? setTimeout(late, request.timeout) : undefined;
    try {
      const type = typeof request.content === "string" ? { "Content-Type": "text/plain;charset=UTF-8" } : {};
      const answer = await this.fetch(request.url!, {
        method: request.method!,
        headers: { "X-Requested-With": "XMLHttpRequest", ...type, ...request.headers },
        body: request.content ? (request.content as BodyInit) : null,
        signal: control.signal,
      });
      if (!answer.ok) throw new HttpError((await answer.text()) || answer.statusText, answer.status);
      const content = request.responseType === "arraybuffer" ? await answer.arrayBuffer() : await answer.text();
      return new HttpResponse(answer.status, answer.statusText, content);
    } catch (error) {
      if (error instanceof Untrusted) this.trouble = error;
      throw control.signal.aborted ? control.signal.reason : error;
    } finally {
      clearTimeout(timer);
      if (request.abortSignal) request.abortSignal.onabort = null;
    }
  }
}
