// MediaPipe FaceMesh: 468 points of a face, and how the head is turned.

import type { Face } from "./detector";
import type { Network } from "./network";
import { mapOf, sample, type Picture, type Square } from "./picture";

const SIDE = 192;
const CROP = 1.5;
const RIGHT_EYE = 33, LEFT_EYE = 263;
export const POINTS = 468;

/** (468, 3) pixels of the picture: x right, y down, z away from the viewer. */
export interface Landmarks {
  readonly points: Float32Array;
  readonly presence: number;
}

/** Degrees. yaw: positive to the person's own left; pitch: positive upward; roll: to their right shoulder. */
export interface Angles {
  readonly yaw: number;
  readonly pitch: number;
  readonly roll: number;
}

export class Landmarker {
  private readonly input = new Float32Array(SIDE * SIDE * 3);

  constructor(private readonly network: Network) {}

  find(picture: Picture, square: Square): Landmarks {
    const map = mapOf(square, SIDE);
    sample(picture, map, SIDE, 1 / 255, 0, this.input);
    const out = this.network.run(this.input);
    const flat = out.get("conv2d_21")!, logit = out.get("conv2d_31")![0]!;
    const points = new Float32Array(POINTS * 3);
    for (let i = 0; i < 3 * POINTS; i += 3) {
      const u = flat[i]!, v = flat[i + 1]!;
      points[i] = map.a * u - map.b * v + map.c;
      points[i + 1] = map.b * u + map.a * v + map.f;
      points[i + 2] = flat[i + 2]! * (square.side / SIDE);
    }
    return { points, presence: 1 / (1 + Math.exp(-logit)) };
  }
}

export function squareOfFace(face: Face): Square {
  return { x: face.x, y: face.y, side: CROP * Math.max(face.width, face.height), angle: face.angle };
}

/** For the next picture of a video: around the points of this one. */
export function squareOfLandmarks({ points }: Landmarks): Square {
  const { left, top, right, bottom } = bounds(points);
  const dx = points[3 * LEFT_EYE]! - points[3 * RIGHT_EYE]!;
  const dy = points[3 * LEFT_EYE + 1]! - points[3 * RIGHT_EYE + 1]!;
  return {
    x: (left + right) / 2,
    y: (top + bottom) / 2,
    side: Math.max(CROP * Math.max(right - left, bottom - top), 1),
    angle: Math.atan2(dy, dx),
  };
}

export function bounds(points: Float32Array): { left: number; top: number; right: number; bottom: number } {
  let left = Infinity, top = Infinity, right = -Infinity, bottom = -Infinity;
  for (let i = 0; i < points.length; i += 3) {
    left = Math.min(left, points[i]!);
    right = Math.max(right, points[i]!);
    top = Math.min(top, points[i + 1]!);
    bottom = Math.max(bottom, points[i + 1]!);
  }
  return { left, top, right, bottom };
}

const MIRRORED = [[33, 263], [133, 362], [234, 454], [127, 356], [61, 291], [58, 288]] as const;
const TOP = 10, CHIN = 152;
const YAW_RESPONSE = 0.82;

/** The same angles as the service's gate: see recon_service/quality/pose.py. */
export function headAngles({ points }: Landmarks): Angles {
  const at = (i: number): [number, number, number] => [points[3 * i]!, -points[3 * i + 1]!, -points[3 * i + 2]!];
  const x: [number, number, number] = [0, 0, 0];
  for (const [right, left] of MIRRORED) {
    const r = at(right), l = at(left);
    for (let k = 0; k < 3; k++) x[k]! += l[k]! - r[k]!;
  }
  const ux = unit(x);
  const top = at(TOP), chin = at(CHIN);
  const y: [number, number, number] = [top[0] - chin[0], top[1] - chin[1], top[2] - chin[2]];
  const along = y[0] * ux[0] + y[1] * ux[1] + y[2] * ux[2];
  const uy = unit([y[0] - along * ux[0], y[1] - along * ux[1], y[2] - along * ux[2]]);
  const z = ux[0] * uy[1] - ux[1] * uy[0];
  const degrees = 180 / Math.PI;
  return {
    yaw: (Math.asin(Math.min(Math.max(-ux[2], -1), 1)) * degrees) / YAW_RESPONSE,
    pitch: -Math.atan2(uy[2], z) * degrees,
    roll: Math.atan2(ux[1], ux[0]) * degrees,
  };
}

function unit(v: readonly [number, number, number]): [number, number, number] {
  const size = Math.max(Math.hypot(...v), 1e-9);
  return [v[0] / size, v[1] / size, v[2] / size];
}
