// The capture page from its opening to its end.

import { CameraRefused, closeCamera, drawLook, openCamera, takePicture } from "./camera";
import { FilePictures } from "./files";
import { Frames } from "./frames";
import { Guide, type Target } from "./guidance";
import { openLooker, type Looker } from "./looking";
import { MeshView, readGlb } from "../shared/mesh_view";
import { element, Screen } from "./screen";
import { Refused, Session, tokenOf, type SessionState, type Verdict } from "./session";
import { STRINGS, type Language } from "./strings";

const language = (document.documentElement.lang === "ko" ? "ko" : "en") satisfies Language;
const words = STRINGS[language];
const screen = new Screen(words);
const POLL_MS = 600;

class Page {
  private readonly session: Session;
  private readonly frames: Frames;
  private readonly files: FilePictures;
  private stream: MediaStream | null = null;
  private looker: Looker | null = null;
  private running = 0;
  private guide = new Guide();
  private returnUrl = "";
  private away = false;

  constructor(token: string) {
    this.session = new Session(token, { offline: () => this.offline(), online: () => this.online() });
    this.frames = new Frames(this.session, (t, v) => this.judged(t, v), (fault) => this.failed(fault));
    this.files = new FilePictures(this.session, words, () => void this.enroll(), (fault) => this.failed(fault));
  }

  async open(): Promise<void> {
    this.listen();
    try {
      this.take(await this.session.state());
    } catch (fault) {
      this.failed(fault);
    }
  }

  private listen(): void {
    element("start").addEventListener("click", () => void this.startCamera());
    for (const id of ["upload", "camera-upload"]) element(id).addEventListener("click", () => this.startFiles());
    for (const id of ["stop", "files-back"]) element(id).addEventListener("click", () => this.toIntro());
    window.addEventListener("offline", () => this.offline());
    window.addEventListener("online", () => this.online());
    document.addEventListener("visibilitychange", () => {
      if (document.hidden && screen.shown === "camera") this.toIntro();
    });
  }

  /** Goes on where the session stands. */
  private take(state: SessionState): void {
    this.returnUrl = state.return_url;
    const wanted = new URLSearchParams(location.search).get("lang") ?? state.language;
    if ((wanted === "en" || wanted === "ko") && wanted !== language) {
      location.replace(`?lang=${wanted}`);
      return;
    }
    this.frames.reset(state.frames);
    if (state.state === "done") void this.done();
    else if (state.state === "working") void this.follow();
    else if (state.state === "spent") screen.message("spent", words.spentTitle, words.spentText, []);
    document.body.dataset["ready"] = "yes";
  }

  private toIntro(): void {
    this.stopCamera();
    screen.show("intro");
  }

  private startFiles(): void {
    this.stopCamera();
    screen.show("files");
    this.files.open();
  }

  private async startCamera(): Promise<void> {
    const run = ++this.running;
    screen.show("camera");
    screen.advise("loading", performance.now());
    screen.progress(this.frames.taken, this.frames.all);
    const video = element<HTMLVideoElement>("video");
    try {
      const [stream, looker] = await Promise.all([openCamera(video), this.looker ?? openLooker(this.session.guidanceToken)]);
      this.stream = stream;
      this.looker = looker;
    } catch (fault) {
      this.stopCamera();
      this.noCamera(fault);
      return;
    }
    if (run !== this.running) return this.stopCamera();
    if (!this.looker.onDevice) screen.banner(words.serverGuidance, "warning", 6000);
    element("stage").dataset["device"] = String(this.looker.onDevice);
    await navigator.wakeLock?.request("screen").catch(() => undefined);
    this.guide = new Guide();
    void this.watch(run, video);
  }

