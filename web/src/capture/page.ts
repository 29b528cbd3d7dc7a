// The capture page from its opening to its end.

import { CameraRefused } from "./camera";
import { FilePictures } from "./files";
import { Frames } from "./frames";
import { Guide, type Target } from "./guidance";
import { Kept } from "./kept";
import { Lookers } from "./looking";
import { MeshView, readGlb } from "../shared/mesh_view";
import { element, Screen, type Action } from "./screen";
import { Refused, Session, tokenOf, type SessionState, type Verdict } from "./session";
import { Sitting } from "./sitting";
import { STRINGS, type Language } from "./strings";

const language = (document.documentElement.lang === "ko" ? "ko" : "en") satisfies Language;
const words = STRINGS[language];
const screen = new Screen(words);
const POLL_MS = 600;

class Page {
  private readonly session: Session;
  private readonly frames: Frames;
  private readonly files: FilePictures;
  private readonly lookers: Lookers;
  private readonly guide: Guide;
  private readonly id: string;
  private sitting: Sitting | null = null;
  private following = false;
  private returnUrl = "";
  private away = false;

  constructor(token: string, private readonly kept: Kept) {
    this.id = token.split(".")[0]!;
    this.session = new Session(token, {
      offline: () => this.waiting(navigator.onLine ? words.slow : words.offline),
      busy: () => this.waiting(words.busy),
      online: () => this.online(),
    });
    this.frames = new Frames(this.session, (t, v) => this.judged(t, v), (fault) => this.failed(fault));
    this.files = new FilePictures(this.frames, words, () => void this.enroll());
    this.lookers = new Lookers(token);
    this.guide = new Guide(Number(kept.get("pitch", this.id) ?? 0));
  }

  open(): void {
    element("start").addEventListener("click", () => this.start());
    for (const id of ["upload", "camera-upload"]) element(id).addEventListener("click", () => this.startFiles());
    for (const id of ["stop", "files-back"]) element(id).addEventListener("click", () => this.toIntro());
    window.addEventListener("offline", () => this.waiting(words.offline));
    window.addEventListener("online", () => this.online());
    window.addEventListener("popstate", () => this.back());
    document.addEventListener("visibilitychange", () => {
      if (document.hidden && screen.shown === "camera") this.toIntro();
    });
    void this.resume();
  }

  /** Goes on where the session stands. */
  private async resume(): Promise<void> {
    try {
      this.take(await this.session.state());
    } catch (fault) {
      this.failed(fault);
    }
  }

  private take(state: SessionState): void {
    this.returnUrl = state.return_url;
    const wanted = new URLSearchParams(location.search).get("lang") ?? state.language;
    if ((wanted === "en" || wanted === "ko") && wanted !== language) {
      location.replace(`?lang=${wanted}${location.hash}`);
      return;
    }
    this.frames.reset(state.frames);
    const ended = state.operation !== null && ["rejected", "failed"].includes(state.operation.state);
    if (state.state === "done") void this.done();
    else if (state.state === "working") void this.follow();
    else if (state.state === "spent") this.end("spent", words.spentTitle, words.spentText);
    else if (ended && state.frames.length === 0) this.notDone(state);
    else this.toIntro();
    document.body.dataset["ready"] = "yes";
  }

  /** The first step, which says how far somebody is who was here before. */
  private toIntro(): void {
    this.leaveCamera();
    const { taken, all } = this.frames;
    element("start").textContent = taken === 0 ? words.start : words.goOn(taken, all);
    if (screen.shown !== "intro") screen.show("intro");
  }

  /** The browser's way back leads from a step to the first one, and from there out of the page. */
  private back(): void {
    if (screen.shown === "camera" || screen.shown === "files") this.toIntro();
    else history.back();
  }

  private within(): void {
    if (history.state !== "within") history.pushState("within", "");
  }

  private startFiles(): void {
    this.leaveCamera();
    this.within();
    screen.show("files");
    this.files.open();
  }

  private start(): void {
    if (this.frames.taken === this.frames.all) void this.finish();
    else void this.sit();
  }

  private async sit(): Promise<void> {
    this.leaveCamera();
    this.within();
    screen.show("camera");
    screen.advise("loading", performance.now());
    screen.progress(this.frames.taken, this.frames.all);
    const sitting = new Sitting(element<HTMLVideoElement>("video"), this.lookers, this.frames, this.guide, {
      looking: ({ onDevice }) => {
        element("stage").dataset["device"] = String(onDevice);
        if (!onDevice) screen.banner(words.serverGuidance, "warning", 6000);
      },
      advise: (hint, target) => {
        screen.target(target);
        screen.advise(hint, performance.now());
      },
      taken: (target) => this.taken(target),
      blind: async () => void (await this.session.state()),
    });
    this.sitting = sitting;
    try {
      if (await sitting.run()) await this.finish();
    } catch (fault) {
      if (this.sitting === sitting) this.noCamera(fault);
    }
  }

