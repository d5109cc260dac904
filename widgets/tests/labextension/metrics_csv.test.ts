import assert from 'node:assert/strict';
import { test } from 'node:test';
import { csvName, metricsCsv } from '../../../labextension/src/commands/metrics_csv';
import { columnBytes } from '../fakes';

test('every point is one line, and what is no number is written as Python reads it', () => {
  const bytes = columnBytes(5, [
    { key: 'train/loss', steps: [0, 1], values: [0.5, Number.NaN], times: [10, 11.25] },
    { key: 'a,"b"', steps: [3], values: [-Infinity], times: [12] },
    { key: '=1+1', steps: [4], values: [1e-9], times: [13] },
  ]);
  assert.deepEqual(metricsCsv(bytes).split('\n'), [
    'metric,rank,step,time,value',
    'train/loss,0,0,10,0.5',
    'train/loss,0,1,11.25,nan',
    '"a,""b""",0,3,12,-inf',
    "'=1+1,0,4,13,1e-9",
    '',
  ]);
  assert.equal(metricsCsv(columnBytes(0, [])), 'metric,rank,step,time,value\n');
});

test('a file is called as the training is, as far as a disk takes that', () => {
  assert.equal(csvName('digits #3'), 'digits-3.csv');
  assert.equal(csvName('../../etc'), 'etc.csv');
  assert.equal(csvName('日本'), '日本.csv');
  assert.equal(csvName('///'), 'training.csv');
});
