// Checks how widgets/src is laid out: no folder holds more than 20 modules, and no folders import each other in a ring.
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAX_MODULES = 20;
const IMPORT = /\bfrom '(\.[^']+)'|\bimport\('(\.[^']+)'\)|^import '(\.[^']+)'/gm;

const src = fileURLToPath(new URL('src', import.meta.url));
const modules = (await readdir(src, { recursive: true })).filter(name => name.endsWith('.ts'));
const problems = [];

/** Folder → folder it imports → the first module that does. */
const imports = new Map();
const sizes = new Map();
for (const module of modules) {
  const folder = dirname(module);
  sizes.set(folder, (sizes.get(folder) ?? 0) + 1);
  const targets = imports.get(folder) ?? new Map();
  imports.set(folder, targets);
  const text = await readFile(join(src, module), 'utf8');
  for (const [, ...paths] of text.matchAll(IMPORT)) {
    const target = folderOf(relative(src, resolve(src, folder, paths.find(Boolean))));
    if (target !== folder && !targets.has(target)) {
      targets.set(target, module);
    }
  }
}

for (const [folder, size] of sizes) {
  if (size > MAX_MODULES) {
    problems.push(`src/${folder} holds ${size} modules; split it, ${MAX_MODULES} are the most.`);
  }
  if (folder === '.') {
    problems.push('src itself holds modules; each belongs into a folder that is named by its purpose.');
  }
}

const visited = new Set();
for (const folder of imports.keys()) {
  visit(folder, []);
}

if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(1);
}

/** A path names a module, or a folder with an index. */
function folderOf(path) {
  return modules.includes(join(path, 'index.ts')) ? path : dirname(path);
}

function visit(folder, path) {
  const start = path.indexOf(folder);
  if (start >= 0) {
    const ring = [...path.slice(start), folder];
    const edges = ring
      .slice(1)
      .map((to, i) => `${ring[i]} → ${to} (${imports.get(ring[i]).get(to).split(sep).join('/')})`);
    problems.push(`Folders import each other in a ring: ${edges.join(', ')}.`);
    return;
  }
  if (visited.has(folder)) {
    return;
  }
  for (const target of imports.get(folder)?.keys() ?? []) {
    visit(target, [...path, folder]);
  }
  visited.add(folder);
}
