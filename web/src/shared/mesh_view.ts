// A binary glTF file as a slowly turning shape: one mesh, one light, WebGL.

import { capped } from "./caps";

export interface Shape {
  readonly positions: Float32Array;
  readonly normals: Float32Array;
  readonly triangles: Uint32Array;
}

/** Reads the first mesh. Throws for what is no such file. */
export function readGlb(file: ArrayBuffer): Shape {
  const view = new DataView(file);
  if (view.getUint32(0, true) !== 0x46546c67) throw new Error("not a binary glTF file");
  const length = view.getUint32(12, true);
  const scene = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 20, length))) as {
    meshes: { primitives: { attributes: Record<string, number>; indices: number }[] }[];
    accessors: { bufferView: number; byteOffset?: number; componentType: number; count: number }[];
    bufferViews: { byteOffset?: number; byteLength: number }[];
  };
  const start = 20 + length + 8;
  const primitive = scene.meshes[0]?.primitives[0];
  if (primitive === undefined) throw new Error("a glTF file without a mesh");
  const numbers = (index: number, width: number): Float32Array | Uint32Array => {
    const accessor = scene.accessors[index]!;
    const at = start + (scene.bufferViews[accessor.bufferView]!.byteOffset ?? 0) + (accessor.byteOffset ?? 0);
    const count = accessor.count * width;
    const bytes = (size: number): ArrayBuffer => file.slice(at, at + count * size);
    if (accessor.componentType === 5126) return new Float32Array(bytes(4));
    if (accessor.componentType === 5125) return new Uint32Array(bytes(4));
    return Uint32Array.from(new Uint16Array(bytes(2)));
  };
  return {
    positions: numbers(primitive.attributes["POSITION"]!, 3) as Float32Array,
    normals: numbers(primitive.attributes["NORMAL"]!, 3) as Float32Array,
    triangles: numbers(primitive.indices, 1) as Uint32Array,
  };
}

const VERTEX = `
attribute vec3 position; attribute vec3 normal; attribute vec3 tint;
uniform mat3 turn; uniform vec3 middle; uniform vec2 zoom;
varying vec3 n; varying vec3 p; varying vec3 t;
void main() {
  p = turn * (position - middle); n = turn * normal; t = tint;
  float away = 1.0 / (1.0 - 0.9 * p.z);
  gl_Position = vec4(p.xy * zoom * away, -p.z * 0.5, 1.0);
}`;
const FRAGMENT = `
precision mediump float;
varying vec3 n; varying vec3 p; varying vec3 t;
void main() {
  vec3 m = normalize(n); if (m.z < 0.0) m = -m;
  float key = max(dot(m, normalize(vec3(-0.45, 0.55, 0.7))), 0.0);
  float fill = max(dot(m, normalize(vec3(0.7, 0.1, 0.45))), 0.0);
  float rim = pow(1.0 - m.z, 3.0);
  vec3 halfway = normalize(vec3(-0.45, 0.55, 1.7));
  float shine = pow(max(dot(m, halfway), 0.0), 28.0);
  vec3 color = t * (vec3(0.16, 0.18, 0.22) + key * vec3(0.86, 0.8, 0.74) + fill * vec3(0.16, 0.2, 0.27));
  gl_FragColor = vec4(sqrt(color) * 0.92 + 0.09 * shine + rim * vec3(0.16, 0.24, 0.34) * 0.55, 1.0);
}`;

const CLAY: readonly [number, number, number] = [0.62, 0.53, 0.46];
const SWING = 0.75;
const PERIOD_MS = 9000;

export class MeshView {
  private readonly gl: WebGLRenderingContext;
  private readonly count: number;
  private readonly vertices: number;
  private readonly caps: Float32Array;
  private readonly middle: [number, number, number];
  private readonly size: number;
  private yaw = 0;
  private pitch = 0.06;
  private held = false;
  private frame = 0;
  private readonly begun = performance.now();
  private readonly moves = !matchMedia("(prefers-reduced-motion: reduce)").matches;

