// The pictures of a session on their way, one after the other: taken or chosen, sent, accepted or to be taken again.

import { TARGETS, type Target } from "./guidance";
import type { Session, Verdict } from "./session";

type Place = "open" | "sending" | "accepted";

/** So many the service keeps for one session. */
const MOST = 10;
/** So many an enrollment needs. */
const LEAST = 3;

export class Frames {
  private readonly places = new Map<number, Place>();
  /** What was put in turn before the places were set anew is not sent any more. */
  private round = 0;
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly session: Session,
    private readonly onVerdict: (target: Target, verdict: Verdict) => void,
    private readonly onFault: (fault: unknown) => void,
  ) {}

  reset(accepted: readonly number[] = []): void {
    this.round++;
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

  /** How many pictures were accepted, however they came. */
  get accepted(): number {
    return [...this.places.values()].filter((place) => place === "accepted").length;
  }

  /** How many of them an enrollment still needs. */
  get missing(): number {
    return Math.max(0, LEAST - this.accepted);
  }

  add(target: Target, picture: Blob): void {
    this.places.set(target.number, "sending");
    void this.inTurn(async (round) => {
      try {
        const verdict = await this.session.sendFrame(target.number, picture);
        if (round !== this.round) return;
        this.places.set(target.number, verdict.accepted ? "accepted" : "open");
        this.onVerdict(target, verdict);
      } catch (fault) {
        if (round === this.round) this.stopped(fault);
      }
    });
  }

  /** Sends a picture that was chosen; null: it was not sent, there is no place or no session for it any more. */
  choose(picture: () => Promise<Blob>): Promise<Verdict | null> {
    return this.inTurn(async (round) => {
      const number = this.free;
      if (number === null) return null;
      try {
        const verdict = await this.session.sendFrame(number, await picture());
        if (round !== this.round) return null;
        if (verdict.accepted) this.places.set(number, "accepted");
        return verdict;
      } catch (fault) {
        if (round === this.round) this.stopped(fault);
        return null;
      }
    });
  }

  /** When nothing is on its way any more. */
  async idle(): Promise<void> {
    for (let seen: unknown = null; seen !== this.last; ) {
      seen = this.last;
      await seen;
    }
  }

  /** From the end: the places of the poses stay free for the camera as long as there are others. */
  private get free(): number | null {
    for (let number = MOST - 1; number >= 0; number--) if (!this.places.has(number)) return number;
    return null;
  }

  private stopped(fault: unknown): void {
    this.reset([...this.places].filter(([, place]) => place === "accepted").map(([number]) => number));
    this.onFault(fault);
  }

  /** One after the other: a slow line is not divided. */
  private inTurn<T>(send: (round: number) => Promise<T | null>): Promise<T | null> {
    const round = this.round;
    const done = this.last.then(() => (round === this.round ? send(round) : null));
    this.last = done;
    return done;
  }
}