  private taken(target: Target): void {
    if (target.passing) return;
    this.kept.set("pitch", this.id, String(this.guide.pitch));
    screen.flash();
    screen.progress(this.frames.taken, this.frames.all);
    screen.tell(`${words.hints.taken}. ${words.progress(this.frames.taken, this.frames.all)}`);
  }

  private judged(target: Target, verdict: Verdict): void {
    if (verdict.accepted) return;
    screen.progress(this.frames.taken, this.frames.all);
    if (target.passing) return;
    const worst = verdict.measures.find((m) => m.verdict === "rejected")?.name ?? "other";
    const reason = words.measures[worst] ?? words.measures["other"]!;
    screen.banner(`${words.again} ${reason}`, "warning", 5000);
  }

  private async finish(): Promise<void> {
    const { sitting } = this;
    screen.show("working");
    screen.working(words.sending, 0.02);
    await this.frames.idle();
    if (this.sitting !== sitting) return;
    if (this.frames.taken < this.frames.all) void this.sit(); // the gate wants one of them again
    else await this.enroll();
  }

  private async enroll(): Promise<void> {
    this.leaveCamera();
    screen.show("working");
    screen.working(words.stages["queued"]!, 0.05);
    try {
      this.take(await this.session.enroll());
    } catch (fault) {
      this.failed(fault);
    }
  }

  private async follow(): Promise<void> {
    this.leaveCamera();
    if (this.following) return;
    this.following = true;
    screen.show("working");
    try {
      for (;;) {
        const state = await this.session.state();
        if (state.state !== "working" || state.operation === null) return this.take(state);
        const { stage, progress } = state.operation;
        screen.working(words.stages[stage] ?? words.stages["queued"]!, 0.05 + 0.95 * progress);
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    } catch (fault) {
      if (expired(fault)) this.end("sent", words.sentTitle, words.sentText);
      else this.failed(fault);
    } finally {
      this.following = false;
    }
  }

  private async done(): Promise<void> {
    this.leaveCamera();
    screen.show("done");
    const link = element<HTMLAnchorElement>("return");
    link.hidden = this.returnUrl === "";
    element("close").hidden = this.returnUrl !== "";
    if (this.returnUrl !== "") link.href = this.returnUrl;
    const canvas = element<HTMLCanvasElement>("mesh");
    try {
      new MeshView(canvas, readGlb(await this.session.mesh()));
      canvas.dataset["ready"] = "yes";
    } catch {
      canvas.hidden = element("mesh-help").hidden = true; // without WebGL the end is as clear
    }
  }

  private notDone(state: SessionState): void {
    this.leaveCamera();
    this.files.reset();
    const failed = state.operation?.state === "failed";
    const code = state.operation?.problem?.code ?? "other";
    const reason = words.problems[code] ?? words.problems["other"]!;
    const text = `${failed ? words.failedText : `${words.rejectedText} ${reason}`} ${words.attempts(state.attempts_left)}`;
    screen.message(failed ? "failed" : "rejected", failed ? words.failedTitle : words.rejectedTitle, text, [
      { label: words.tryAgain, run: () => this.start() },
      { label: words.upload, run: () => this.startFiles() },
    ]);
  }

  private noCamera(fault: unknown): void {
    this.leaveCamera();
    if (fault instanceof Refused) return this.failed(fault);
    const why = fault instanceof CameraRefused ? fault.reason : "unseen";
    const [title, text] = words.noCamera[why];
    const ways: Action[] = [
      { label: words.tryAgain, run: () => this.start() },
      { label: words.upload, run: () => this.startFiles() },
    ];
    screen.message(why, title, text, why === "denied" || why === "missing" ? ways.reverse() : ways);
  }

  private failed(fault: unknown): void {
    this.leaveCamera();
    if (expired(fault)) return this.end("expired", words.expiredTitle, words.expiredText);
    if (fault instanceof Refused && fault.status === 409) return void this.resume();
    screen.message("failed", words.failedTitle, words.failedText, [
      { label: words.tryAgain, run: () => void this.resume() },
    ]);
  }

  /** Here the page cannot go on; the app can, where it said how to come back. */
  private end(kind: string, title: string, text: string): void {
    this.leaveCamera();
    const back: Action[] = this.returnUrl === "" ? [] : [{ label: words.returnToApp, href: this.returnUrl }];
    screen.message(kind, title, text, back);
  }

  private leaveCamera(): void {
    this.sitting?.stop();
    this.sitting = null;
  }

  private waiting(text: string): void {
    this.away = true;
    screen.banner(text);
  }

  private online(): void {
    if (!this.away || !navigator.onLine) return;
    this.away = false;
    screen.banner(words.online, "good", 3000);
  }
}

function expired(fault: unknown): boolean {
  return fault instanceof Refused && fault.status === 401;
}

const kept = new Kept(() => sessionStorage);
const token = tokenOf(location, history, kept);
// A link drops what follows the #: where the secret had to stay there, it stays in the other language too.
if (location.hash !== "") element<HTMLAnchorElement>("switch").hash = location.hash;
if (token === null) {
  document.body.dataset["ready"] = "yes";
  screen.message("expired", words.expiredTitle, words.expiredText, []);
} else new Page(token, kept).open();
