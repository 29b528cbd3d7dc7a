// MediaPipe's short-range detector: at each of 896 anchors a score and a box with six points.

import type { Network } from "./network";
import { mapOf, sample, type Picture } from "./picture";

const SIDE = 128;
const GRIDS = [[16, 2], [8, 6]] as const;
const MIN_SCORE = 0.5;
const MIN_OVERLAP = 0.3;

/** In pixels of the picture. angle: from the right eye to the left one, radians. */
export interface Face {
  readonly score: number;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly angle: number;
}

export class Detector {
  private readonly input = new Float32Array(SIDE * SIDE * 3);
  private readonly anchors = anchors();

  constructor(private readonly network: Network) {}

  /** Best first. */
  detect(picture: Picture): Face[] {
    const side = Math.max(picture.width, picture.height);
    const square = { x: picture.width / 2, y: picture.height / 2, side, angle: 0 };
    // Beyond the picture its edge is repeated, where the service's own detector sees black: no difference that
    // guidance could notice.
    sample(picture, mapOf(square, SIDE), SIDE, 1 / 127.5, -1, this.input);
    const out = this.network.run(this.input);
    const scores = out.get("classificators")!, boxes = out.get("regressors")!;
    const found: Face[] = [];
    for (let i = 0; i < scores.length; i++) {
      const score = 1 / (1 + Math.exp(-Math.min(Math.max(scores[i]!, -100), 100)));
      if (score < MIN_SCORE) continue;
      const ax = this.anchors[2 * i]!, ay = this.anchors[2 * i + 1]!;
      const at = (k: number): number => boxes[16 * i + k]! / SIDE;
      const place = (x: number, y: number): [number, number] => [
        (x - 0.5) * side + picture.width / 2,
        (y - 0.5) * side + picture.height / 2,
      ];
      const [x, y] = place(ax + at(0), ay + at(1));
      const angle = Math.atan2(at(7) - at(5), at(6) - at(4));
      found.push({ score, x, y, width: at(2) * side, height: at(3) * side, angle });
    }
    return distinct(found);
  }
}

function anchors(): Float32Array {
  const out: number[] = [];
  for (const [cells, repeats] of GRIDS) {
    for (let y = 0; y < cells; y++) {
      for (let x = 0; x < cells; x++) {
        for (let k = 0; k < repeats; k++) out.push((x + 0.5) / cells, (y + 0.5) / cells);
      }
    }
  }
  return new Float32Array(out);
}

/** The best of those that overlap. */
export function distinct(faces: readonly Face[]): Face[] {
  const kept: Face[] = [];
  for (const face of [...faces].sort((a, b) => b.score - a.score)) {
    if (kept.every((other) => overlap(face, other) < MIN_OVERLAP)) kept.push(face);
  }
  return kept;
}

function overlap(a: Face, b: Face): number {
  const shared = (c: number, s: number, d: number, t: number): number =>
    Math.max(0, Math.min(c + s / 2, d + t / 2) - Math.max(c - s / 2, d - t / 2));
  const both = shared(a.x, a.width, b.x, b.width) * shared(a.y, a.height, b.y, b.height);
  return both / (a.width * a.height + b.width * b.height - both);
}
