import assert from "node:assert/strict";
import { test } from "node:test";

import { Guide, LIMITS, TARGETS, type Hint, type Target } from "../src/capture/guidance";
import { NOBODY, type Observation } from "../src/face/observe";

const GOOD: Observation = {
  faces: 1, yaw: 0, pitch: 3, roll: 0, height: 0.5, x: 0.5, y: 0.5, light: 140, glare: 0, inFrame: true,
};
const named = (name: string): Target => TARGETS.find((t) => t.name === name)!;

/** Look after look at the same thing. */
function looks(guide: Guide, seen: Observation, open: readonly Target[], times: number, from = 0) {
  return Array.from({ length: times }, (_, i) => guide.advise(seen, open, from + 60 * i));
}

const wrong: [Partial<Observation>, Hint][] = [
  [NOBODY, "noFace"],
  [{ ...NOBODY, light: 12 }, "moreLight"],
  [{ faces: 2 }, "twoFaces"],
  [{ light: 20 }, "moreLight"],
  [{ light: 240 }, "lessLight"],
  [{ height: 0.2 }, "closer"],
  [{ height: 0.9 }, "farther"],
  [{ x: 0.15 }, "center"],
  [{ inFrame: false }, "center"],
  [{ roll: 30 }, "upright"],
  [{ glare: 0.2 }, "glasses"],
  [{ yaw: 25 }, "lookAhead"],
];
for (const [change, hint] of wrong) {
  test(`nothing is taken, and the word is ${hint}, when ${JSON.stringify(change)}`, () => {
    const advice = looks(new Guide(), { ...GOOD, ...change }, TARGETS, 10);
    assert.ok(advice.every((a) => a.hint === hint && a.take === null));
  });
}

test("a pose is taken after it was held still, never at once", () => {
  const advice = looks(new Guide(), GOOD, TARGETS, LIMITS.steadyLooks + 1);
  assert.deepEqual(advice.slice(0, -1).map((a) => a.take), Array(LIMITS.steadyLooks).fill(null));
  assert.equal(advice.at(-1)!.take?.name, "front");
});

test("a head that moves is told to hold still, and not taken", () => {
  const guide = new Guide();
  for (let i = 0; i < 20; i++) {
    const advice = guide.advise({ ...GOOD, yaw: i % 2 ? 7 : -7 }, TARGETS, 60 * i);
    assert.deepEqual([advice.hint, advice.take], ["holdStill", null]);
  }
});

test("each pose is asked for by its own word, in both directions", () => {
  const words = (seen: Partial<Observation>, target: string): Hint =>
    new Guide(3).advise({ ...GOOD, ...seen }, [named(target)], 0).hint;
  assert.equal(words({ yaw: 0 }, "left"), "turnLeft");
  assert.equal(words({ yaw: 60 }, "left"), "turnLess");
  assert.equal(words({ yaw: 0 }, "right"), "turnRight");
  assert.equal(words({ yaw: -60 }, "right"), "turnLess");
  assert.equal(words({ pitch: 3 }, "up"), "chinUp");
  assert.equal(words({ pitch: 50 }, "up"), "chinDown");
  assert.equal(words({ pitch: 3 }, "down"), "chinDown");
  assert.equal(words({ yaw: 30 }, "up"), "lookAhead");
});

test("chin up and down count from how the head was held in front", () => {
  const guide = new Guide();
  looks(guide, { ...GOOD, pitch: -12 }, TARGETS, LIMITS.steadyLooks + 1);
  const open = [named("up")];
  assert.equal(looks(guide, { ...GOOD, pitch: -2 }, open, LIMITS.steadyLooks + 1).at(-1)!.take?.name, "up");
});

test("somebody who goes on after a pause is asked for chin up and down as before", () => {
  const guide = new Guide();
  looks(guide, { ...GOOD, pitch: 12 }, TARGETS, LIMITS.steadyLooks + 1);
  guide.again();
  const open = [named("up")];
  assert.equal(looks(guide, { ...GOOD, pitch: 12 }, open, 10).at(-1)!.hint, "chinUp");
  assert.equal(guide.advise({ ...GOOD, pitch: 12 }, open, 0).take, null, "straight ahead is not up");
  assert.equal(new Guide(guide.pitch).advise({ ...GOOD, pitch: 12 }, open, 0).hint, "chinUp", "nor for a page loaded again");
});

test("half-turned pictures are taken in passing, while the way goes on", () => {
  const guide = new Guide(3);
  const open = [named("left"), named("half-left")];
  const advice = looks(guide, { ...GOOD, yaw: 14 }, open, 2);
  assert.equal(advice[1]!.hint, "turnLeft");
  assert.equal(advice[1]!.take?.name, "half-left");
});

test("glasses that go on mirroring stop nobody for ever", () => {
  const guide = new Guide();
  const seen = { ...GOOD, glare: 0.2 };
  assert.equal(guide.advise(seen, TARGETS, 0).hint, "glasses");
  const later = looks(guide, seen, TARGETS, LIMITS.steadyLooks + 2, LIMITS.patienceWithGlareMs + 1);
  assert.ok(later.some((a) => a.take?.name === "front"));
});

test("a source that cannot tell where the face is still guides", () => {
  const seen = { ...GOOD, x: null, y: null };
  assert.equal(looks(new Guide(), seen, TARGETS, LIMITS.steadyLooks + 1).at(-1)!.take?.name, "front");
});
