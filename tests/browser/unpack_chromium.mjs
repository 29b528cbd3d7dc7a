// Unpacks the Chromium of the npm package beside this file, with the libraries that a bare machine lacks.
import { cpSync, existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

process.env.AWS_EXECUTION_ENV ??= "AWS_Lambda_nodejs22.x"; // makes the package unpack its libraries too
const { default: chromium } = await import("@sparticuz/chromium");
const folder = join(dirname(fileURLToPath(import.meta.url)), ".chromium");
mkdirSync(folder, { recursive: true });
const executable = await chromium.executablePath();
cpSync(executable, join(folder, "chromium"));
for (const part of ["libEGL.so", "libGLESv2.so", "libvk_swiftshader.so", "libvulkan.so.1", "vk_swiftshader_icd.json"]) {
  const from = join(dirname(executable), part);
  if (existsSync(from)) cpSync(from, join(folder, part));
}
const libraries = join(dirname(executable), "al2023", "lib");
if (existsSync(libraries)) cpSync(libraries, join(folder, "lib"), { recursive: true });
console.log(join(folder, "chromium"));
