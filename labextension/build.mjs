// Runs JupyterLab's builder as `jupyter-builder build` does, but without needing Python.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const flags = process.argv.slice(2).filter(flag => flag === '--development' || flag === '--watch');
const { status } = spawnSync(
  process.execPath,
  [
    require.resolve('@jupyter/builder/lib/build-labextension.js'),
    '--core-package-file',
    require.resolve('@jupyterlab/core-meta/core.package.json'),
    ...flags,
    '.',
  ],
  { stdio: 'inherit', cwd: new URL('.', import.meta.url) }
);
process.exit(status ?? 1);
