import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServerTransport } from '../../src/transport/server';

test('what may not start an engine goes where none is started, and a person may still start one', async () => {
  const asked: string[] = [];
  let mayStart = true;
  Object.assign(globalThis, { location: new URL('http://a/user/b/lab') });
  const transport = new ServerTransport({
    baseUrl: '/user/b/',
    mayStart: () => mayStart,
    fetch: async url => {
      asked.push(url.replace('http://a/user/b/jupyter-ext/', ''));
      return new Response('{}');
    },
  });
  await transport.request('GET', '/native/trainings');
  await transport.running.request('GET', '/native/trainings');
  assert.ok(transport.mayStart());
  mayStart = false;
  await transport.request('POST', '/native/versions', {});
  assert.ok(!transport.mayStart());
  await transport.startEngine();
  assert.deepEqual(asked, [
    'engine/native/trainings',
    'running/native/trainings',
    'running/native/versions',
    'engine/native/engine',
  ]);
});
