// Who looks at the pictures of the camera: a worker on this device, or the service over a WebSocket.

import { NOBODY, type Observation } from "../face/observe";
import type { ToWorker } from "../face/worker";
import type { Measure, Verdict } from "./session";

declare const WORKER_URL: string;

export interface Looker {
  readonly onDevice: boolean;
  /** null: it could not be looked at. One at a time. */
  look(canvas: HTMLCanvasElement): Promise<Observation | null>;
  close(): void;
}

const LOAD_LIMIT_MS = 30_000;

/** On the device where it can; else by the service. Rejects when neither is to be had. */
export async function openLooker(token: string): Promise<Looker> {
  try {
    return await openWorker();
  } catch {
    return openSocket(token);
  }
}

async function openWorker(): Promise<Looker> {
  if (new URLSearchParams(location.search).has("server-guidance")) throw new Error("asked not to");
  const worker = new Worker(WORKER_URL);
  const next = (limit: number): Promise<{ kind: string; observation?: Observation }> =>
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
  const loaded = next(LOAD_LIMIT_MS);
  worker.postMessage({ kind: "load" } satisfies ToWorker);
  if ((await loaded).kind !== "loaded") {
    worker.terminate();
    throw new Error("the face model does not run here");
  }
  return {
    onDevice: true,
    async look(canvas) {
      const { width, height } = canvas;
      const pixels = canvas.getContext("2d", { willReadFrequently: true })!.getImageData(0, 0, width, height);
      const answer = next(5000);
      const data = pixels.data.buffer as ArrayBuffer;
      worker.postMessage({ kind: "look", width, height, data } satisfies ToWorker, [data]);
      return (await answer).observation ?? null;
    },
    close: () => worker.terminate(),
  };
}

const SMALL_WIDTH = 240;

async function openSocket(token: string): Promise<Looker> {
  const address = new URL("/v1/capture/guidance", location.href);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  const small = document.createElement("canvas");
  let socket: WebSocket | null = null;
  const connected = async (): Promise<WebSocket> => {
    if (socket?.readyState === WebSocket.OPEN) return socket;
    const made = new WebSocket(address);
    await new Promise<void>((resolve, reject) => {
      made.onopen = () => made.send(token);
      made.onmessage = () => resolve();
      made.onclose = made.onerror = () => reject(new Error("no guidance"));
    });
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
        const answer = new Promise<Verdict>((resolve, reject) => {
          open.onmessage = (event) => resolve(JSON.parse(String(event.data)) as Verdict);
          open.onclose = () => reject(new Error("closed"));
        });
        open.send(picture);
        return observed(await answer, small.height);
      } catch {
        return null;
      }
    },
    close: () => socket?.close(),
  };
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
