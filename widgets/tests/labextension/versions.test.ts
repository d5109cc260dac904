import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findingsOf, type Versions } from '../../../labextension/src/doctor/versions';

const SAME: Versions = { page: '1.0', server: '1.0', engine: '1.0', kernel: '1.0' };

function wrong(change: Partial<Versions>): string[] {
  return findingsOf({ ...SAME, ...change })
    .filter(({ ok }) => !ok)
    .map(({ text }) => text);
}

test('halves of one version fit, with or without an engine and a kernel', () => {
  assert.deepEqual(wrong({}), []);
  assert.deepEqual(wrong({ engine: null }), []);
  assert.deepEqual(wrong({ kernel: undefined }), []);
});

test('where things lie is said, and when an engine keeps them elsewhere', () => {
  const directories = { data: '/d', runtime: '/r' };
  const texts = (change: Partial<Versions>) => findingsOf({ ...SAME, ...change }).map(({ text }) => text);
  assert.deepEqual(wrong({ directories, running: null }), []);
  assert.match(texts({ directories, running: null }).join('\n'), /kept in \/d .*\n.*in \/r /);
  assert.match(texts({ directories, running: { data_dir: '/d', idle_s: 900 } }).join('\n'), /after 15 min/);
  const [found] = wrong({ directories, running: { data_dir: '/e', idle_s: 30 } });
  assert.match(found, /data in \/e, the server expects them in \/d.*JUPYTER_EXT_DATA_DIR/);
});

test('each half that is missing or of another version is named, with the next step', () => {
  for (const [change, says] of [
    [{ server: null }, /server does not have its half.*pip install/],
    [{ server: '0.9', engine: '0.9', kernel: '0.9' }, /server has 0\.9, this page 1\.0.*reload/],
    [{ engine: '0.9' }, /engine that runs has 0\.9.*%engine restart/],
    [{ kernel: null }, /kernel.*does not have the package.*%pip install/],
    [{ kernel: '1.1' }, /kernel.*has 1\.1, the server 1\.0/],
  ] as const) {
    const found = wrong(change);
    assert.equal(found.length, 1, found.join(' | '));
    assert.match(found[0], says);
  }
});
