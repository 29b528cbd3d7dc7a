// Pictures as canvases give them (RGBA, 8 bits), and the squares that the networks look at.

export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
}

/** A square of the picture, in its pixels; `angle` turns it clockwise on the screen, radians. */
export interface Square {
  readonly x: number;
  readonly y: number;
  readonly side: number;
  readonly angle: number;
}

/** From the network's input (size × size) to the picture: x = a·u − b·v + c, y = b·u + a·v + f. */
export interface Map2 {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly f: number;
}

export function mapOf(square: Square, size: number): Map2 {
  const step = square.side / size;
  const a = step * Math.cos(square.angle), b = step * Math.sin(square.angle);
  const half = size / 2;
  return { a, b, c: square.x - (a - b) * half, f: square.y - (a + b) * half };
}

/** The square as the network's input (size, size, 3): bilinear, edge pixels repeated, value · scale + shift. */
export function sample(
  picture: Picture, map: Map2, size: number, scale: number, shift: number, out: Float32Array,
): void {
  const { width, height, data } = picture;
  let to = 0;
  for (let v = 0; v < size; v++) {
    for (let u = 0; u < size; u++) {
      const x = Math.min(Math.max(map.a * u - map.b * v + map.c, 0), width - 1.001);
      const y = Math.min(Math.max(map.b * u + map.a * v + map.f, 0), height - 1.001);
      const left = x | 0, top = y | 0;
      const fx = x - left, fy = y - top;
      const at = 4 * (top * width + left), below = at + 4 * width;
      for (let k = 0; k < 3; k++) {
        const upper = data[at + k]! * (1 - fx) + data[at + 4 + k]! * fx;
        const lower = data[below + k]! * (1 - fx) + data[below + 4 + k]! * fx;
        out[to++] = (upper * (1 - fy) + lower * fy) * scale + shift;
      }
    }
  }
}

export function luma(data: Uint8ClampedArray, at: number): number {
  return 0.299 * data[at]! + 0.587 * data[at + 1]! + 0.114 * data[at + 2]!;
}

/** Mean luma, 0 to 255, of the inner part of a box: of a face without hair and background. */
export function meanLight(picture: Picture, left: number, top: number, right: number, bottom: number): number {
  const x0 = left + 0.25 * (right - left), x1 = left + 0.75 * (right - left);
  const y0 = top + 0.25 * (bottom - top), y1 = top + 0.85 * (bottom - top);
  let sum = 0, count = 0;
  for (let y = Math.max(0, Math.round(y0)); y < Math.min(picture.height, y1); y += 4) {
    for (let x = Math.max(0, Math.round(x0)); x < Math.min(picture.width, x1); x += 4) {
      sum += luma(picture.data, 4 * (y * picture.width + x));
      count++;
    }
  }
  return count === 0 ? 0 : sum / count;
}
