// Who looks at the pictures of the camera: a worker on this device, or the service over a WebSocket.

import { NOBODY, type Observation } from "../face/observe";
import { meanLight } from "../face/picture";
import type { ToWorker } from "../face/worker";
import type { Measure, Verdict } from "./session";

declare const WORKER_URL: string;

export interface Looker {
  readonly onDevice: boolean;
  /** null: it could not be looked at just now. Rejects when this looker will not look any more. */
  look(canvas: HTMLCanvasElement): Promise<Observation | null>;
  close(): void;
}

const LOAD_LIMIT_MS = 30_000;
const LOOK_LIMIT_MS = 5_000;
const CONNECT_LIMIT_MS = 10_000;

/** Whoever can look: the device as long as it does, the service from then on. */
export class Lookers {
  private opened: Promise<Looker> | null = null;
  private device = !new URLSearchParams(location.search).has("server-guidance");

  constructor(private readonly token: string) {}

  /** The same one for all who ask. Rejects when there is none; asked again it tries again. */
  get(): Promise<Looker> {
    if (this.opened === null) {
      const opened = this.open();
      this.opened = opened;
      opened.catch(() => {
        if (this.opened === opened) this.opened = null;
      });
    }
    return this.opened;
  }

  /** The one that failed is not asked any more. */
  drop(looker: Looker): void {
    looker.close();
    if (looker.onDevice) this.device = false;
    this.opened = null;
  }

  private async open(): Promise<Looker> {
    if (!this.device) return openSocket(this.token);
    try {
      return await openWorker();
    } catch {
      return openSocket(this.token);
    }
  }
}

async function openWorker(): Promise<Looker> {
  const worker = new Worker(WORKER_URL);
  const answer = (limit: number): Promise<{ kind: string; observation?: Observation }> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("too slow")), limit);
      worker.onmessage = (event) => {
        clearTimeout(timer);
        resolve(event.data);
      };
      worker.onerror = () => {
        clearTimeout(timer);
        reject(new Error("the worker failed"));
      };
    });
  try {
    const loaded = answer(LOAD_LIMIT_MS);
    worker.postMessage({ kind: "load" } satisfies ToWorker);
    if ((await loaded).kind !== "loaded") throw new Error("the face model does not run here");
  } catch (fault) {
    worker.terminate();
    throw fault;
  }
  let last: Promise<unknown> = Promise.resolve();
  const look = async (canvas: HTMLCanvasElement): Promise<Observation> => {
    const { width, height } = canvas;
    const pixels = canvas.getContext("2d", { willReadFrequently: true })!.getImageData(0, 0, width, height);
    const seen = answer(LOOK_LIMIT_MS);
    const data = pixels.data.buffer as ArrayBuffer;
    worker.postMessage({ kind: "look", width, height, data } satisfies ToWorker, [data]);
    const { observation } = await seen;
    if (observation === undefined) throw new Error("the worker failed");
    return observation;
  };
  return {
    onDevice: true,
    look(canvas) {
      const seen = last.then(() => look(canvas)); // one at a time: answers carry no name
      last = seen.catch(() => undefined);
      return seen;
    },
    close: () => worker.terminate(),
  };
}

const SMALL_WIDTH = 240;

/** Connects again by itself: only the first connection must succeed. */
async function openSocket(token: string): Promise<Looker> {
  const address = new URL("/v1/capture/guidance", location.href);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  const small = document.createElement("canvas");
  let socket: WebSocket | null = null;
  const connected = async (): Promise<WebSocket> => {
    if (socket?.readyState === WebSocket.OPEN) return socket;
    const made = new WebSocket(address);
    made.onopen = () => made.send(token);
    await message(made, CONNECT_LIMIT_MS);
    return (socket = made);
  };
  await connected();
  return {
    onDevice: false,
    async look(canvas) {
      small.width = SMALL_WIDTH;
      small.height = Math.round((SMALL_WIDTH * canvas.height) / canvas.width);
      small.getContext("2d")!.drawImage(canvas, 0, 0, small.width, small.height);
      const picture = await new Promise<Blob | null>((resolve) => small.toBlob(resolve, "image/jpeg", 0.7));
      if (picture === null) return null;
      try {
        const open = await connected();
        const answer = message(open, LOOK_LIMIT_MS);
        open.send(picture);
        const seen = observed(JSON.parse(await answer) as Verdict, small.height);
        return seen?.faces === 0 ? { ...seen, light: lightOf(small) } : seen;
      } catch {
        return null;
      }
    },
    close: () => socket?.close(),
  };
}

/** The gate does not say how light a picture without a face is. */
function lightOf(canvas: HTMLCanvasElement): number {
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d")!.getImageData(0, 0, width, height);
  return meanLight({ width, height, data }, 0, 0, width, height);
}

/** The next one of a socket. A socket that does not answer is closed: a line that was cut says nothing of itself. */
function message(socket: WebSocket, limit: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      socket.close();
      reject(new Error("too slow"));
    }, limit);
    socket.onmessage = (event) => {
      clearTimeout(timer);
      resolve(String(event.data));
    };
    socket.onclose = socket.onerror = () => {
      clearTimeout(timer);
      reject(new Error("closed"));
    };
  });
}

/** Eyes this share of the face's height apart, about; tells how near somebody is from the gate's measures. */
const EYES_OVER_HEIGHT = 0.42;

/** The gate's measures of a small picture as an observation; it does not tell where in the picture the face is. */
export function observed(verdict: Verdict, height: number): Observation | null {
  if (!("measures" in verdict)) return null;
  const raw = (name: string): Measure | undefined => verdict.measures.find((m) => m.name === name);
  const count = raw("face_count");
  const yaw = raw("yaw"), pitch = raw("pitch"), roll = raw("roll"), size = raw("face_size");
  if (count === undefined || count.raw < 1 || !yaw || !pitch || !roll || !size) return NOBODY;
  return {
    faces: count.verdict === "rejected" ? 2 : 1,
    yaw: yaw.raw,
    pitch: pitch.raw,
    roll: roll.raw,
    height: size.raw / EYES_OVER_HEIGHT / height,
    x: null,
    y: null,
    light: raw("exposure")?.raw ?? 128,
    glare: 0,
    inFrame: raw("face_in_frame")?.verdict !== "rejected",
  };
}