  private async watch(run: number, video: HTMLVideoElement): Promise<void> {
    const canvas = document.createElement("canvas");
    while (run === this.running && this.looker !== null) {
      const begun = performance.now();
      drawLook(video, canvas);
      const seen = await this.looker.look(canvas);
      if (run !== this.running) return;
      const open = this.frames.open;
      screen.target(open.find((t) => !t.passing));
      if (seen !== null) {
        const advice = this.guide.advise(seen, open, performance.now());
        screen.advise(advice.hint, performance.now());
        if (advice.take !== null) await this.capture(advice.take, video);
        if (this.frames.taken === this.frames.all) return this.finish(run);
      }
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, 50 - (performance.now() - begun))));
    }
  }

  private async capture(target: Target, video: HTMLVideoElement): Promise<void> {
    this.frames.add(target, await takePicture(video));
    if (target.passing) return;
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

  private async finish(run: number): Promise<void> {
    this.stopCamera();
    screen.show("working");
    screen.working(words.sending, 0.02);
    await this.frames.idle();
    if (this.frames.taken < this.frames.all) {
      if (run + 1 === this.running) void this.startCamera(); // the gate wants one of them again
      return;
    }
    await this.enroll();
  }

  private async enroll(): Promise<void> {
    this.stopCamera();
    screen.show("working");
    screen.working(words.stages["queued"]!, 0.05);
    try {
      this.take(await this.session.enroll());
    } catch (fault) {
      if (fault instanceof Refused && fault.status === 409) {
        this.take(await this.session.state());
        if (screen.shown === "working") screen.show("intro");
      } else this.failed(fault);
    }
  }

  private async follow(): Promise<void> {
    screen.show("working");
    for (;;) {
      let state: SessionState;
      try {
        state = await this.session.state();
      } catch (fault) {
        return this.failed(fault);
      }
      const operation = state.operation;
        if (operation === null) return this.toIntro();
      if (operation.state === "succeeded") return this.done();
      if (operation.state === "rejected" || operation.state === "failed") return this.notDone(state);
      screen.working(words.stages[operation.stage] ?? words.stages["queued"]!, 0.05 + 0.95 * operation.progress);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  private async done(): Promise<void> {
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
    this.frames.reset();
    this.files.reset();
    const failed = state.operation?.state === "failed";
    const code = state.operation?.problem?.code ?? "other";
    const reason = words.problems[code] ?? words.problems["other"]!;
    if (state.state === "spent") {
      screen.message("spent", words.spentTitle, words.spentText, []);
      return;
    }
    const text = failed ? words.failedText : `${words.rejectedText} ${reason} ${words.attempts(state.attempts_left)}`;
    screen.message(failed ? "failed" : "rejected", failed ? words.failedTitle : words.rejectedTitle, text, [
      { label: words.tryAgain, run: () => void this.startCamera() },
      { label: words.upload, run: () => this.startFiles() },
    ]);
  }

  private noCamera(fault: unknown): void {
    const refused = fault instanceof CameraRefused ? fault.reason : null;
    if (refused === null) return this.failed(fault);
    const [title, text] =
      refused === "denied" ? [words.denied, words.deniedHelp] : [words.noCamera, words.filesHelp];
    screen.message(refused, title, text, [
      { label: words.upload, run: () => this.startFiles() },
      { label: words.tryAgain, run: () => void this.startCamera() },
    ]);
  }

  private failed(fault: unknown): void {
    this.stopCamera();
    if (fault instanceof Refused && fault.status === 401) {
      screen.message("expired", words.expiredTitle, words.expiredText, []);
      return;
    }
    if (fault instanceof Refused && fault.status === 409) {
      void this.session.state().then((state) => this.take(state), () => undefined);
      return;
    }
    screen.message("failed", words.failedTitle, words.failedText, [
      { label: words.tryAgain, run: () => location.reload() },
    ]);
  }

  private stopCamera(): void {
    this.running++;
    if (this.stream !== null) closeCamera(this.stream);
    this.stream = null;
  }

  private offline(): void {
    this.away = true;
    screen.banner(navigator.onLine ? words.slow : words.offline);
  }

  private online(): void {
    if (!this.away || !navigator.onLine) return;
    this.away = false;
    screen.banner(words.online, "good", 3000);
  }
}

const token = tokenOf(location, history, sessionStorage);
if (token === null) screen.message("expired", words.expiredTitle, words.expiredText, []);
else void new Page(token).open();
