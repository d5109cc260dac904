import assert from 'node:assert/strict';
import { test } from 'node:test';
import { originOf } from '../../../labextension/src/outputs/origin';
import { ReadOnlyTransport } from '../../../labextension/src/outputs/read_only';
import { FakeTransport, training } from '../fakes';

test('an output is from its training’s cell, else from the notebook that showed it', () => {
  const started_from = { notebook: '/a/b.ipynb', cell: 'c' };
  const shown_in = { notebook: '/a/c.ipynb', at: 2 };
  const created_at = '1970-01-01T00:00:01Z';
  assert.deepEqual(originOf({ training: training({ started_from, created_at }), shown_in }), {
    notebook: '/a/b.ipynb',
    at_ms: 1000,
  });
  assert.deepEqual(originOf({ id: 's', training: 't', shown_in }), { notebook: '/a/c.ipynb', at_ms: 2000 });
  for (const data of [
    null,
    {},
    { shown_in: null },
    { shown_in: { notebook: 5, at: 1 } },
    { training: null },
  ]) {
    assert.deepEqual(originOf(data), { notebook: '', at_ms: 0 });
  }
});

class Engine extends FakeTransport {
  protected override answer() {
    return { body: {} };
  }
}

test('what reads only asks and listens, and runs nothing', async () => {
  const engine = new Engine();
  const view = new ReadOnlyTransport(engine, 'This is a copy.');
  const handlers = { text: () => undefined, binary: () => undefined, closed: () => undefined };
  await view.request('GET', '/native/models');
  for (const path of ['/native/lists/stream?lists=models', '/native/sessions/s/stream']) {
    view.openStream(path, handlers);
  }
  await assert.rejects(view.request('POST', '/native/models/m/load'), /This is a copy/);
  await assert.rejects(view.request('PATCH', '/native/trainings/t'), /This is a copy/);
  for (const path of [
    '/native/models/m/generate?x=/stream',
    '/v0/ws',
    '/native/models/stream%2Fx/generate',
  ]) {
    assert.throws(() => view.openStream(path, handlers), /This is a copy/, path);
  }
  assert.equal(engine.streams.length, 2);
});
