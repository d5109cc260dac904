import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LineWatch, type PageSigns, PING, PONG } from '../../src/transport/line_watch';

class Page implements PageSigns {
  visible = true;
  tick: (() => void) | null = null;
  changed: (sign: 'online' | 'offline' | 'visible') => void = () => undefined;

  isVisible(): boolean {
    return this.visible;
  }

  every(_ms: number, callback: () => void): () => void {
    this.tick = callback;
    return () => {
      this.tick = null;
    };
  }

  listen(changed: Page['changed']): void {
    this.changed = changed;
  }

  ticks(count: number): void {
    for (let i = 0; i < count; i++) {
      this.tick?.();
    }
  }
}

class Socket {
  readyState = 1;
  readonly sent: string[] = [];

  send(text: unknown): void {
    this.sent.push(String(text));
  }

  close(): void {
    this.readyState = 3;
  }
}

function watched(isAnswered = true) {
  const page = new Page();
  const watch = new LineWatch(page);
  const socket = new Socket();
  const lost: number[] = [];
  const ended = new AbortController();
  const begin = (each = socket) => watch.watch(each, ended.signal, () => lost.push(1));
  const line = begin();
  if (isAnswered) {
    assert.ok(line.heard(PONG), 'a sign of life is for nobody else');
  }
  return { page, watch, socket, lost, line, begin, ended };
}

test('a silent stream is asked, and lost within six seconds without an answer', () => {
  const { page, socket, lost, line } = watched();
  page.ticks(4);
  assert.deepEqual(socket.sent, [PING]);
  assert.ok(line.heard(PONG));
  page.ticks(4);
  assert.ok(!line.heard('{"kind": "log"}'), 'a message is for its stream');
  page.ticks(5);
  assert.deepEqual([lost.length, socket.sent.length], [0, 3]);
  page.ticks(1);
  assert.equal(lost.length, 1);
  assert.equal(page.tick, null, 'nothing is watched any more');
});

test('whether a server answers is asked of a stream that is never silent too', () => {
  const { page, socket, line, lost } = watched(false);
  for (let i = 0; i < 5; i++) {
    line.heard('{"kind": "log"}');
    page.ticks(1);
  }
  assert.deepEqual(socket.sent, [PING]);
  line.heard(PONG);
  page.ticks(6);
  assert.equal(lost.length, 1);
});

test('a hidden page asks nothing, and asks at once when it is seen again', () => {
  const { page, socket, lost } = watched();
  page.visible = false;
  page.changed('visible');
  assert.equal(page.tick, null);
  page.visible = true;
  page.changed('visible');
  assert.deepEqual(socket.sent, [PING]);
  page.ticks(4);
  assert.equal(lost.length, 1);
});

test('when the network comes or goes, a moment is enough', () => {
  for (const sign of ['online', 'offline'] as const) {
    const { page, lost, line } = watched();
    page.changed(sign);
    line.heard(PONG);
    page.ticks(2);
    assert.equal(lost.length, 0, 'as on a server of the same machine');
    page.changed(sign);
    page.ticks(2);
    assert.equal(lost.length, 1, sign);
  }
});

test('a stream that was to be opened without a network is begun anew with it', () => {
  const { page, lost, begin } = watched();
  const opening = new Socket();
  opening.readyState = 0;
  begin(opening);
  page.ticks(1);
  page.changed('online');
  assert.equal(lost.length, 1);
  assert.deepEqual(opening.sent, []);
});

test('a server that knows no signs of life, and a slow line, are waited for', () => {
  const old = watched(false);
  old.page.ticks(100);
  assert.equal(old.lost.length, 0);
  const slow = watched();
  slow.page.ticks(6);
  assert.equal(slow.lost.length, 1);
  const again = slow.begin();
  slow.page.ticks(9);
  assert.equal(slow.lost.length, 1, 'twice as long as before');
  again.heard('much');
  slow.page.ticks(9);
  assert.equal(slow.lost.length, 1);
});

test('what is asked meanwhile is given up with the line, and what has ended is not watched', () => {
  const { page, watch, ended, begin, lost } = watched();
  const asked = watch.signalFor('GET');
  assert.equal(watch.signalFor('POST'), undefined, 'it may take effect');
  page.ticks(6);
  assert.equal(asked?.aborted, true);
  assert.equal(watch.signalFor('GET')?.aborted, false);
  begin();
  ended.abort();
  assert.equal(page.tick, null);
  assert.equal(lost.length, 1);
});
