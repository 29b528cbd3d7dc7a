// Runs a model file with the kernel: a plan is made once, then every run is a list of calls.

import { readModel, type Model, type Operator } from "./model_file";

/** What the compiled kernel exports; see src/kernel/kernel.ts. */
export interface Kernel {
  readonly memory: WebAssembly.Memory;
  multiply(input: number, w: number, bias: number, out: number, pixels: number, k: number, n: number): void;
  windows(
    input: number, out: number, h: number, w: number, c: number, oh: number, ow: number, side: number,
    stride: number, top: number, left: number,
  ): void;
  depthwise(
    input: number, w: number, bias: number, out: number, h: number, wd: number, c: number, oh: number, ow: number,
    side: number, stride: number, top: number, left: number,
  ): void;
  largest(
    input: number, out: number, wd: number, c: number, oh: number, ow: number, side: number, stride: number,
  ): void;
  add(a: number, b: number, out: number, count: number): void;
  rectify(input: number, slope: number, out: number, pixels: number, c: number): void;
  place(
    input: number, out: number, h: number, w: number, c: number, ow: number, oc: number, top: number, left: number,
  ): void;
}

/** Where a tensor lies. places: of one pixel's channels in memory, a multiple of four. */
interface Placed {
  readonly at: number;
  readonly h: number;
  readonly w: number;
  readonly c: number;
  readonly places: number;
}

type Step = () => void;
/** First free address of each memory; several networks share one. */
const ends = new WeakMap<WebAssembly.Memory, number>();
const four = (n: number): number => 4 * Math.ceil(n / 4);

export async function loadKernel(code: BufferSource): Promise<Kernel> {
  const { instance } = await WebAssembly.instantiate(code, {
    env: { abort: () => { throw new Error("the kernel stopped"); } },
  });
  return instance.exports as unknown as Kernel;
}

export class Network {
  private readonly model: Model;
  private readonly placed = new Map<number, Placed>();
  private readonly steps: Step[] = [];
  private readonly results = new Map<number, Float32Array>();
  private readonly input: Placed;

  constructor(private readonly kernel: Kernel, file: ArrayBuffer) {
    this.model = readModel(file);
    this.input = this.reserve(this.model.input);
    for (const operator of this.model.operators) this.plan(operator);
  }

  /** pixels: (h, w, 3) in the order of the picture. The outputs by name, valid until the next run. */
  run(pixels: Float32Array): ReadonlyMap<string, Float32Array> {
    const { at, c, places } = this.input;
    const memory = new Float32Array(this.kernel.memory.buffer);
    for (let i = 0, to = at / 4; i < pixels.length; i += c, to += places) {
      for (let k = 0; k < c; k++) memory[to + k] = pixels[i + k]!;
    }
    for (const step of this.steps) step();
    const out = new Map<string, Float32Array>();
    for (const number of this.model.outputs) {
      out.set(this.model.tensors[number]!.name, this.results.get(number) ?? this.unpacked(this.at(number)));
    }
    return out;
  }

  private plan(operator: Operator): void {
    const [first, second, third] = operator.inputs;
    const out = operator.outputs[0]!;
    switch (operator.kind) {
      case "widen": // half-precision weights were widened when they were read
        Object.assign(this.model.tensors[out]!, { values: this.model.tensors[first!]!.values });
        return;
      case "convolve":
        return this.planConvolution(operator, first!, second!, third!, out);
      case "depthwise":
        return this.planDepthwise(operator, first!, second!, third!, out);
      case "pool":
        return this.planPool(operator, first!, out);
      case "add": {
        const a = this.at(first!), b = this.at(second!), to = this.reserve(out);
        this.steps.push(() => this.kernel.add(a.at, b.at, to.at, a.h * a.w * a.places));
        return this.planRelu(operator, to);
      }
      case "relu":
      case "prelu": {
        const from = this.at(first!), to = this.reserve(out);
        const slope = this.store(
          padded(operator.kind === "prelu" ? this.weights(second!) : new Float32Array(from.c), 1, from.c),
        );
        this.steps.push(() => this.kernel.rectify(from.at, slope, to.at, from.h * from.w, from.places));
        return;
      }
      case "pad":
        return this.planPad(first!, second!, out);
      case "reshape":
        this.steps.push(() => this.results.set(out, this.values(first!)));
        return;
      case "concatenate":
        this.steps.push(() => this.results.set(out, joined(operator.inputs.map((i) => this.values(i)))));
        return;
      default:
        throw new Error(`operator ${operator.kind} is not planned`);
    }
  }

