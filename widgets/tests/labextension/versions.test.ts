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
