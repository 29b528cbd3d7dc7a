// What closes the openings of a face's mesh where it is drawn: eyes, and what lies between the lips. Through the
// holes one would see the page behind the head. Nothing of it was measured.

import type { Shape } from "./mesh_view";

const EYE = [0.56, 0.55, 0.53];
const MOUTH = [0.2, 0.13, 0.12];
/** How far the middle of an eye stands before its rim, in widths of the opening. */
const BULGE = 0.16;

export interface Caps {
  readonly shape: Shape;
  /** (C, 3) linear colors of the vertices that were added, after those of the shape. */
  readonly tints: Float32Array;
}

/** The shape with every opening closed but the largest, which is the border of the face. */
export function capped(shape: Shape): Caps {
  const openings = loops(shape).map((loop) => ({ loop, ...box(shape.positions, loop) }));
  openings.sort((one, other) => other.width - one.width);
  const positions: number[] = [], normals: number[] = [], triangles: number[] = [], tints: number[] = [];
  for (const { loop, middle, width } of openings.slice(1)) {
    const first = (shape.positions.length + positions.length) / 3;
    const out = unit(sum(loop.map((vertex) => at(shape.normals, vertex))));
    const eye = Math.abs(middle[0]!) > width / 2; // the mouth lies in the middle
    const height = eye ? BULGE * width : 0;
    for (const vertex of loop) {
      const place = at(shape.positions, vertex);
      positions.push(...place);
      normals.push(...unit(out.map((o, k) => o + (eye ? (place[k]! - middle[k]!) / width : 0))));
    }
    positions.push(...middle.map((m, k) => m + height * out[k]!));
    normals.push(...out);
    loop.forEach((_, k) => triangles.push(first + k, first + ((k + 1) % loop.length), first + loop.length));
    for (let k = 0; k <= loop.length; k++) tints.push(...(eye ? EYE : MOUTH));
  }
  return {
    shape: {
      positions: Float32Array.from([...shape.positions, ...positions]),
      normals: Float32Array.from([...shape.normals, ...normals]),
      triangles: Uint32Array.from([...shape.triangles, ...triangles]),
    },
    tints: Float32Array.from(tints),
  };
}

/** Vertices along each border, in order: of every edge that only one triangle has. */
function loops({ positions, triangles }: Shape): number[][] {
  const vertices = positions.length / 3;
  const edges = new Set<number>();
  const each = (visit: (from: number, to: number) => void): void => {
    triangles.forEach((from, k) => visit(from, triangles[k % 3 === 2 ? k - 2 : k + 1]!));
  };
  each((from, to) => edges.add(from * vertices + to));
  const next = new Map<number, number>();
  each((from, to) => {
    if (!edges.has(to * vertices + from)) next.set(from, to);
  });
  const found: number[][] = [];
  while (next.size > 0) {
    const loop: number[] = [];
    let vertex: number | undefined = next.keys().next().value;
    while (vertex !== undefined && next.has(vertex)) {
      loop.push(vertex);
      const following: number = next.get(vertex)!;
      next.delete(vertex);
      vertex = following;
    }
    found.push(loop);
  }
  return found;
}

function at(values: Float32Array, vertex: number): number[] {
  return [...values.subarray(3 * vertex, 3 * vertex + 3)];
}

function sum(vectors: readonly (readonly number[])[]): number[] {
  return [0, 1, 2].map((k) => vectors.reduce((total, vector) => total + vector[k]!, 0));
}

function unit(vector: readonly number[]): number[] {
  const length = Math.hypot(...vector) || 1;
  return vector.map((v) => v / length);
}

function box(positions: Float32Array, loop: readonly number[]): { middle: number[]; width: number } {
  const places = loop.map((vertex) => at(positions, vertex));
  const across = places.map((place) => place[0]!);
  return { middle: sum(places).map((v) => v / loop.length), width: Math.max(...across) - Math.min(...across) };
}
