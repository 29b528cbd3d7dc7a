// One sitting before the camera: from the question for permission until every pose was taken, or until it is stopped.
// Whatever happens, the camera is off when it is over.

import { CameraRefused, closeCamera, drawLook, openCamera, takePicture } from "./camera";
import type { Frames } from "./frames";
import type { Guide, Hint, Target } from "./guidance";
import type { Looker, Lookers } from "./looking";

/** What the page shows and does while somebody sits before the camera. */
export interface Onlooker {
  looking(looker: Looker): void;
  advise(hint: Hint, target: Target | undefined): void;
  taken(target: Target): void;
  /** Nothing was seen for a while: resolves when the service answers again. */
  blind(): Promise<void>;
}

const BLIND_MS = 3000;
const PAUSE_MS = 50;

export class Sitting {
  private stopped = false;
  private stream: MediaStream | null = null;
  private lock: WakeLockSentinel | null = null;
  private lost: (fault: unknown) => void = () => undefined;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly lookers: Lookers,
    private readonly frames: Frames,
    private readonly guide: Guide,
    private readonly onlooker: Onlooker,
  ) {}

  /** Whether every pose was taken; false: it was stopped before. Rejects when camera or lookers fail. */
  async run(): Promise<boolean> {
    const lost = new Promise<never>((_, reject) => (this.lost = reject));
    try {
      return await Promise.race([this.sit(), lost]);
    } catch (fault) {
      if (this.stopped) return false;
      throw fault;
    } finally {
      this.stop();
    }
  }

  stop(): void {
    this.stopped = true;
    this.lost(new CameraRefused("busy"));
    if (this.stream !== null) closeCamera(this.stream);
    this.stream = null;
    void this.lock?.release().catch(() => undefined);
    this.lock = null;
  }

  private async sit(): Promise<boolean> {
    const looker = this.lookers.get();
    looker.catch(() => undefined); // it is asked for below; until then the camera's own refusal comes first
    const stream = await openCamera(this.video, () => !this.stopped);
    if (this.stopped) closeCamera(stream);
    else this.stream = stream;
    for (const track of stream.getTracks()) track.addEventListener("ended", () => this.lost(new CameraRefused("busy")));
    void this.stayAwake();
    return this.watch(await looker);
  }

  private async watch(first: Looker): Promise<boolean> {
    const canvas = document.createElement("canvas");
    let looker = first, seenAt = performance.now();
    this.guide.again();
    if (!this.stopped) this.onlooker.looking(looker);
    while (!this.stopped) {
      const begun = performance.now();
      drawLook(this.video, canvas);
      const seen = await looker.look(canvas).catch(() => undefined);
      if (this.stopped) break;
      if (seen === undefined) {
        this.lookers.drop(looker);
        looker = await this.lookers.get();
        if (!this.stopped) this.onlooker.looking(looker);
      } else if (seen === null) {
        if (performance.now() - seenAt > BLIND_MS) {
          this.onlooker.advise("loading", undefined);
          await this.onlooker.blind();
          seenAt = performance.now();
        }
      } else {
        seenAt = performance.now();
        const { open } = this.frames;
        const advice = this.guide.advise(seen, open, seenAt);
        this.onlooker.advise(advice.hint, open.find((t) => !t.passing));
        if (advice.take !== null) {
          this.frames.add(advice.take, await takePicture(this.video));
          this.onlooker.taken(advice.take);
        }
        if (this.frames.taken === this.frames.all) return true;
      }
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, PAUSE_MS - (performance.now() - begun))));
    }
    return false;
  }

  private async stayAwake(): Promise<void> {
    const lock = (await navigator.wakeLock?.request("screen").catch(() => null)) ?? null;
    if (this.stopped) void lock?.release().catch(() => undefined);
    else this.lock = lock;
  }
}
