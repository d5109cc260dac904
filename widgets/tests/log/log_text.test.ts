import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogText } from '../../src/log/log_text';

const size = (text: string) => new TextEncoder().encode(text).length;

function written(...chunks: string[]): LogText {
  const log = new LogText();
  log.reset(0);
  let at = 0;
  for (const chunk of chunks) {
    at += size(chunk);
    log.write(chunk, at);
  }
  return log;
}

const lines = (log: LogText) => log.lines.map(line => line.text);

test('lines are cut, the last may be open', () => {
  assert.deepEqual(lines(written('a\nb\n\nc')), ['a', 'b', '', 'c']);
  assert.deepEqual(lines(written('a\r\nb\r', '\nc\n')), ['a', 'b', 'c']);
  assert.deepEqual(lines(written('ab', 'cd\n', 'e')), ['abcd', 'e']);
});

test('a progress bar is one line, however it is cut', () => {
  const text = '\r  0%| |\r 50%|# |\r100%|##|\ndone\n';
  assert.deepEqual(lines(written(text)), ['100%|##|', 'done']);
  assert.deepEqual(lines(written(...text)), ['100%|##|', 'done']);
});

test('nested bars rewrite the lines above', () => {
  const log = written('outer 0\n', '\rinner 1', '\x1b[A', '\router 1', '\n', '\rinner 2');
  assert.deepEqual(lines(log), ['outer 1', 'inner 2']);
});

test('colours stay, a control sequence may be cut anywhere', () => {
  const text = '\x1b[31mred\x1b[0m\n\x1b[2Kx\n';
  assert.deepEqual(lines(written(text)), ['\x1b[31mred\x1b[0m', 'x']);
  assert.deepEqual(lines(written(...text)), ['\x1b[31mred\x1b[0m', 'x']);
});

test('lines know where they begin in bytes', () => {
  const log = written('ä\nbb\n', 'c');
  assert.deepEqual(
    log.lines.map(line => line.offset),
    [0, 3, 6]
  );
  assert.equal(log.nextOffset, 7);
});

test('the oldest lines go, and earlier ones can come back', () => {
  const log = new LogText();
  log.maxLines = 3;
  log.reset(0);
  log.write('1\n2\n3\n4\n5\n', 10);
  assert.deepEqual(lines(log), ['3', '4', '5']);
  assert.equal(log.firstOffset, 4);
  const { epoch } = log;
  log.prepend('1\n2\n', 0);
  assert.deepEqual(lines(log), ['1', '2', '3', '4', '5']);
  assert.equal(log.firstOffset, 0);
  assert.notEqual(log.epoch, epoch);
  log.write('6\n', 12);
  assert.equal(lines(log).at(-1), '6');
});

test('a log that begins with a bar has nothing before it', () => {
  for (const begin of ['\r  0%|   |', '\x1b[2K\r  0%|', '\x1b[?25l 0%|']) {
    const log = new LogText();
    log.reset(0);
    log.write(`${begin}\r100%|███|\ndone\n`, 100);
    assert.equal(log.firstOffset, 0);
  }
});