  /** tints: (V, 3) linear colors per vertex; clay without. Throws where there is no WebGL. */
  constructor(private readonly canvas: HTMLCanvasElement, shape: Shape, tints?: Float32Array) {
    const gl = canvas.getContext("webgl", { antialias: true, alpha: true, premultipliedAlpha: true });
    if (gl === null || gl.getExtension("OES_element_index_uint") === null) throw new Error("no WebGL");
    this.gl = gl;
    const { shape: drawn, tints: caps } = capped(shape);
    this.caps = caps;
    this.count = drawn.triangles.length;
    [this.middle, this.size] = extent(shape.positions);
    const program = link(gl);
    gl.useProgram(program);
    this.vertices = shape.positions.length / 3;
    attribute(gl, program, "position", drawn.positions);
    attribute(gl, program, "normal", drawn.normals);
    this.colors = attribute(gl, program, "tint", this.painted(tints ?? null));
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, drawn.triangles, gl.STATIC_DRAW);
    gl.enable(gl.DEPTH_TEST);
    const uniform = (name: string): WebGLUniformLocation | null => gl.getUniformLocation(program, name);
    this.uniforms = { turn: uniform("turn"), middle: uniform("middle"), zoom: uniform("zoom") };
    this.listen();
    this.frame = requestAnimationFrame(this.draw);
  }

  private readonly colors: WebGLBuffer | null;
  private readonly uniforms: Readonly<Record<"turn" | "middle" | "zoom", WebGLUniformLocation | null>>;

  /** Other colors on the same shape: (V, 3) linear; null: clay. */
  paint(tints: Float32Array | null): void {
    const { gl } = this;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.colors);
    gl.bufferData(gl.ARRAY_BUFFER, this.painted(tints), gl.STATIC_DRAW);
  }

  private painted(tints: Float32Array | null): Float32Array {
    return Float32Array.from([...(tints ?? clay(this.vertices)), ...this.caps]);
  }

  close(): void {
    cancelAnimationFrame(this.frame);
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  private readonly draw = (now: number): void => {
    const { gl, canvas } = this;
    const pixels = Math.min(devicePixelRatio, 2);
    const width = Math.round(canvas.clientWidth * pixels), height = Math.round(canvas.clientHeight * pixels);
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const swing = this.held || !this.moves ? 0 : SWING * Math.sin(((now - this.begun) / PERIOD_MS) * 2 * Math.PI);
    const zoom = 1.9 / this.size;
    gl.uniformMatrix3fv(this.uniforms.turn, false, rotation(this.yaw + swing, this.pitch, 1 / this.size));
    gl.uniform3fv(this.uniforms.middle, this.middle);
    const aspect = width / Math.max(height, 1);
    const scale = zoom * this.size * 0.76;
    gl.uniform2f(this.uniforms.zoom, aspect > 1 ? scale / aspect : scale, aspect > 1 ? scale : scale * aspect);
    gl.drawElements(gl.TRIANGLES, this.count, gl.UNSIGNED_INT, 0);
    this.frame = requestAnimationFrame(this.draw);
  };

  private turnBy(yaw: number, pitch: number): void {
    if (!this.held) {
      this.yaw += this.moves ? SWING * Math.sin(((performance.now() - this.begun) / PERIOD_MS) * 2 * Math.PI) : 0;
      this.held = true;
    }
    this.yaw += yaw;
    this.pitch = Math.min(Math.max(this.pitch + pitch, -1.2), 1.2);
  }

  private listen(): void {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      if (event.buttons !== 0) this.turnBy(event.movementX * 0.008, event.movementY * 0.008);
    });
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      this.turnBy(step[0]!, step[1]!);
    });
  }
}

function extent(positions: Float32Array): [[number, number, number], number] {
  const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
  for (let i = 0; i < positions.length; i++) {
    low[i % 3] = Math.min(low[i % 3]!, positions[i]!);
    high[i % 3] = Math.max(high[i % 3]!, positions[i]!);
  }
  const middle: [number, number, number] = [0, 1, 2].map((k) => (low[k]! + high[k]!) / 2) as [number, number, number];
  return [middle, Math.max(...[0, 1].map((k) => high[k]! - low[k]!))];
}

/** Column by column: about the vertical axis, then nodding, scaled. */
function rotation(yaw: number, pitch: number, scale: number): Float32Array {
  const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
  return new Float32Array([cy, sy * sp, -sy * cp, 0, cp, sp, sy, -cy * sp, cy * cp].map((v) => v * scale));
}

function clay(vertices: number): Float32Array {
  return Float32Array.from({ length: 3 * vertices }, (_, i) => CLAY[i % 3]!);
}

function attribute(
  gl: WebGLRenderingContext, program: WebGLProgram, name: string, values: Float32Array,
): WebGLBuffer | null {
  const buffer = gl.createBuffer();
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
  const at = gl.getAttribLocation(program, name);
  gl.enableVertexAttribArray(at);
  gl.vertexAttribPointer(at, 3, gl.FLOAT, false, 0, 0);
  return buffer;
}

function link(gl: WebGLRenderingContext): WebGLProgram {
  const program = gl.createProgram()!;
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]] as const) {
    const shader = gl.createShader(kind)!;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error("the shaders do not link");
  return program;
}
