// The face model beside the page, so that the picture of the camera never stutters. No video leaves the device.

import { Observer } from "./observe";

declare const KERNEL_URL: string;

export type ToWorker =
  | { readonly kind: "load" }
  | { readonly kind: "look"; readonly width: number; readonly height: number; readonly data: ArrayBuffer };

let observer: Observer | null = null;

async function fetched(url: string): Promise<ArrayBuffer> {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return answer.arrayBuffer();
}

self.onmessage = async (event: MessageEvent<ToWorker>): Promise<void> => {
  const message = event.data;
  try {
    if (message.kind === "load") {
      const [kernel, detection, landmarks] = await Promise.all([
        fetched(KERNEL_URL), fetched("/web/models/face-detection.tflite"), fetched("/web/models/face-landmarks.tflite"),
      ]);
      observer = await Observer.load(kernel, detection, landmarks);
      self.postMessage({ kind: "loaded" });
    } else if (observer !== null) {
      const { width, height } = message;
      const picture = { width, height, data: new Uint8ClampedArray(message.data) };
      self.postMessage({ kind: "seen", observation: observer.observe(picture) });
    }
  } catch (fault) {
    self.postMessage({ kind: "failed", reason: String(fault) });
  }
};
