import assert from "node:assert/strict";
import { test } from "node:test";

import { portraitOf } from "../src/capture/camera";
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
  const listener = { offline: () => told.push("offline"), online: () => told.push("online") };
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
  assert.deepEqual(told, ["offline", "online"]);
  assert.equal(calls[0]!.headers.get("authorization"), "Bearer cap_1.secret");
});

test("a refusal is not repeated, and says which", async () => {
  const { calls, session } = answering(Response.json({ type: "/problems/conflict" }, { status: 409 }));
  await assert.rejects(session.enroll(), (fault) => fault instanceof Refused && fault.code === "conflict");
  assert.equal(calls.length, 1);
});

test("the secret leaves the address bar at once, and is found again in this tab alone", () => {
  const id = `cap_${"0".repeat(32)}`, secret = "s".repeat(43);
  const store = new Map<string, string>();
  const kept = { getItem: (k: string) => store.get(k) ?? null, setItem: (k: string, v: string) => store.set(k, v) };
  let shown = "";
  const history = { replaceState: (_: unknown, __: string, url: string) => (shown = url) };
  const open = (hash: string, pathname = `/enroll/${id}`): string | null =>
    tokenOf(
      { pathname, hash, search: "?lang=ko" } as Location, history as unknown as History, kept as unknown as Storage);
  assert.equal(open(""), null);
  assert.equal(open(`#${secret}`), `${id}.${secret}`);
  assert.equal(shown, `/enroll/${id}?lang=ko`);
  assert.equal(open(""), `${id}.${secret}`);
  assert.equal(open("", `/enroll/cap_${"1".repeat(32)}`), null);
  assert.equal(open("#short"), `${id}.${secret}`);
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
