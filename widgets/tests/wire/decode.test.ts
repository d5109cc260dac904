import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeBatch, decodeColumns, parseMessage, toNumber, WireError } from '../../src/wire';
import { batchBytes, columnBytes } from '../fakes';

test('a batch with both step encodings is decoded', () => {
  const batch = decodeBatch(
    batchBytes(7, 1000, [
      { index: 3, start: 10, delta: 2, values: [1, 2, 3], seconds: [0, 0.5, 1] },
      { index: 65535, steps: [5, 4], values: [NaN, Infinity], seconds: [2, 3] },
    ])
  );
  assert.equal(batch.seq, 7);
  assert.deepEqual(
    batch.blocks.map(block => [block.index, [...block.steps], [...block.values], [...block.times]]),
    [
      [3, [10, 12, 14], [1, 2, 3], [1000, 1000.5, 1001]],
      [65535, [5, 4], [NaN, Infinity], [1002, 1003]],
    ]
  );
});

test('values are views into the buffer, and a view that is not aligned is read too', () => {
  const bytes = batchBytes(1, 0, [{ index: 0, steps: [1], values: [2], seconds: [0] }]);
  assert.equal(decodeBatch(bytes).blocks[0].values.buffer, bytes);
  const shifted = new Uint8Array(bytes.byteLength + 3);
  shifted.set(new Uint8Array(bytes), 3);
  assert.deepEqual([...decodeBatch(shifted.subarray(3)).blocks[0].values], [2]);
});

test('bytes that are cut short or are something else are refused', () => {
  const bytes = batchBytes(1, 0, [{ index: 0, steps: [1, 2], values: [1, 2], seconds: [0, 0] }]);
  assert.throws(() => decodeBatch(bytes.slice(0, bytes.byteLength - 8)), WireError);
  assert.throws(() => decodeColumns(bytes), WireError);
  assert.throws(() => decodeBatch(new ArrayBuffer(2)), WireError);
});

test('columns keep their series apart', () => {
  const columns = decodeColumns(
    columnBytes(42, [
      { key: 'loss', steps: [0, 1], values: [3, 2], times: [10, 11] },
      { key: 'täst/acc', steps: [5], values: [0.5], times: [12] },
    ])
  );
  assert.equal(columns.seq, 42);
  assert.deepEqual(
    columns.series.map(s => s.info.key),
    ['loss', 'täst/acc']
  );
  assert.deepEqual([...columns.series[1].values], [0.5]);
  assert.deepEqual([...columns.series[0].times], [10, 11]);
});

test('text messages are told apart, those of a newer engine are passed over', () => {
  assert.equal(parseMessage('{"kind": "end", "seq": 3}')?.kind, 'end');
  assert.equal(parseMessage('{"kind": "tomorrow"}'), null);
  assert.throws(() => parseMessage('[]'), WireError);
});

test('values that JSON cannot carry are read', () => {
  assert.deepEqual(
    ['NaN', 'Infinity', '-Infinity', 1.5].map(v => toNumber(v as never)),
    [NaN, Infinity, -Infinity, 1.5]
  );
});
