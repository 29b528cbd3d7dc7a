// What the page shows: one section at a time, the arc, the words, and what a screen reader hears.

import type { Hint, Target } from "./guidance";
import type { Strings } from "./strings";

export type SectionName = "intro" | "camera" | "files" | "working" | "done" | "message";
const SECTIONS: readonly SectionName[] = ["intro", "camera", "files", "working", "done", "message"];

/** A way on from a message: something to do, or somewhere to go. */
export type Action = { readonly label: string } & ({ readonly run: () => void } | { readonly href: string });

export function element<T extends Element = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no ${id}`);
  return found as unknown as T;
}

/** Arrow of a hint, as in the mirrored preview: the person's left is on the left. */
const ARROWS: Partial<Record<Hint, string>> = {
  turnLeft: "left", turnRight: "right", chinUp: "up", chinDown: "down",
};
const SETTLED_MS = 500;
const REPEAT_MS = 6000;

export class Screen {
  private section: SectionName = "intro";
  private hint: Hint | null = null;
  private hintSince = 0;
  private told = "";
  private toldAt = 0;
  private bannerTimer = 0;

  constructor(readonly words: Strings) {}

  get shown(): SectionName {
    return this.section;
  }

  /** Moves the focus to the section's heading, so that a screen reader reads on from there. */
  show(name: SectionName): void {
    this.section = name;
    for (const each of SECTIONS) element(each).hidden = each !== name;
    document.body.dataset["section"] = name;
    element(name).querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }

  advise(hint: Hint, now: number): void {
    if (hint !== this.hint) {
      this.hint = hint;
      this.hintSince = now;
      const stage = element("stage");
      stage.dataset["hint"] = hint;
      stage.dataset["arrow"] = ARROWS[hint] ?? "";
      element("hint").textContent = this.words.hints[hint];
    }
    const text = this.words.hints[hint];
    const due = text !== this.told || now - this.toldAt > REPEAT_MS;
    if (now - this.hintSince > SETTLED_MS && due && hint !== "taken") this.tell(text, now);
  }

  /** For a screen reader alone: what is seen changes too often to be read out. */
  tell(text: string, now = performance.now()): void {
    this.told = text;
    this.toldAt = now;
    const live = element("live");
    live.textContent = "";
    live.textContent = text;
  }

  progress(done: number, all: number): void {
    arc("arc", done / all);
    element("count").textContent = this.words.progress(done, all);
  }

  target(target: Target | undefined): void {
    element("stage").dataset["target"] = target?.name ?? "";
  }

  flash(): void {
    const stage = element("stage");
    stage.classList.remove("flash");
    void stage.offsetWidth; // starts the animation anew
    stage.classList.add("flash");
    navigator.vibrate?.(30);
  }

  working(stage: string, share: number): void {
    element("stage-name").textContent = stage;
    arc("work-arc", share);
  }

  banner(text: string, kind: "warning" | "good" = "warning", milliseconds = 0): void {
    clearTimeout(this.bannerTimer);
    const banner = element("banner");
    banner.textContent = text;
    banner.dataset["kind"] = kind;
    banner.hidden = text === "";
    if (milliseconds > 0) this.bannerTimer = window.setTimeout(() => (banner.hidden = true), milliseconds);
  }

  /** The message section with its ways on. */
  message(kind: string, title: string, text: string, actions: readonly Action[]): void {
    element("message").dataset["kind"] = kind;
    element("message-title").textContent = title;
    element("message-text").textContent = text;
    const ways = actions.map((action, number) => {
      const way = "href" in action ? linkTo(action.href) : buttonFor(action.run);
      way.className = number === 0 ? "button primary" : "button";
      way.textContent = action.label;
      return way;
    });
    element("message-actions").replaceChildren(...ways);
    this.show("message");
    this.tell(`${title}. ${text}`);
  }
}

function buttonFor(run: () => void): HTMLElement {
  const button = document.createElement("button");
  button.type = "button";
  button.addEventListener("click", run);
  return button;
}

function linkTo(href: string): HTMLElement {
  const link = document.createElement("a");
  link.rel = "noreferrer";
  link.href = href;
  return link;
}

function arc(id: string, share: number): void {
  element<SVGElement>(id).setAttribute("stroke-dashoffset", String(100 - 100 * Math.min(Math.max(share, 0), 1)));
}
