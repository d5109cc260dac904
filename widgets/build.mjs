// Builds static/panel.<hash>.js, static/plotly.<hash>.js and static/manifest.json; stale files go.

import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = fileURLToPath(new URL('.', import.meta.url));
const outdir = join(here, 'jupyter_ext_widgets', 'static');
const prod = process.argv.includes('--prod');

const result = await build({
  absWorkingDir: here,
  entryPoints: { panel: 'src/hosts/anywidget.ts', plotly: 'src/chart/plotly_bundle.ts' },
  outdir,
  entryNames: '[name].[hash]',
  bundle: true,
  format: 'esm',
  target: 'es2022',
  minify: prod,
  legalComments: prod ? 'none' : 'inline',
  metafile: true,
  logLevel: 'warning',
  // What plotly.js needs of its bundler.
  define: { global: 'window', 'define.amd': 'false' },
  alias: { stream: 'stream-browserify' },
  loader: { '.css': 'empty' },
});

const manifest = {};
for (const [path, output] of Object.entries(result.metafile.outputs)) {
  if (output.entryPoint) {
    const file = basename(path);
    manifest[file.split('.')[0]] = file;
    console.log(`${file}  ${(output.bytes / 1024).toFixed(0)} KiB`);
  }
}
const keep = new Set([...Object.values(manifest), 'manifest.json']);
await mkdir(outdir, { recursive: true });
for (const name of await readdir(outdir)) {
  if (!keep.has(name)) {
    await rm(join(outdir, name), { recursive: true });
  }
}
await writeFile(join(outdir, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
