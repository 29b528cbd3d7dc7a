// The viewer: a template's shape with what is known about it, for operations and developers.

import { MeshView, readGlb } from "../shared/mesh_view";
import { colorOf, growing, reachOf, signed, tints, unpack, type Scale } from "./colors";

interface Template {
  readonly template_id: string;
  readonly state?: string;
  readonly source: string;
  readonly calibration: string;
  readonly quality: number;
  readonly created_at: string;
}

interface Inspection {
  readonly width: string;
  readonly regions: Readonly<Record<string, number>>;
  readonly residual: string | null;
  readonly overlays: readonly string[];
  readonly distance: string | null;
  readonly verification: {
    readonly decision: string;
    readonly score: number | null;
    readonly evidence: Readonly<Record<string, number>>;
    readonly reasons: readonly { readonly code: string; readonly hint: string }[];
    readonly calibration: string;
    readonly policy: string;
  } | null;
}

interface Layer {
  readonly values: Float32Array;
  readonly scale: Scale;
  readonly meaning: string;
}

function element<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

class Viewer {
  private view: MeshView | null = null;
  private readonly layers = new Map<string, Layer>();
  private templates: readonly Template[] = [];

  constructor(private readonly key: string, private readonly subject: string) {}

  async open(): Promise<void> {
    const body = (await this.json("GET", "templates")) as { templates: Template[] };
    this.templates = body.templates;
    const select = element<HTMLSelectElement>("template");
    select.replaceChildren(
      ...body.templates.map((t) => {
        const state = t.state === undefined ? "" : `, ${t.state}`;
        return new Option(`${t.created_at.slice(0, 16).replace("T", " ")}${state}`, t.template_id);
      }),
    );
    const active = body.templates.find((t) => t.state === "active");
    if (active !== undefined) select.value = active.template_id;
    if (body.templates.length === 0) throw new Error("The subject has no template yet.");
    element("found").hidden = false;
    await this.show();
  }

  /** The chosen template anew. */
  async show(): Promise<void> {
    this.layers.clear();
    for (const input of radios()) {
      input.disabled = input.value !== "clay";
      input.checked = input.value === "clay";
    }
    element("overlays").replaceChildren();
    element("score").hidden = true;
    const [mesh, found] = await Promise.all([
      this.request("GET", `${this.path}/mesh.glb`), this.json("GET", `${this.path}/inspection`),
    ]);
    this.view?.close();
    const canvas = element<HTMLCanvasElement>("mesh");
    const fresh = canvas.cloneNode() as HTMLCanvasElement; // a lost WebGL context does not come back to its canvas
    canvas.replaceWith(fresh);
    this.view = new MeshView(fresh, readGlb(await mesh.arrayBuffer()));
    fresh.dataset["ready"] = "yes";
    this.take(found as Inspection);
    this.describe();
    this.paint();
  }

  async selfies(): Promise<void> {
    const found = (await this.json("GET", `${this.path}/inspection?selfies=true`)) as Inspection;
    this.take(found);
    const note = found.overlays.length === 0 ? "No selfies are kept of this enrollment." : "Each selfie, and the fitted mesh over it.";
    element("selfies-note").textContent = note;
    element("overlays").replaceChildren(
      ...found.overlays.map((content, number) => {
        const image = new Image();
        image.src = `data:image/png;base64,${content}`;
        image.alt = `Selfie ${number + 1} and the fitted mesh over it`;
        return image;
      }),
    );
    if (found.residual !== null) this.choose("residual");
  }

  async capture(form: FormData): Promise<void> {
    const found = (await this.json("POST", `${this.path}/inspection`, form)) as Inspection;
    this.take(found);
    const verification = found.verification;
    element("score").hidden = verification === null;
    if (verification !== null) {
      element("decision").textContent = verification.decision;
      element("llr").textContent =
        verification.score === null ? "no score" : `log-likelihood ratio ${verification.score.toFixed(2)} (${verification.policy})`;
      rows("parts", Object.entries(verification.evidence).map(([kind, llr]) => [kind, llr, `${llr.toFixed(2)}`]));
      element("reasons").textContent = verification.reasons.map((r) => `${r.code}: ${r.hint}`).join(" ");
    }
    if (found.distance !== null) this.choose("distance");
    else say("No frame could be laid on the template.");
  }

  paint(): void {
    const chosen = radios().find((input) => input.checked)?.value ?? "clay";
    const layer = this.layers.get(chosen);
    this.view?.paint(layer === undefined ? null : tints(layer.values, layer.scale));
    const legend = element("legend");
    legend.hidden = layer === undefined;
    legend.dataset["layer"] = chosen;
    if (layer === undefined) return;
    const { low, high } = layer.scale;
    element("low").textContent = `${low} mm`;
    element("high").textContent = `${high} mm`;
    element("meaning").textContent = layer.meaning;
    const context = element<HTMLCanvasElement>("ramp").getContext("2d")!;
    for (let x = 0; x < 256; x++) {
      context.fillStyle = `rgb(${colorOf(low + ((high - low) * x) / 255, layer.scale).join(" ")})`;
      context.fillRect(x, 0, 1, 1);
    }
  }

