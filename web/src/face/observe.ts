// One look at one picture: what guidance needs to know of it.

import { Detector, type Face } from "./detector";
import {
  bounds, headAngles, Landmarker, squareOfFace, squareOfLandmarks, type Landmarks,
} from "./landmarks";
import { loadKernel, Network } from "./network";
import { luma, meanLight, type Picture } from "./picture";

/** Shares are of the picture's size; x and y of the face's middle. null: this source cannot tell. */
export interface Observation {
  readonly faces: number;
  readonly yaw: number;
  readonly pitch: number;
  readonly roll: number;
  readonly height: number;
  readonly x: number | null;
  readonly y: number | null;
  /** Mean of the face, 0 to 255; without a face, of where it should be. */
  readonly light: number;
  /** Share of the skin around the eyes that is blown out, as by glasses that mirror. */
  readonly glare: number;
  readonly inFrame: boolean;
}

export const NOBODY: Observation = {
  faces: 0, yaw: 0, pitch: 0, roll: 0, height: 0, x: null, y: null, light: 128, glare: 0, inFrame: false,
};

const MIN_PRESENCE = 0.5;
/** A second face counts from half the height of the first, as at the gate. */
const SECOND_FACE = 0.5;
const LOOK_AGAIN_EVERY = 8;
const EYES = [[33, 133, 159, 145], [362, 263, 386, 374]] as const;
const BLOWN_OUT = 246;

export class Observer {
  private tracked: Landmarks | null = null;
  private others = false;
  private since = 0;

  private constructor(private readonly detector: Detector, private readonly landmarker: Landmarker) {}

  static async load(kernel: BufferSource, detection: ArrayBuffer, landmarks: ArrayBuffer): Promise<Observer> {
    const loaded = await loadKernel(kernel);
    return new Observer(
      new Detector(new Network(loaded, detection)), new Landmarker(new Network(loaded, landmarks)));
  }

  observe(picture: Picture): Observation {
    if (this.tracked === null || this.since++ % LOOK_AGAIN_EVERY === 0) {
      const faces = this.detector.detect(picture);
      this.others = faces.length > 1 && faces[1]!.height > SECOND_FACE * faces[0]!.height;
      if (this.tracked === null) {
        if (faces.length === 0) return nobody(picture);
        this.tracked = this.landmarker.find(picture, squareOfFace(faces[0] as Face));
      }
    }
    const found = this.landmarker.find(picture, squareOfLandmarks(this.tracked));
    if (found.presence < MIN_PRESENCE) {
      this.tracked = null;
      this.since = 0;
      return nobody(picture);
    }
    this.tracked = found;
    return described(picture, found, this.others ? 2 : 1);
  }
}

function nobody(picture: Picture): Observation {
  return { ...NOBODY, light: meanLight(picture, 0, 0, picture.width, picture.height) };
}

function described(picture: Picture, found: Landmarks, faces: number): Observation {
  const { left, top, right, bottom } = bounds(found.points);
  const inside = (left + right) / 2 > 0 && top > 0 && bottom < picture.height && left > 0 && right < picture.width;
  return {
    faces,
    ...headAngles(found),
    height: (bottom - top) / picture.height,
    x: (left + right) / 2 / picture.width,
    y: (top + bottom) / 2 / picture.height,
    light: meanLight(picture, left, top, right, bottom),
    glare: glareOf(picture, found),
    inFrame: inside,
  };
}

/** In a box of one and a half eye widths around each eye, where glasses sit. */
function glareOf(picture: Picture, { points }: Landmarks): number {
  let blown = 0, count = 0;
  for (const [outer, inner] of EYES) {
    const cx = (points[3 * outer]! + points[3 * inner]!) / 2, cy = (points[3 * outer + 1]! + points[3 * inner + 1]!) / 2;
    const reach = 0.75 * Math.hypot(points[3 * outer]! - points[3 * inner]!, points[3 * outer + 1]! - points[3 * inner + 1]!);
    for (let y = Math.round(cy - reach); y <= cy + reach; y += 2) {
      for (let x = Math.round(cx - reach); x <= cx + reach; x += 2) {
        if (x < 0 || y < 0 || x >= picture.width || y >= picture.height) continue;
        if (luma(picture.data, 4 * (y * picture.width + x)) >= BLOWN_OUT) blown++;
        count++;
      }
    }
  }
  return count === 0 ? 0 : blown / count;
}
