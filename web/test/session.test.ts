import assert from "node:assert/strict";
import { test } from "node:test";

import { portraitOf } from "../src/capture/camera";
import { Frames } from "../src/capture/frames";
import { TARGETS } from "../src/capture/guidance";
import { Kept } from "../src/capture/kept";
import { observed } from "../src/capture/looking";
import { Refused, Session, tokenOf } from "../src/capture/session";
import { STRINGS } from "../src/capture/strings";
import { widened } from "../src/face/model_file";

const listeners = new Map<string, () => void>();
Object.assign(globalThis, {
  window: {
    addEventListener: (name: string, run: () => void) => listeners.set(name, run),
    removeEventListener: (name: string) => listeners.delete(name),
  },
});

function answering(...answers: (Response | Error)[]): { calls: Request[]; told: string[]; session: Session } {
  const calls: Request[] = [], told: string[] = [];
  Object.assign(globalThis, {
    fetch: async (path: string, init: RequestInit) => {
      calls.push(new Request(`http://here${path}`, { method: init.method!, headers: init.headers! }));
      const answer = answers.shift()!;
      if (answer instanceof Error) throw answer;
      return answer;
    },
  });
  const listener = {
    offline: () => told.push("offline"), busy: () => told.push("busy"), online: () => told.push("online"),
  };
  return { calls, told, session: new Session("cap_1.secret", listener) };
}

test("a request is repeated until it is answered, at once when the network is back", async () => {
  const { calls, told, session } = answering(
    new TypeError("no network"), Response.json({}, { status: 503 }), Response.json({ state: "open" }));
  const answer = session.state();
  for (let i = 0; i < 20 && calls.length < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    listeners.get("online")?.();
  }
  assert.deepEqual(await answer, { state: "open" });
  assert.equal(calls.length, 3);
  assert.deepEqual(told, ["offline", "busy", "online"]);
  assert.equal(calls[0]!.headers.get("authorization"), "Bearer cap_1.secret");
});

test("a refusal is not repeated, and says which", async () => {
  const { calls, session } = answering(Response.json({ type: "/problems/conflict" }, { status: 409 }));
  await assert.rejects(session.enroll(), (fault) => fault instanceof Refused && fault.code === "conflict");
  assert.equal(calls.length, 1);
});

/** Until `done`, as if the network came back again and again. */
async function hurried(done: () => boolean): Promise<void> {
  for (let i = 0; i < 100 && !done(); i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    listeners.get("online")?.();
  }
}

test("a service that goes on failing is not asked for ever, one that is busy is", async () => {
  const faults = answering(...Array.from({ length: 9 }, () => Response.json({}, { status: 500 })));
  const refused = assert.rejects(faults.session.state(), (fault) => fault instanceof Refused && fault.status === 500);
  await hurried(() => faults.calls.length > 3);
  await refused;
  assert.equal(faults.calls.length, 4);
  const busy = answering(...Array.from({ length: 9 }, () => Response.json({}, { status: 503 })), Response.json({}));
  const answer = busy.session.enroll();
  await hurried(() => busy.calls.length > 9);
  assert.deepEqual(await answer, {});
  assert.ok(busy.told.includes("busy"), "who waits is told why");
});

test("a picture that the service cannot read is refused by its verdict, and ends nothing", async () => {
  const { session } = answering(Response.json({ type: "/problems/unsupported-media" }, { status: 415 }));
  const verdict = await session.sendFrame(9, new Blob(["?"], { type: "image/heic" }));
  assert.deepEqual(verdict, { accepted: false, measures: [], problem: { code: "unsupported-media" } });
});

test("pictures that are chosen while others are on their way get places of their own", async () => {
  const { calls, session } = answering(...Array.from({ length: 4 }, () => Response.json({ accepted: true, measures: [] })));
  const frames = new Frames(session, () => undefined, (fault) => assert.fail(String(fault)));
  frames.reset([0]);
  const picture = async (): Promise<Blob> => new Blob(["x"], { type: "image/jpeg" });
  await Promise.all([frames.choose(picture), frames.choose(picture)]);
  assert.deepEqual(calls.map((call) => call.url.split("/").at(-1)), ["9", "8"]);
  assert.equal(frames.missing, 0);
  assert.equal(frames.open[0]!.name, "left", "the camera's poses are still to be taken");
});