  private take(found: Inspection): void {
    this.layer("width", found.width, growing, "Standard deviation of the surface along its normal.");
    this.layer("residual", found.residual, growing, "How far the selfies' landmarks lie from the fit, at the face.");
    this.layer(
      "distance", found.distance, signed, "Depth surface from the template: red outside, blue inside, gray not seen.");
    const regions = Object.entries(found.regions).map(([name, mm]): Row => [name, mm, `${mm.toFixed(2)} mm`]);
    rows("regions", regions);
  }

  private layer(name: string, packed: string | null, scale: (reach: number) => Scale, meaning: string): void {
    if (packed === null) return;
    const values = unpack(packed);
    const known = values.filter((v) => !Number.isNaN(v));
    const mean = Math.sqrt(known.reduce((sum, v) => sum + v * v, 0) / Math.max(known.length, 1));
    const text = `${meaning} Root mean square ${mean.toFixed(2)} mm.`;
    this.layers.set(name, { values, scale: scale(reachOf(values)), meaning: text });
    for (const input of radios()) if (input.value === name) input.disabled = false;
  }

  private choose(name: string): void {
    for (const input of radios()) input.checked = input.value === name;
    this.paint();
  }

  private describe(): void {
    const id = element<HTMLSelectElement>("template").value;
    const template = this.templates.find((t) => t.template_id === id);
    if (template === undefined) return;
    const facts = { Source: template.source, Quality: `${template.quality} of 100`, Calibration: template.calibration };
    element("about").replaceChildren(
      ...Object.entries(facts).flatMap(([term, text]) => [cell("dt", term), cell("dd", text)]));
  }

  private get path(): string {
    return `templates/${element<HTMLSelectElement>("template").value}`;
  }

  private async json(method: string, path: string, body?: FormData): Promise<unknown> {
    return (await this.request(method, path, body)).json();
  }

  private async request(method: string, path: string, body?: FormData): Promise<Response> {
    const answer = await fetch(`/v1/subjects/${encodeURIComponent(this.subject)}/${path}`, {
      method, body: body ?? null, headers: { Authorization: `Bearer ${this.key}` }, credentials: "omit", cache: "no-store",
    });
    if (answer.ok) return answer;
    const problem = (await answer.json().catch(() => ({}))) as { detail?: string; next_step?: string };
    throw new Error(`${problem.detail ?? answer.status} ${problem.next_step ?? ""}`);
  }
}

type Row = [name: string, size: number, text: string];

function rows(id: string, entries: readonly Row[]): void {
  const most = Math.max(...entries.map(([, size]) => Math.abs(size)), 1e-9);
  element(id).replaceChildren(
    ...entries.map(([name, size, text]) => {
      const row = document.createElement("tr");
      const bar = document.createElement("meter");
      bar.max = most;
      bar.value = Math.abs(size);
      const middle = document.createElement("td");
      middle.append(bar);
      row.append(cell("th", name), middle, cell("td", text));
      return row;
    }),
  );
}

function cell(kind: string, text: string): HTMLElement {
  const made = document.createElement(kind);
  made.textContent = text;
  return made;
}

function radios(): HTMLInputElement[] {
  return [...document.querySelectorAll<HTMLInputElement>("input[name=layer]")];
}

function say(text: string): void {
  const banner = element("banner");
  banner.textContent = text;
  banner.hidden = text === "";
}

let viewer: Viewer | null = null;

/** Runs while the page says so, and tells what went wrong. */
async function doing(work: () => Promise<void> | undefined): Promise<void> {
  say("");
  document.body.dataset["busy"] = "yes";
  try {
    await work();
  } catch (fault) {
    say(fault instanceof Error ? fault.message : String(fault));
  }
  delete document.body.dataset["busy"];
}

element<HTMLFormElement>("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  viewer = new Viewer(element<HTMLInputElement>("key").value.trim(), element<HTMLInputElement>("subject").value.trim());
  void doing(() => viewer?.open());
});
element("template").addEventListener("change", () => void doing(() => viewer?.show()));
element("layers").addEventListener("change", () => viewer?.paint());
element("selfies").addEventListener("click", () => void doing(() => viewer?.selfies()));
element<HTMLFormElement>("capture").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData();
  for (const file of element<HTMLInputElement>("depth").files ?? []) form.append("depth", file);
  for (const file of element<HTMLInputElement>("image").files ?? []) form.append("image", file);
  form.append("intrinsics", element<HTMLTextAreaElement>("intrinsics").value);
  void doing(() => viewer?.capture(form));
});