  private planConvolution(operator: Operator, first: number, second: number, third: number, out: number): void {
    const from = this.at(first), to = this.reserve(out);
    const side = operator.side;
    // (out, side, side, in) becomes (side · side · in, out), each with its padding.
    const given = this.weights(second);
    const turned = new Float32Array(side * side * from.places * to.places);
    for (let o = 0; o < to.c; o++) {
      for (let s = 0; s < side * side; s++) {
        for (let i = 0; i < from.c; i++) {
          turned[(s * from.places + i) * to.places + o] = given[(o * side * side + s) * from.c + i]!;
        }
      }
    }
    const weights = this.store(turned);
    const bias = this.store(padded(this.weights(third), 1, to.c));
    const pixels = to.h * to.w;
    if (side === 1 && operator.stride === 1) {
      this.steps.push(() =>
        this.kernel.multiply(from.at, weights, bias, to.at, pixels, from.places, to.places));
    } else {
      const width = side * side * from.places;
      const scratch = this.allocate(pixels * width);
      const [top, left] = margins(operator, from, to);
      this.steps.push(() => {
        this.kernel.windows(
          from.at, scratch, from.h, from.w, from.places, to.h, to.w, side, operator.stride, top, left);
        this.kernel.multiply(scratch, weights, bias, to.at, pixels, width, to.places);
      });
    }
    this.planRelu(operator, to);
  }

  private planDepthwise(operator: Operator, first: number, second: number, third: number, out: number): void {
    const from = this.at(first), to = this.reserve(out);
    const side = operator.side;
    const weights = this.store(padded(this.weights(second), side * side, from.c));
    const bias = this.store(padded(this.weights(third), 1, from.c));
    const [top, left] = margins(operator, from, to);
    this.steps.push(() =>
      this.kernel.depthwise(
        from.at, weights, bias, to.at, from.h, from.w, from.places, to.h, to.w, side, operator.stride, top, left));
    this.planRelu(operator, to);
  }

  private planPool(operator: Operator, first: number, out: number): void {
    const from = this.at(first), to = this.reserve(out);
    const { side, stride } = operator;
    if ((to.h - 1) * stride + side > from.h) throw new Error("pooling over the edge is not planned");
    this.steps.push(() => this.kernel.largest(from.at, to.at, from.w, from.places, to.h, to.w, side, stride));
  }

  private planPad(first: number, second: number, out: number): void {
    const from = this.at(first), to = this.reserve(out);
    const [, , top = 0, , left = 0] = this.model.tensors[second]!.values as Int32Array;
    this.steps.push(() =>
      this.kernel.place(from.at, to.at, from.h, from.w, from.places, to.w, to.places, top, left));
  }

  private planRelu(operator: Operator, to: Placed): void {
    if (!operator.relu) return;
    const slope = this.store(new Float32Array(to.places));
    this.steps.push(() => this.kernel.rectify(to.at, slope, to.at, to.h * to.w, to.places));
  }

  private weights(number: number): Float32Array {
    const values = this.model.tensors[number]!.values;
    if (!(values instanceof Float32Array)) throw new Error("weights that are no numbers");
    return values;
  }

  private at(number: number): Placed {
    const placed = this.placed.get(number);
    if (placed === undefined) throw new Error("a tensor is used before it is made");
    return placed;
  }

  private values(number: number): Float32Array {
    return this.results.get(number) ?? this.unpacked(this.at(number));
  }

  private reserve(number: number): Placed {
    const [, h = 1, w = 1, c = 1] = this.model.tensors[number]!.shape;
    const placed = { at: this.allocate(h * w * four(c)), h, w, c, places: four(c) };
    this.placed.set(number, placed);
    return placed;
  }

  /** Address of so many zeros. Memory only grows: every network stays as long as the page. */
  private allocate(count: number): number {
    const memory = this.kernel.memory;
    const at = 16 * Math.ceil((ends.get(memory) ?? 65536) / 16);
    const end = at + 4 * count;
    ends.set(memory, end);
    const missing = end - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / 65536));
    return at;
  }

  private store(values: Float32Array): number {
    const at = this.allocate(values.length);
    new Float32Array(this.kernel.memory.buffer).set(values, at / 4);
    return at;
  }

  private unpacked({ at, h, w, c, places }: Placed): Float32Array {
    const memory = new Float32Array(this.kernel.memory.buffer, at, h * w * places);
    const out = new Float32Array(h * w * c);
    for (let p = 0; p < h * w; p++) out.set(memory.subarray(p * places, p * places + c), p * c);
    return out;
  }
}

/** Rows of c values, each filled up with zeros to a multiple of four. */
function padded(values: Float32Array, rows: number, c: number): Float32Array {
  const out = new Float32Array(rows * four(c));
  for (let r = 0; r < rows; r++) out.set(values.subarray(r * c, (r + 1) * c), r * four(c));
  return out;
}

/** Rows above and columns left of the picture that the first window covers. */
function margins(operator: Operator, from: Placed, to: Placed): [number, number] {
  if (!operator.same) return [0, 0];
  const before = (size: number, made: number): number =>
    Math.floor(Math.max((made - 1) * operator.stride + operator.side - size, 0) / 2);
  return [before(from.h, to.h), before(from.w, to.w)];
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
