import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MediaFeed } from '../../src/media/media_feed';
import type { Transport } from '../../src/transport/transport';

const item = (step: number, file: string) => ({ key: 'samples', kind: 'image', step, time: step, file });

test('a resumed run shows the media of the runs before, up to their checkpoints', async () => {
  const asked: string[] = [];
  const pages: Record<string, unknown> = {
    first: { items: [item(1, 'a.png'), item(2, 'b.png'), item(3, 'late.png')], next: 9, more: false },
    second: { items: [item(4, 'c.png')], next: 9, more: false },
    third: { items: [item(5, 'd.png')], next: 9, more: false },
  };
  const transport = {
    request: async (_: string, path: string) => {
      asked.push(path);
      const id = path.split('/')[3];
      return { status: 200, headers: {}, body: new TextEncoder().encode(JSON.stringify(pages[id])).buffer };
    },
  } as unknown as Transport;
  const signal = new AbortController().signal;
  let changes = 0;
  const feed = new MediaFeed(transport, 'third', () => changes++, signal);
  feed.want(1);
  feed.goOnFrom('second', 4.5, 1);
  feed.goOnFrom('first', 2, 3);
  while (changes < 3) {
    await new Promise(resolve => setImmediate(resolve));
  }
  assert.deepEqual(
    feed.items.map(({ file }) => file),
    ['a.png', 'b.png', 'c.png', 'd.png']
  );
  await feed.bytes('b.png');
  await feed.bytes('d.png');
  assert.deepEqual(asked.slice(-2), [
    '/native/trainings/first/media/b.png',
    '/native/trainings/third/media/d.png',
  ]);
});
