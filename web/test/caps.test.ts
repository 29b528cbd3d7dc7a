import assert from "node:assert/strict";
import { test } from "node:test";

import { capped } from "../src/shared/caps";
import type { Shape } from "../src/shared/mesh_view";

const SIDE = 9;
const HOLES = [[1, 6], [6, 6], [4, 2]] as const; // eyes and mouth: a square is left out to the right of and above each

/** A flat sheet from -4 to 4 with three holes in it. */
function sheet(): Shape {
  const grid = Array.from({ length: SIDE * SIDE }, (_, i) => [i % SIDE, Math.floor(i / SIDE)] as const);
  const squares = grid.filter(([x, y]) => x < SIDE - 1 && y < SIDE - 1)
    .filter(([x, y]) => !HOLES.some(([a, b]) => a === x && b === y));
  const triangles = squares.flatMap(([x, y]) => {
    const corner = y * SIDE + x;
    return [corner, corner + 1, corner + SIDE, corner + 1, corner + SIDE + 1, corner + SIDE];
  });
  return {
    positions: Float32Array.from(grid.flatMap(([x, y]) => [x - 4.5, y - 4, 0])),
    normals: Float32Array.from(grid.flatMap(() => [0, 0, 1])),
    triangles: Uint32Array.from(triangles),
  };
}

/** By the sum of the triangles. */
function area({ positions, triangles }: Shape): number {
  let total = 0;
  for (let k = 0; k < triangles.length; k += 3) {
    const [a, b, c] = [0, 1, 2].map((i) => positions.subarray(3 * triangles[k + i]!, 3 * triangles[k + i]! + 2));
    total += Math.abs((b![0]! - a![0]!) * (c![1]! - a![1]!) - (c![0]! - a![0]!) * (b![1]! - a![1]!)) / 2;
  }
  return total;
}

test("eyes and mouth are closed, and the border is not", () => {
  const open = sheet();
  const { shape, tints } = capped(open);
  assert.equal(area(open), 64 - HOLES.length);
  assert.equal(area(shape), 64);
  assert.equal(shape.positions.length - open.positions.length, tints.length);
  assert.equal(shape.normals.length, shape.positions.length);
  assert.deepEqual(shape.positions.slice(0, open.positions.length), open.positions);
});

test("eyes are light and bulge, what lies between the lips is dark and does not", () => {
  const { shape, tints } = capped(sheet());
  const first = shape.positions.length - tints.length;
  const middles = [4, 9, 14].map((k) => [...shape.positions.slice(first + 3 * k, first + 3 * k + 3), tints[3 * k]!]);
  for (const [x, , z, light] of middles) {
    assert.equal(z! > 0, Math.abs(x!) > 1);
    assert.equal(light! > 0.5, Math.abs(x!) > 1);
  }
});

test("a shape without openings stays as it is", () => {
  const { shape, tints } = capped({
    positions: Float32Array.from([0, 0, 0, 1, 0, 0, 0, 1, 0]),
    normals: Float32Array.from([0, 0, 1, 0, 0, 1, 0, 0, 1]),
    triangles: Uint32Array.from([0, 1, 2]),
  });
  assert.deepEqual([shape.positions.length, shape.triangles.length, tints.length], [9, 3, 0]);
});
