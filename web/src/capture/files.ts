// Without a camera: pictures that the person chooses, each judged as soon as it is there.

import { shrunken } from "./camera";
import { element } from "./screen";
import type { Session, Verdict } from "./session";
import type { Strings } from "./strings";

const MOST = 10;
const LEAST = 3;

export class FilePictures {
  private readonly accepted = new Set<number>();
  private shown = 0;
  private listening = false;

  constructor(
    private readonly session: Session,
    private readonly words: Strings,
    private readonly onEnough: () => void,
    private readonly onFault: (fault: unknown) => void,
  ) {}

  open(): void {
    this.update();
    if (this.listening) return;
    this.listening = true;
    const input = element<HTMLInputElement>("file");
    element("choose").addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      void this.add([...(input.files ?? [])]);
      input.value = "";
    });
    element("files-enroll").addEventListener("click", () => this.onEnough());
  }

  reset(): void {
    this.accepted.clear();
    this.shown = 0;
    element("pictures").replaceChildren();
    this.update();
  }

  private async add(files: readonly File[]): Promise<void> {
    for (const file of files) {
      const number = this.free();
      if (number === null) return;
      const item = this.item(file);
      try {
        const verdict = await this.session.sendFrame(number, await shrunken(file));
        if (verdict.accepted) this.accepted.add(number);
        this.judge(item, verdict);
      } catch (fault) {
        return this.onFault(fault);
      }
      this.update();
    }
  }

  private free(): number | null {
    for (let number = 0; number < MOST; number++) if (!this.accepted.has(number)) return number;
    return null;
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
    const told = reasons.map((name) => this.words.measures[name] ?? this.words.measures["other"]!);
    const text = verdict.accepted ? this.words.accepted : told.join(" ") || this.words.measures["other"]!;
    item.querySelector("p")!.textContent = text;
  }

  private update(): void {
    const missing = Math.max(0, LEAST - this.accepted.size);
    element("files-missing").textContent = missing > 0 ? this.words.needMore(missing) : "";
    element<HTMLButtonElement>("files-enroll").disabled = missing > 0;
  }
}
