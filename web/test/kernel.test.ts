import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { loadKernel } from "../src/face/network";

const kernel = await loadKernel(readFileSync(new URL("../kernel.wasm", import.meta.url)));
kernel.memory.grow(16);
let top = 65536;

function put(values: Float32Array): number {
  const at = top;
  new Float32Array(kernel.memory.buffer).set(values, at / 4);
  top += 16 * Math.ceil(values.length / 4);
  return at;
}

function get(at: number, count: number): number[] {
  return [...new Float32Array(kernel.memory.buffer, at, count)];
}

let seed = 1;
function random(count: number): Float32Array {
  return Float32Array.from({ length: count }, () => {
    seed = (seed * 16807) % 2147483647;
    return seed / 1073741823.5 - 1;
  });
}

function close(found: readonly number[], wanted: readonly number[]): void {
  assert.equal(found.length, wanted.length);
  found.forEach((value, i) => assert.ok(Math.abs(value - wanted[i]!) < 1e-5, `${i}: ${value} is not ${wanted[i]}`));
}

for (const pixels of [1, 4, 7]) {
  test(`a product of ${pixels} rows is the sum of products`, () => {
    const [k, n] = [8, 12];
    const [a, w, b] = [random(pixels * k), random(k * n), random(n)];
    const out = put(new Float32Array(pixels * n));
    kernel.multiply(put(a), put(w), put(b), out, pixels, k, n);
    const wanted = Array.from({ length: pixels * n }, (_, i) => {
      const [p, o] = [Math.floor(i / n), i % n];
      return Array.from({ length: k }, (_, j) => a[p * k + j]! * w[j * n + o]!).reduce((s, v) => s + v, b[o]!);
    });
    close(get(out, pixels * n), wanted);
  });
}

for (const stride of [1, 2]) {
  test(`each channel alone, stride ${stride}, is its window's sum; windows and product give the same`, () => {
    const [h, w, c, side] = [6, 5, 4, 3];
    const [oh, ow] = [Math.ceil(h / stride), Math.ceil(w / stride)];
    const margin = (size: number, made: number): number =>
      Math.floor(Math.max((made - 1) * stride + side - size, 0) / 2);
    const [top_, left] = [margin(h, oh), margin(w, ow)];
    const [picture, weights, bias] = [random(h * w * c), random(side * side * c), random(c)];
    const input = put(picture);
    const out = put(new Float32Array(oh * ow * c));
    kernel.depthwise(input, put(weights), put(bias), out, h, w, c, oh, ow, side, stride, top_, left);
    const wanted: number[] = [];
    for (let y = 0; y < oh; y++) for (let x = 0; x < ow; x++) for (let k = 0; k < c; k++) {
      let sum = bias[k]!;
      for (let dy = 0; dy < side; dy++) for (let dx = 0; dx < side; dx++) {
        const [sy, sx] = [y * stride + dy - top_, x * stride + dx - left];
        if (sy >= 0 && sy < h && sx >= 0 && sx < w) {
          sum += picture[(sy * w + sx) * c + k]! * weights[(dy * side + dx) * c + k]!;
        }
      }
      wanted.push(sum);
    }
    close(get(out, wanted.length), wanted);
    // The same as a full convolution whose weights are zero across channels.
    const full = new Float32Array(side * side * c * c);
    for (let s = 0; s < side * side; s++) for (let k = 0; k < c; k++) full[(s * c + k) * c + k] = weights[s * c + k]!;
    const scratch = put(new Float32Array(oh * ow * side * side * c));
    const again = put(new Float32Array(oh * ow * c));
    kernel.windows(input, scratch, h, w, c, oh, ow, side, stride, top_, left);
    kernel.multiply(scratch, put(full), put(bias), again, oh * ow, side * side * c, c);
    close(get(again, wanted.length), wanted);
  });
}

test("the largest of each window, sums, slopes, and a picture in a wider one", () => {
  const picture = random(4 * 4 * 4);
  const at = put(picture);
  const out = put(new Float32Array(2 * 2 * 4));
  kernel.largest(at, out, 4, 4, 2, 2, 2, 2);
  const corner = (y: number, x: number, k: number): number =>
    Math.max(...[0, 1].flatMap((dy) => [0, 1].map((dx) => picture[((2 * y + dy) * 4 + 2 * x + dx) * 4 + k]!)));
  close(get(out, 16), [0, 1].flatMap((y) => [0, 1].flatMap((x) => [0, 1, 2, 3].map((k) => corner(y, x, k)))));
  const slope = Float32Array.of(0, 0.1, 0.5, 2);
  const rectified = put(new Float32Array(64));
  kernel.rectify(at, put(slope), rectified, 16, 4);
  close(get(rectified, 64), [...picture].map((v, i) => (v > 0 ? v : v * slope[i % 4]!)));
  const sum = put(new Float32Array(64));
  kernel.add(at, rectified, sum, 64);
  close(get(sum, 64), get(rectified, 64).map((v, i) => v + picture[i]!));
  const wide = put(new Float32Array(6 * 6 * 8));
  kernel.place(at, wide, 4, 4, 4, 6, 8, 1, 1);
  const placed = get(wide, 6 * 6 * 8);
  assert.equal(placed[(1 * 6 + 1) * 8], picture[0]);
  assert.equal(placed.filter((v) => v !== 0).length, 64);
});
