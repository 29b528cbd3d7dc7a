// The frames of a session on their way: taken, sent one by one, accepted or to be taken again.

import { TARGETS, type Target } from "./guidance";
import type { Session, Verdict } from "./session";

type Place = "open" | "sending" | "accepted";

export class Frames {
  private readonly places = new Map<number, Place>();
  private readonly waiting: { target: Target; picture: Blob }[] = [];
  private busy = 0;
  private settled: (() => void)[] = [];

  constructor(
    private readonly session: Session,
    private readonly onVerdict: (target: Target, verdict: Verdict) => void,
    private readonly onFault: (fault: unknown) => void,
  ) {}

  reset(accepted: readonly number[] = []): void {
    this.places.clear();
    for (const number of accepted) this.places.set(number, "accepted");
  }

  get open(): Target[] {
    return TARGETS.filter((t) => (this.places.get(t.number) ?? "open") === "open");
  }

  /** Of the poses that are waited for. */
  get taken(): number {
    return this.all - this.open.filter((t) => !t.passing).length;
  }

  get all(): number {
    return TARGETS.filter((t) => !t.passing).length;
  }

  add(target: Target, picture: Blob): void {
    this.places.set(target.number, "sending");
    this.waiting.push({ target, picture });
    void this.send();
  }

  /** When nothing is on its way any more. */
  idle(): Promise<void> {
    return this.busy === 0 && this.waiting.length === 0
      ? Promise.resolve()
      : new Promise((resolve) => this.settled.push(resolve));
  }

  private async send(): Promise<void> {
    if (this.busy > 0) return; // one after the other: a slow line is not divided
    for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift()) {
      this.busy = 1;
      try {
        const verdict = await this.session.sendFrame(next.target.number, next.picture);
        this.places.set(next.target.number, verdict.accepted ? "accepted" : "open");
        this.onVerdict(next.target, verdict);
      } catch (fault) {
        this.places.set(next.target.number, "open");
        this.onFault(fault);
      }
      this.busy = 0;
    }
    for (const done of this.settled.splice(0)) done();
  }
}