test("what waits for its turn is not sent any more when the session has ended", async () => {
  const { calls, session } = answering(Response.json({}, { status: 401 }), Response.json({ accepted: true, measures: [] }));
  const faults: unknown[] = [];
  const frames = new Frames(session, () => undefined, (fault) => faults.push(fault));
  for (const target of TARGETS.slice(0, 3)) frames.add(target, new Blob(["x"], { type: "image/jpeg" }));
  await frames.idle();
  assert.deepEqual([calls.length, faults.length, frames.taken], [1, 1, 0]);
});

test("the secret leaves the address bar at once, and is found again in this tab alone", () => {
  const id = `cap_${"0".repeat(32)}`, secret = "s".repeat(43);
  const store = new Map<string, string>();
  const storage = { getItem: (k: string) => store.get(k) ?? null, setItem: (k: string, v: string) => store.set(k, v) };
  let shown = "";
  const history = { replaceState: (_: unknown, __: string, url: string) => (shown = url) } as unknown as History;
  const open = (hash: string, pathname = `/enroll/${id}`, where: Storage | null = storage as unknown as Storage) =>
    tokenOf({ pathname, hash, search: "?lang=ko" } as Location, history, new Kept(() => where));
  assert.equal(open(""), null);
  assert.equal(open(`#${secret}`), `${id}.${secret}`);
  assert.equal(shown, `/enroll/${id}?lang=ko`);
  assert.equal(open(""), `${id}.${secret}`);
  assert.equal(open("", `/enroll/cap_${"1".repeat(32)}`), null);
  assert.equal(open("#short"), `${id}.${secret}`);
  // A web view without a place to keep it, or a browser that forbids it: it stays in the address, and works.
  shown = "";
  assert.equal(open(`#${secret}`, `/enroll/${id}`, null), `${id}.${secret}`);
  const forbidden = new Kept(() => {
    throw new Error("SecurityError");
  });
  assert.equal(tokenOf({ pathname: `/enroll/${id}`, hash: `#${secret}`, search: "" } as Location, history, forbidden), `${id}.${secret}`);
  assert.equal(shown, "");
});

test("both languages say everything", () => {
  const shape = (value: unknown): unknown =>
    typeof value === "object" && value !== null
      ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, shape(v)]))
      : typeof value;
  assert.deepEqual(shape(STRINGS.ko), shape(STRINGS.en));
  const texts = JSON.stringify(STRINGS.ko, (k, v) => (["switchTo"].includes(k) ? undefined : v));
  assert.doesNotMatch(texts.replace(/"[\w-]+":/g, ""), /[a-z]{3}/);
});

test("a portrait is the middle of any picture", () => {
  assert.deepEqual(portraitOf(1280, 720), { x: 370, y: 0, width: 540, height: 720 });
  assert.deepEqual(portraitOf(720, 1280), { x: 0, y: 160, width: 720, height: 960 });
});

test("the gate's measures guide as the face model does", () => {
  const measure = (name: string, raw: number, verdict = "good") => ({ name, raw, verdict });
  const face = [measure("yaw", 24), measure("pitch", -2), measure("roll", 1), measure("face_size", 67.2)];
  const seen = observed({ measures: [measure("face_count", 1), ...face] } as never, 320);
  assert.deepEqual([seen?.faces, seen?.yaw, seen?.height], [1, 24, 0.5]);
  assert.equal(observed({ measures: [measure("face_count", 2, "rejected"), ...face] } as never, 320)?.faces, 2);
  assert.equal(observed({ measures: [measure("face_count", 0, "rejected")] } as never, 320)?.faces, 0);
  assert.equal(observed({ busy: true } as never, 320), null);
});

test("half precision widens exactly", () => {
  const halves = Uint16Array.of(0x0000, 0x3c00, 0xc000, 0x3555, 0x0001, 0x7bff);
  const wanted = [0, 1, -2, 0.333251953125, 2 ** -24, 65504];
  assert.deepEqual([...widened(halves)], wanted);
});
