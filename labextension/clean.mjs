// Removes what earlier builds left, so that no stale file is shipped.
import { rm } from 'node:fs/promises';

for (const path of ['lib', '../jupyter_ext/labextension']) {
  await rm(new URL(path, import.meta.url), { recursive: true, force: true });
}
