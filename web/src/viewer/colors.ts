// Lengths by vertex as colors: a scale that grows, and one with a middle.

type Stop = readonly [number, number, number];

/** sRGB, dark to light; readable without color vision, by lightness alone. */
const GROWING: readonly Stop[] = [[38, 45, 96], [36, 107, 142], [62, 160, 125], [166, 204, 84], [250, 231, 96]];
/** sRGB, inside over none to outside. */
const SIGNED: readonly Stop[] = [[33, 84, 164], [126, 172, 222], [236, 236, 232], [232, 150, 112], [165, 38, 42]];
const UNKNOWN: Stop = [118, 122, 128];

export interface Scale {
  readonly low: number;
  readonly high: number;
  readonly stops: readonly Stop[];
}

export const growing = (high: number): Scale => ({ low: 0, high, stops: GROWING });
export const signed = (reach: number): Scale => ({ low: -reach, high: reach, stops: SIGNED });

/** base64 of little-endian 16-bit hundredths of a millimeter, as the service sends them. */
export function unpack(text: string): Float32Array {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 2 }, (_, i) => {
    const steps = view.getInt16(2 * i, true);
    return steps === -32768 ? NaN : steps / 100;
  });
}

export function colorOf(value: number, scale: Scale): Stop {
  if (Number.isNaN(value)) return UNKNOWN;
  const { stops } = scale;
  const share = Math.min(Math.max((value - scale.low) / (scale.high - scale.low), 0), 1) * (stops.length - 1);
  const left = Math.min(Math.floor(share), stops.length - 2);
  const [a, b] = [stops[left]!, stops[left + 1]!];
  return [0, 1, 2].map((k) => a[k]! + (b[k]! - a[k]!) * (share - left)) as unknown as Stop;
}

/** (V, 3) linear, for the shader. */
export function tints(values: Float32Array, scale: Scale): Float32Array {
  const out = new Float32Array(3 * values.length);
  values.forEach((value, i) => {
    colorOf(value, scale).forEach((channel, k) => (out[3 * i + k] = (channel / 255) ** 2.2));
  });
  return out;
}

/** A scale that a few extreme vertices do not flatten: the 98th percentile, rounded up. */
export function reachOf(values: Float32Array): number {
  const sizes = [...values].filter((v) => !Number.isNaN(v)).map(Math.abs).sort((a, b) => a - b);
  const most = sizes[Math.floor(0.98 * (sizes.length - 1))] ?? 1;
  const step = most > 5 ? 2 : most > 2 ? 1 : 0.5;
  return Math.max(step, step * Math.ceil(most / step));
}
