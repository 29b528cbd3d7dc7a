// Reads a TFLite file: a FlatBuffer of tensors and operators (schema version 3), as far as the face networks need.

export interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Weights as float32, or integers; absent for what is computed. */
  readonly values?: Float32Array | Int32Array;
}

export interface Operator {
  readonly kind: string;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly same: boolean;
  readonly stride: number;
  readonly side: number;
  readonly relu: boolean;
}

export interface Model {
  readonly tensors: readonly Tensor[];
  readonly operators: readonly Operator[];
  readonly input: number;
  readonly outputs: readonly number[];
}

const KINDS: Readonly<Record<number, string>> = {
  0: "add", 2: "concatenate", 3: "convolve", 4: "depthwise", 6: "widen", 17: "pool", 19: "relu", 22: "reshape",
  34: "pad", 54: "prelu",
};

/** A table of a FlatBuffer: fields by number through its vtable. */
class Table {
  constructor(private readonly view: DataView, private readonly at: number) {}

  private field(number: number): number {
    const vtable = this.at - this.view.getInt32(this.at, true);
    const slot = 4 + 2 * number;
    if (slot >= this.view.getUint16(vtable, true)) return 0;
    const offset = this.view.getUint16(vtable + slot, true);
    return offset === 0 ? 0 : this.at + offset;
  }

  byte(number: number): number {
    const at = this.field(number);
    return at === 0 ? 0 : this.view.getInt8(at);
  }

  int(number: number): number {
    const at = this.field(number);
    return at === 0 ? 0 : this.view.getInt32(at, true);
  }

  table(number: number): Table | null {
    const at = this.field(number);
    return at === 0 ? null : new Table(this.view, at + this.view.getUint32(at, true));
  }

  private vector(number: number): { start: number; length: number } {
    const at = this.field(number);
    if (at === 0) return { start: 0, length: 0 };
    const start = at + this.view.getUint32(at, true);
    return { start: start + 4, length: this.view.getUint32(start, true) };
  }

  tables(number: number): Table[] {
    const { start, length } = this.vector(number);
    return Array.from({ length }, (_, i) => {
      const at = start + 4 * i;
      return new Table(this.view, at + this.view.getUint32(at, true));
    });
  }

  ints(number: number): number[] {
    const { start, length } = this.vector(number);
    return Array.from({ length }, (_, i) => this.view.getInt32(start + 4 * i, true));
  }

  bytes(number: number): Uint8Array {
    const { start, length } = this.vector(number);
    return new Uint8Array(this.view.buffer, this.view.byteOffset + start, length);
  }

  text(number: number): string {
    return new TextDecoder().decode(this.bytes(number));
  }
}

/** Throws for what is no model file or needs an operator that is not there. */
export function readModel(file: ArrayBuffer): Model {
  const view = new DataView(file);
  if (file.byteLength < 8 || new TextDecoder().decode(new Uint8Array(file, 4, 4)) !== "TFL3") {
    throw new Error("not a TFLite file");
  }
  const root = new Table(view, view.getUint32(0, true));
  const codes = root.tables(1).map((code) => Math.max(code.byte(0), code.int(3)));
  const buffers = root.tables(4);
  const graph = root.tables(2)[0];
  if (graph === undefined) throw new Error("a model file without a graph");
  const tensors = graph.tables(0).map((tensor) => readTensor(tensor, buffers));
  const operators = graph.tables(3).map((operator) => readOperator(operator, codes, tensors));
  const input = graph.ints(1)[0];
  if (input === undefined) throw new Error("a model file without an input");
  return { tensors, operators, input, outputs: graph.ints(2) };
}

function readTensor(tensor: Table, buffers: readonly Table[]): Tensor {
  const bytes = buffers[tensor.int(2)]?.bytes(0) ?? new Uint8Array();
  const shape = tensor.ints(0);
  const name = tensor.text(3);
  if (bytes.length === 0) return { name, shape };
  const copy = bytes.slice().buffer; // aligned
  const type = tensor.byte(1);
  if (type === 0) return { name, shape, values: new Float32Array(copy) };
  if (type === 1) return { name, shape, values: widened(new Uint16Array(copy)) };
  if (type === 2) return { name, shape, values: new Int32Array(copy) };
  return { name, shape };
}

function readOperator(operator: Table, codes: readonly number[], tensors: readonly Tensor[]): Operator {
  const code = codes[operator.int(0)] ?? -1;
  const kind = KINDS[code];
  if (kind === undefined) throw new Error(`operator ${code} is not known here`);
  const options = operator.table(4);
  const inputs = operator.ints(1);
  const weights = inputs[1] === undefined ? undefined : tensors[inputs[1]];
  const activation = { convolve: 3, depthwise: 4, pool: 5, add: 0, concatenate: 1 }[kind];
  return {
    kind,
    inputs,
    outputs: operator.ints(2),
    same: options !== null && ["convolve", "depthwise", "pool"].includes(kind) && options.byte(0) === 0,
    stride: options?.int(2) || 1,
    side: kind === "pool" ? options?.int(3) || 1 : weights?.shape[1] ?? 1,
    relu: activation !== undefined && options?.byte(activation) === 1,
  };
}

/** Half precision to single. */
export function widened(halves: Uint16Array): Float32Array {
  const out = new Float32Array(halves.length);
  halves.forEach((half, i) => {
    const exponent = (half >> 10) & 31;
    const fraction = half & 1023;
    const size = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
    out[i] = half & 0x8000 ? -size : size;
  });
  return out;
}
