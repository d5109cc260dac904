import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VIEWS } from '../../src/views';
import { LAZY_VIEWS } from '../../src/views/lazy';

test('every view can be loaded later, under the name that it has itself', async () => {
  const loaded = await Promise.all(LAZY_VIEWS.map(view => view.load()));
  assert.deepEqual(loaded, VIEWS);
  assert.deepEqual(
    loaded.map(({ name, description }) => ({ name, description })),
    LAZY_VIEWS.map(({ name, description }) => ({ name, description }))
  );
});
