import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Started } from '../../../labextension/src/connection/started';

function tab(): Pick<Storage, 'getItem' | 'setItem'> {
  const held = new Map<string, string>();
  return { getItem: key => held.get(key) ?? null, setItem: (key, text) => void held.set(key, text) };
}

test('a page knows what it has started, also after it was loaded again', () => {
  const storage = tab();
  const started = new Started(storage);
  started.note(
    'http://a/jupyter-ext/engine/native/trainings/t1/resume',
    '{"id": "t2", "status": "starting"}'
  );
  started.note('http://a/jupyter-ext/engine/native/models/hub%3Aorg%2Fname/download', '{}');
  started.note('http://a/jupyter-ext/engine/native/models', '{"id": "hub:other/name"}');
  for (const id of ['t2', 'hub:org/name', 'hub:other/name']) {
    assert.ok(started.has(id), id);
    assert.ok(new Started(storage).has(id), id);
  }
  assert.ok(!started.has('t1'), 'what was resumed had ended before');
});

test('answers that start nothing are no matter, and the newest are kept', () => {
  const storage = tab();
  const started = new Started(storage);
  for (const body of ['', 'null', '[1]', '{"id": 5}', 'no json', `{"id": "long${' '.repeat(300_000)}"}`]) {
    started.note('http://a/native/forms', body);
  }
  for (let i = 0; i < 300; i += 1) {
    started.note('http://a/v1/trainings', JSON.stringify({ id: `t${i}` }));
  }
  const after = new Started(storage);
  assert.ok(after.has('t299') && !after.has('t0') && !after.has('5'));
});
