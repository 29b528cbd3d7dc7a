// What to tell the person, and when a picture is worth taking. Pure: observations in, a word out.

import type { Observation } from "../face/observe";

export type PoseName = "front" | "left" | "right" | "up" | "down" | "half-left" | "half-right";

export interface Target {
  readonly name: PoseName;
  /** Place among the session's frames. */
  readonly number: number;
  /** Taken in passing, on the way to another pose; not waited for. */
  readonly passing: boolean;
  /** Degrees; the pitch is relative to the one of the front picture. */
  readonly yaw: readonly [number, number];
  readonly pitch: readonly [number, number];
}

/** Yaw carries the shape of a face, so it is asked for first and most. Signs as in ../face/landmarks. */
export const TARGETS: readonly Target[] = [
  { name: "front", number: 0, passing: false, yaw: [-8, 8], pitch: [-16, 16] },
  { name: "left", number: 1, passing: false, yaw: [22, 40], pitch: [-14, 14] },
  { name: "right", number: 2, passing: false, yaw: [-40, -22], pitch: [-14, 14] },
  { name: "up", number: 3, passing: false, yaw: [-12, 12], pitch: [7, 28] },
  { name: "down", number: 4, passing: false, yaw: [-12, 12], pitch: [-28, -7] },
  { name: "half-left", number: 5, passing: true, yaw: [11, 18], pitch: [-10, 10] },
  { name: "half-right", number: 6, passing: true, yaw: [-18, -11], pitch: [-10, 10] },
];

export type Hint =
  | "loading" | "noFace" | "twoFaces" | "moreLight" | "lessLight" | "closer" | "farther" | "center" | "upright"
  | "glasses" | "lookAhead" | "turnLeft" | "turnRight" | "chinUp" | "chinDown" | "turnLess" | "holdStill" | "taken";

/** From here on the gate would refuse or warn; a little stricter than the gate, which has the last word. */
export const LIMITS = {
  height: [0.33, 0.74] as readonly [number, number],
  light: [50, 225] as readonly [number, number],
  /** Below it no face can be found, so that the light comes first. */
  dark: 35,
  offCenter: 0.2,
  roll: 20,
  glare: 0.05,
  /** Degrees and shares between two looks. */
  turning: 3.0,
  moving: 0.02,
  steadyLooks: 3,
  patienceWithGlareMs: 6000,
};

export interface Advice {
  readonly hint: Hint;
  /** Take a picture for this target now. */
  readonly take: Target | null;
}

export class Guide {
  private before: Observation | null = null;
  private steady = 0;
  private glareSince: number | null = null;

  /** level: pitch of the front picture, in degrees, where it was taken already. */
  constructor(private level = 0) {}

  /** How the head was held in the front picture. */
  get pitch(): number {
    return this.level;
  }

  /** For another sitting of the same person: up and down still count from the front picture. */
  again(): void {
    this.before = null;
    this.steady = 0;
    this.glareSince = null;
  }

  /** now: milliseconds. open: targets without a picture, in order. */
  advise(seen: Observation, open: readonly Target[], now: number): Advice {
    const target = open.find((t) => !t.passing) ?? null;
    const still = this.isStill(seen);
    this.before = seen;
    const basic = this.basics(seen, now);
    if (basic !== null || target === null) {
      this.steady = 0;
      return { hint: basic ?? "taken", take: null };
    }
    const reached = this.within(seen, target);
    if (reached) {
      this.steady = still ? this.steady + 1 : 0;
      if (this.steady < LIMITS.steadyLooks) return { hint: "holdStill", take: null };
      this.steady = 0;
      if (target.name === "front") this.level = seen.pitch;
      return { hint: "taken", take: target };
    }
    this.steady = 0;
    const passing = still ? open.find((t) => t.passing && this.within(seen, t)) : undefined;
    return { hint: this.toward(seen, target), take: passing ?? null };
  }

  private isStill(seen: Observation): boolean {
    const b = this.before;
    if (b === null || b.faces === 0) return false;
    const turned = Math.max(Math.abs(seen.yaw - b.yaw), Math.abs(seen.pitch - b.pitch));
    const moved = seen.x === null || b.x === null ? 0 : Math.hypot(seen.x - b.x, (seen.y ?? 0) - (b.y ?? 0));
    return turned < LIMITS.turning && moved < LIMITS.moving;
  }

  private basics(seen: Observation, now: number): Hint | null {
    if (seen.faces === 0) return seen.light < LIMITS.dark ? "moreLight" : "noFace";
    if (seen.faces > 1) return "twoFaces";
    if (seen.light < LIMITS.light[0]) return "moreLight";
    if (seen.light > LIMITS.light[1]) return "lessLight";
    if (seen.height > LIMITS.height[1]) return "farther";
    if (seen.height < LIMITS.height[0]) return "closer";
    if (!seen.inFrame || this.offCenter(seen)) return "center";
    if (Math.abs(seen.roll) > LIMITS.roll) return "upright";
    return this.mirroring(seen, now) ? "glasses" : null;
  }

  private offCenter(seen: Observation): boolean {
    if (seen.x === null || seen.y === null) return false;
    return Math.hypot(seen.x - 0.5, 0.75 * (seen.y - 0.5)) > LIMITS.offCenter;
  }

  /** After a while the picture is taken all the same: not everybody can take their glasses off. */
  private mirroring(seen: Observation, now: number): boolean {
    if (seen.glare < LIMITS.glare) {
      this.glareSince = null;
      return false;
    }
    this.glareSince ??= now;
    return now - this.glareSince < LIMITS.patienceWithGlareMs;
  }

  private within(seen: Observation, target: Target): boolean {
    const pitch = target.name === "front" ? seen.pitch : seen.pitch - this.level;
    return (
      seen.yaw >= target.yaw[0] && seen.yaw <= target.yaw[1] && pitch >= target.pitch[0] && pitch <= target.pitch[1]
    );
  }

  private toward(seen: Observation, target: Target): Hint {
    const pitch = target.name === "front" ? seen.pitch : seen.pitch - this.level;
    const [least, most] = target.yaw;
    if (target.name === "left" || target.name === "right") {
      if (seen.yaw < least) return target.name === "left" ? "turnLeft" : "turnLess";
      if (seen.yaw > most) return target.name === "left" ? "turnLess" : "turnRight";
    } else if (seen.yaw < least || seen.yaw > most) {
      return "lookAhead";
    }
    if (pitch < target.pitch[0]) return "chinUp";
    if (pitch > target.pitch[1]) return "chinDown";
    return "lookAhead";
  }
}
