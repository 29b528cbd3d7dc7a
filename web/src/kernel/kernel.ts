// The arithmetic of the face networks, compiled to WebAssembly with 128-bit vectors by AssemblyScript.
//
// Tensors are float32, rows of pixels, channels last. The channels of a pixel take a multiple of four places;
// those beyond the tensor's own are zero, in activations as in weights, so that no loop has a tail.
// All sizes are in elements, all addresses in bytes.

/** out (pixels, n) = in (pixels, k) · w (k, n) + bias (n). The scratch of a convolution is such an `in`. */
export function multiply(input: usize, w: usize, bias: usize, out: usize, pixels: i32, k: i32, n: i32): void {
  let p = 0;
  for (; p + 4 <= pixels; p += 4) {
    const row = input + (((<usize>p) * k) << 2);
    for (let o = 0; o < n; o += 4) {
      const b = v128.load(bias + ((<usize>o) << 2));
      let a0 = b, a1 = b, a2 = b, a3 = b;
      let at = w + ((<usize>o) << 2);
      const step = (<usize>n) << 2;
      const wide = (<usize>k) << 2;
      const end = row + wide;
      for (let r = row; r < end; r += 4) {
        const v = v128.load(at);
        a0 = f32x4.add(a0, f32x4.mul(v128.load32_splat(r), v));
        a1 = f32x4.add(a1, f32x4.mul(v128.load32_splat(r + wide), v));
        a2 = f32x4.add(a2, f32x4.mul(v128.load32_splat(r + 2 * wide), v));
        a3 = f32x4.add(a3, f32x4.mul(v128.load32_splat(r + 3 * wide), v));
        at += step;
      }
      const to = out + (((<usize>p) * n + o) << 2);
      v128.store(to, a0);
      v128.store(to + step, a1);
      v128.store(to + 2 * step, a2);
      v128.store(to + 3 * step, a3);
    }
  }
  for (; p < pixels; p++) {
    const row = input + (((<usize>p) * k) << 2);
    for (let o = 0; o < n; o += 4) {
      let a = v128.load(bias + ((<usize>o) << 2));
      for (let i = 0; i < k; i++) {
        const v = v128.load(w + (((<usize>i) * n + o) << 2));
        a = f32x4.add(a, f32x4.mul(v128.load32_splat(row + ((<usize>i) << 2)), v));
      }
      v128.store(out + (((<usize>p) * n + o) << 2), a);
    }
  }
}

/** Each output pixel's window of the input side by side: out (oh · ow, side · side · c). */
export function windows(
  input: usize, out: usize, h: i32, wd: i32, c: i32, oh: i32, ow: i32, side: i32, stride: i32, top: i32, left: i32,
): void {
  let to = out;
  const bytes = (<usize>c) << 2;
  for (let y = 0; y < oh; y++) {
    for (let x = 0; x < ow; x++) {
      for (let dy = 0; dy < side; dy++) {
        const sy = y * stride + dy - top;
        for (let dx = 0; dx < side; dx++) {
          const sx = x * stride + dx - left;
          if (sy >= 0 && sy < h && sx >= 0 && sx < wd) {
            memory.copy(to, input + (<usize>(sy * wd + sx)) * bytes, bytes);
          } else {
            memory.fill(to, 0, bytes);
          }
          to += bytes;
        }
      }
    }
  }
}

/** Each channel with a window of its own: w (side · side, c), bias (c). */
export function depthwise(
  input: usize, w: usize, bias: usize, out: usize, h: i32, wd: i32, c: i32, oh: i32, ow: i32, side: i32, stride: i32,
  top: i32, left: i32,
): void {
  const bytes = (<usize>c) << 2;
  for (let y = 0; y < oh; y++) {
    for (let x = 0; x < ow; x++) {
      const to = out + (<usize>(y * ow + x)) * bytes;
      const y0 = y * stride - top, x0 = x * stride - left;
      for (let o: usize = 0; o < bytes; o += 16) {
        let a = v128.load(bias + o);
        for (let dy = 0; dy < side; dy++) {
          const sy = y0 + dy;
          if (sy < 0 || sy >= h) continue;
          for (let dx = 0; dx < side; dx++) {
            const sx = x0 + dx;
            if (sx < 0 || sx >= wd) continue;
            const v = v128.load(input + (<usize>(sy * wd + sx)) * bytes + o);
            a = f32x4.add(a, f32x4.mul(v, v128.load(w + (<usize>(dy * side + dx)) * bytes + o)));
          }
        }
        v128.store(to + o, a);
      }
    }
  }
}

/** The largest of each window, without padding. */
export function largest(input: usize, out: usize, wd: i32, c: i32, oh: i32, ow: i32, side: i32, stride: i32): void {
  const bytes = (<usize>c) << 2;
  for (let y = 0; y < oh; y++) {
    for (let x = 0; x < ow; x++) {
      const to = out + (<usize>(y * ow + x)) * bytes;
      for (let o: usize = 0; o < bytes; o += 16) {
        let a = v128.load(input + (<usize>(y * stride * wd + x * stride)) * bytes + o);
        for (let dy = 0; dy < side; dy++) {
          for (let dx = 0; dx < side; dx++) {
            const from = input + (<usize>((y * stride + dy) * wd + x * stride + dx)) * bytes + o;
            a = f32x4.max(a, v128.load(from));
          }
        }
        v128.store(to + o, a);
      }
    }
  }
}

export function add(a: usize, b: usize, out: usize, count: i32): void {
  const end = (<usize>count) << 2;
  for (let o: usize = 0; o < end; o += 16) v128.store(out + o, f32x4.add(v128.load(a + o), v128.load(b + o)));
}

/** max(x, 0) + slope · min(x, 0); slope (c); zero slopes make a ReLU. */
export function rectify(input: usize, slope: usize, out: usize, pixels: i32, c: i32): void {
  const bytes = (<usize>c) << 2;
  const zero = f32x4.splat(0);
  for (let p = 0; p < pixels; p++) {
    const at = (<usize>p) * bytes;
    for (let o: usize = 0; o < bytes; o += 16) {
      const v = v128.load(input + at + o);
      const low = f32x4.mul(f32x4.min(v, zero), v128.load(slope + o));
      v128.store(out + at + o, f32x4.add(f32x4.max(v, zero), low));
    }
  }
}

/** Into a wider picture with more channels; what is not covered keeps its zeros. */
export function place(
  input: usize, out: usize, h: i32, wd: i32, c: i32, owd: i32, oc: i32, top: i32, left: i32,
): void {
  const bytes = (<usize>c) << 2, wide = (<usize>oc) << 2;
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < wd; x++) {
      memory.copy(
        out + (<usize>((y + top) * owd + x + left)) * wide,
        input + (<usize>(y * wd + x)) * bytes,
        bytes,
      );
    }
  }
}
