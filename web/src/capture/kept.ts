// What this tab remembers of a session until it is closed, for a page that is loaded again. A browser may have no
// place for it: web views of apps often have none.

const PREFIX = "recon.capture.";

export class Kept {
  private readonly storage: Storage | null;

  /** open: may fail or give nothing, where the browser keeps nothing. */
  constructor(open: () => Storage | null) {
    let storage: Storage | null = null;
    try {
      storage = open();
    } catch {
      // then nothing is kept
    }
    this.storage = storage;
  }

  /** Whether it will be found again. */
  set(name: string, session: string, value: string): boolean {
    try {
      this.storage?.setItem(PREFIX + name, `${session}.${value}`);
    } catch {
      return false;
    }
    return this.get(name, session) === value;
  }

  /** null: nothing is kept for this session. */
  get(name: string, session: string): string | null {
    const found = this.storage?.getItem(PREFIX + name) ?? "";
    return found.startsWith(`${session}.`) ? found.slice(session.length + 1) : null;
  }
}
