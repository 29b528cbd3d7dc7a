// Holds the networks on the device against those of the service: FACE_CASES names a folder with what the service
// computes (tests/browser/test_face_model.py makes it).

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { headAngles } from "../src/face/landmarks";
import { loadKernel, Network } from "../src/face/network";
import { Observer } from "../src/face/observe";

const folder = process.env["FACE_CASES"];
const code = readFileSync(new URL("../kernel.wasm", import.meta.url));

function file(name: string): ArrayBuffer {
  const bytes = readFileSync(join(folder!, name));
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
}

interface Case {
  readonly width: number;
  readonly height: number;
  readonly angles: Record<"yaw" | "pitch" | "roll", number>;
}

test("the networks give the service's numbers", { skip: folder === undefined }, async () => {
  const kernel = await loadKernel(code);
  const outputs = JSON.parse(readFileSync(join(folder!, "networks.json"), "utf8")) as Record<string, string[]>;
  for (const [model, names] of Object.entries(outputs)) {
    const network = new Network(kernel, file(`${model}.tflite`));
    for (const round of [1, 2]) {
      const found = network.run(new Float32Array(file(`${model}.input`)));
      for (const name of names) {
        const wanted = new Float32Array(file(`${model}.${name}`));
        const got = found.get(name)!;
        assert.equal(got.length, wanted.length, `${name}, run ${round}`);
        wanted.forEach((value, i) => assert.ok(Math.abs(got[i]! - value) < 1e-3 * Math.max(1, Math.abs(value))));
      }
    }
  }
});

test("a head is turned as the gate says it is", { skip: folder === undefined }, async () => {
  const cases = JSON.parse(readFileSync(join(folder!, "pictures.json"), "utf8")) as Record<string, Case>;
  for (const [name, { width, height, angles }] of Object.entries(cases)) {
    const observer = await Observer.load(
      code, file("face-detection-short-range.tflite"), file("face-landmark.tflite"));
    const picture = { width, height, data: new Uint8ClampedArray(file(`${name}.rgba`)) };
    observer.observe(picture);
    const seen = observer.observe(picture);
    assert.equal(seen.faces, 1, name);
    for (const angle of ["yaw", "pitch", "roll"] as const) {
      assert.ok(Math.abs(seen[angle] - angles[angle]) < 4, `${name}: ${angle} ${seen[angle]}, not ${angles[angle]}`);
    }
  }
});

test("angles of points that are turned by known ones", () => {
  // Mirrored pairs on the x axis, chin and top on the y axis: a head without a face.
  const points = new Float32Array(468 * 3);
  const put = (i: number, x: number, y: number, z: number, roll: number): void => {
    const [c, s] = [Math.cos(roll), Math.sin(roll)];
    points.set([c * x + s * y, -(c * y - s * x), -z], 3 * i); // counterclockwise in the picture for roll > 0
  };
  for (const roll of [0, 0.3, -0.2]) {
    for (const [right, left] of [[33, 263], [133, 362], [234, 454], [127, 356], [61, 291], [58, 288]] as const) {
      put(right, -40, 0, 0, -roll);
      put(left, 40, 0, 0, -roll);
    }
    put(10, 0, 90, 0, -roll);
    put(152, 0, -90, 0, -roll);
    const found = headAngles({ points, presence: 1 });
    assert.ok(Math.abs(found.yaw) < 1e-6 && Math.abs(found.pitch) < 1e-6);
    assert.ok(Math.abs(found.roll - (roll * 180) / Math.PI) < 1e-4);
  }
});
