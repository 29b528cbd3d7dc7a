// Builds the pages into recon_service/web/static, or (with --tests) the tests into build/tests.
// Names of assets hold a digest of their content; each is compressed here once, not at every request.

import { createHash } from "node:crypto";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "recon_service", "web", "static");
const temporary = join(here, "build");
const settings = { bundle: true, minify: true, format: "esm", target: ["es2022", "safari16"], write: false, logLevel: "error" };
const sizes = {};

mkdirSync(temporary, { recursive: true });
const kernel = join(temporary, "kernel.wasm");
execFileSync(
  process.execPath,
  [join(here, "node_modules/assemblyscript/bin/asc.js"), join(here, "src/kernel/kernel.ts"), "-O3", "--noAssert",
    "--runtime", "stub", "--enable", "simd", "--enable", "bulk-memory", "-o", kernel],
  { stdio: "inherit" },
);

if (process.argv.includes("--tests")) {
  const tests = readdirSync(join(here, "test")).filter((name) => name.endsWith(".test.ts"));
  rmSync(join(temporary, "tests"), { recursive: true, force: true });
  await build({
    entryPoints: tests.map((name) => join(here, "test", name)), outdir: join(temporary, "tests"), bundle: true,
    platform: "node", format: "esm", outExtension: { ".js": ".mjs" }, logLevel: "error",
  });
  process.exit(0);
}

rmSync(out, { recursive: true, force: true });
mkdirSync(join(out, "assets"), { recursive: true });

/** Writes an asset under its digest, beside it compressed; its name. */
function asset(stem, suffix, content) {
  const bytes = Buffer.from(content);
  const name = `${stem}-${createHash("sha256").update(bytes).digest("hex").slice(0, 12)}${suffix}`;
  const path = join(out, "assets", name);
  const packed = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
  writeFileSync(path, bytes);
  writeFileSync(`${path}.br`, packed);
  writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
  sizes[`${stem}${suffix}`] = { bytes: bytes.length, compressed: packed.length };
  return name;
}

async function script(stem, entry, define = {}) {
  const made = await build({ ...settings, entryPoints: [join(here, "src", entry)], define });
  return asset(stem, ".js", made.outputFiles[0].contents);
}

async function style(stem, ...parts) {
  const text = parts.map((part) => readFileSync(join(here, "src/style", part), "utf8")).join("\n");
  const made = await build({ ...settings, stdin: { contents: text, loader: "css" } });
  return asset(stem, ".css", made.outputFiles[0].contents);
}

const url = (name) => JSON.stringify(`/web/assets/${name}`);
const kernelName = asset("kernel", ".wasm", readFileSync(kernel));
const worker = await script("face-worker", "face/worker.ts", { KERNEL_URL: url(kernelName) });
const capture = await script("capture", "capture/page.ts", { WORKER_URL: url(worker) });
const captureStyle = await style("capture", "tokens.css", "components.css", "capture.css");

const viewer = await script("viewer", "viewer/page.ts");
const viewerStyle = await style("viewer", "tokens.css", "components.css", "viewer.css");

const words = join(temporary, "strings.mjs");
await build({ ...settings, entryPoints: [join(here, "src/capture/strings.ts")], write: true, outfile: words });
const { STRINGS, LANGUAGES } = await import(words);

/** {{name}} in a page's text. Fails for a name that is not there: no page may show a placeholder. */
function filled(page, values) {
  return readFileSync(join(here, "src", page), "utf8").replace(/\{\{(\w+)\}\}/g, (_, name) => {
    if (values[name] === undefined) throw new Error(`${basename(page)}: there is no ${name}`);
    return String(values[name]).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
  });
}

for (const lang of LANGUAGES) {
  const strings = STRINGS[lang];
  const [point0, point1, point2] = strings.points;
  const other = LANGUAGES.find((each) => each !== lang);
  const values = {
    ...strings, lang, other, point0, point1, point2, loading: strings.hints.loading, style: captureStyle, script: capture,
  };
  writeFileSync(join(out, `capture.${lang}.html`), filled("capture/capture.html", values));
}
writeFileSync(join(out, "viewer.html"), filled("viewer/viewer.html", { script: viewer, style: viewerStyle }));
writeFileSync(join(out, "build.json"), `${JSON.stringify({ sizes }, null, 1)}\n`);
for (const [name, { bytes, compressed }] of Object.entries(sizes)) {
  console.log(`${name.padEnd(18)} ${String(bytes).padStart(7)} bytes, ${String(compressed).padStart(6)} compressed`);
}
