// Without a camera: pictures that the person chooses, each judged as soon as it is there.

import { shrunken } from "./camera";
import type { Frames } from "./frames";
import { element } from "./screen";
import type { Verdict } from "./session";
import type { Strings } from "./strings";

export class FilePictures {
  private shown = 0;
  private listening = false;

  constructor(
    private readonly frames: Frames,
    private readonly words: Strings,
    private readonly onEnough: () => void,
  ) {}

  open(): void {
    this.update();
    if (this.listening) return;
    this.listening = true;
    const input = element<HTMLInputElement>("file");
    element("choose").addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      for (const file of input.files ?? []) void this.add(file);
      input.value = "";
    });
    element("files-enroll").addEventListener("click", () => this.onEnough());
  }

  reset(): void {
    this.shown = 0;
    element("pictures").replaceChildren();
    this.update();
  }

  private async add(file: File): Promise<void> {
    const item = this.item(file);
    const verdict = await this.frames.choose(() => shrunken(file));
    if (verdict === null) item.remove();
    else this.judge(item, verdict);
    this.update();
  }

  private item(file: File): HTMLLIElement {
    const item = document.createElement("li");
    const image = document.createElement("img");
    image.src = URL.createObjectURL(file);
    image.alt = this.words.picture(++this.shown);
    image.onload = image.onerror = () => URL.revokeObjectURL(image.src);
    const text = document.createElement("p");
    text.textContent = this.words.checking;
    item.append(image, text);
    element("pictures").append(item);
    return item;
  }

  private judge(item: HTMLLIElement, verdict: Verdict): void {
    item.dataset["verdict"] = verdict.accepted ? "good" : "rejected";
    const reasons = verdict.measures.filter((m) => m.verdict === "rejected").map((m) => m.name);
    if (verdict.problem !== null && reasons.length === 0) reasons.push("unreadable");
    const told = reasons.map((name) => this.words.measures[name] ?? this.words.measures["other"]!);
    const text = verdict.accepted ? this.words.accepted : told.join(" ") || this.words.measures["other"]!;
    item.querySelector("p")!.textContent = text;
  }

  private update(): void {
    const { accepted, missing } = this.frames;
    // Those that the camera took count too, and are not among the pictures below.
    const there = accepted > 0 ? this.words.have(accepted) : "";
    element("files-missing").textContent = `${there} ${missing > 0 ? this.words.needMore(missing) : ""}`.trim();
    element<HTMLButtonElement>("files-enroll").disabled = missing > 0;
  }
}
