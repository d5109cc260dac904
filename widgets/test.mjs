// Bundles the tests (Node 20 cannot read TypeScript) and runs them with Node's test runner.

import { spawnSync } from 'node:child_process';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = fileURLToPath(new URL('.', import.meta.url));
const outdir = join(here, 'lib', 'tests');
const names = (await readdir(join(here, 'tests'), { recursive: true })).filter(name =>
  name.endsWith('.test.ts')
);
await rm(outdir, { recursive: true, force: true });
await build({
  absWorkingDir: here,
  entryPoints: names.map(name => join('tests', name)),
  outdir,
  outbase: 'tests',
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  sourcemap: 'inline',
  logLevel: 'warning',
});
const files = names.map(name => join(outdir, name.replace(/\.ts$/, '.mjs')));
const { status } = spawnSync(process.execPath, ['--enable-source-maps', '--test', ...files], {
  stdio: 'inherit',
});
process.exit(status ?? 1);
