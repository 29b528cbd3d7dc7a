// The page's side of its five calls: each request is small, and is repeated until it is answered.

import type { Kept } from "./kept";

export interface Measure {
  readonly name: string;
  readonly raw: number;
  readonly verdict: "good" | "warning" | "rejected";
}

export interface Verdict {
  readonly accepted: boolean;
  readonly measures: readonly Measure[];
  readonly problem: { readonly code: string } | null;
}

export interface SessionState {
  readonly state: "open" | "working" | "done" | "spent";
  readonly language: string | null;
  readonly return_url: string;
  readonly frames: readonly number[];
  readonly attempts_left: number;
  readonly operation: {
    readonly state: "queued" | "running" | "succeeded" | "rejected" | "failed";
    readonly stage: string;
    readonly progress: number;
    readonly problem: { readonly code: string } | null;
  } | null;
}

/** The service refused, and repeating does not help. */
export class Refused extends Error {
  constructor(readonly status: number, readonly code: string) {
    super(`${status} ${code}`);
  }
}

export interface Listener {
  /** No answer comes at the moment. */
  offline(): void;
  /** The service answers that it cannot now. */
  busy(): void;
  /** An answer came. */
  online(): void;
}

const PAUSES_MS = [500, 1000, 2000, 4000, 8000] as const;
const PATIENCE_MS = 30_000;
/** A service that is overloaded or restarts says so with these, and can again later. */
const LATER: readonly number[] = [408, 429, 502, 503, 504];
/** A fault of the service itself is met this often before the person is told: it may be one of the moment. */
const FAULTS = 4;
/** These are about the one picture that was sent, and say nothing about the session. */
const ABOUT_THE_PICTURE: readonly number[] = [400, 413, 415, 422];

export class Session {
  constructor(private readonly token: string, private readonly listener: Listener) {}

  get guidanceToken(): string {
    return this.token;
  }

  state(): Promise<SessionState> {
    return this.json("GET", "/v1/capture");
  }

  /** A picture that the service cannot even read is refused by its verdict too. */
  async sendFrame(number: number, picture: Blob): Promise<Verdict> {
    try {
      return await this.json<Verdict>("PUT", `/v1/capture/frames/${number}`, picture);
    } catch (fault) {
      if (!(fault instanceof Refused) || !ABOUT_THE_PICTURE.includes(fault.status)) throw fault;
      return { accepted: false, measures: [], problem: { code: fault.code } };
    }
  }

  enroll(): Promise<SessionState> {
    return this.json("POST", "/v1/capture/enrollment");
  }

  async mesh(): Promise<ArrayBuffer> {
    return (await this.request("GET", "/v1/capture/mesh.glb")).arrayBuffer();
  }

  private async json<T>(method: string, path: string, body?: Blob): Promise<T> {
    return (await (await this.request(method, path, body)).json()) as T;
  }

  /** Every call may be repeated: none does anything a second time. */
  private async request(method: string, path: string, body?: Blob): Promise<Response> {
    for (let attempt = 0; ; attempt++) {
      const answer = await this.once(method, path, body);
      if (answer?.ok) {
        this.listener.online();
        return answer;
      }
      if (answer === null) this.listener.offline();
      else if (!LATER.includes(answer.status) && (answer.status < 500 || attempt + 1 >= FAULTS)) {
        this.listener.online();
        throw new Refused(answer.status, await codeOf(answer));
      } else if (attempt > 0) this.listener.busy();
      await pause(PAUSES_MS[Math.min(attempt, PAUSES_MS.length - 1)]!, answer);
    }
  }

  private async once(method: string, path: string, body?: Blob): Promise<Response | null> {
    const headers: Record<string, string> = { Authorization: `Bearer ${this.token}` };
    if (body !== undefined) headers["Content-Type"] = body.type;
    try {
      return await fetch(path, {
        method, headers, body: body ?? null, credentials: "omit", cache: "no-store",
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
    } catch {
      return null;
    }
  }
}

async function codeOf(answer: Response): Promise<string> {
  try {
    const problem = (await answer.json()) as { type?: string };
    return (problem.type ?? "").replace("/problems/", "");
  } catch {
    return "unknown";
  }
}

/** Until the time is over, or the browser says that it is connected again. */
function pause(milliseconds: number, answer: Response | null): Promise<void> {
  const asked = Number(answer?.headers.get("Retry-After") ?? 0) * 1000;
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      window.removeEventListener("online", done);
      resolve();
    };
    const timer = setTimeout(done, Math.max(milliseconds, Math.min(asked, 15_000)));
    window.addEventListener("online", done);
  });
}

/** Session id from the path, secret from behind the #, which is then taken out of the address bar and history, if
 * it can be kept elsewhere for a page that is loaded again. */
export function tokenOf(location: Location, history: History, kept: Kept): string | null {
  const id = /\/enroll\/(cap_[0-9a-f]{32})$/.exec(location.pathname)?.[1];
  if (id === undefined) return null;
  const given = location.hash.slice(1);
  const shown = /^[A-Za-z0-9_-]{43}$/.test(given);
  if (shown && kept.set("secret", id, given)) history.replaceState(null, "", location.pathname + location.search);
  const secret = shown ? given : kept.get("secret", id);
  return secret === null ? null : `${id}.${secret}`;
}
