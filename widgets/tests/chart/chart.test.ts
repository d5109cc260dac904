import assert from 'node:assert/strict';
import { test } from 'node:test';
import { moved } from '../../src/chart/chart';
import { codeOf } from '../../src/chart/code';
import { LayoutPlanner } from '../../src/chart/layout';
import { runColors } from '../../src/chart/run_colors';
import { type ChartOptions, defaultOptions, parseOptions } from '../../src/plot/options';
import { meansOf, runNames } from '../../src/runs/run_names';
import { MetricSeries } from '../../src/series/series_store';
import { readoutsOf } from '../../src/training/system_view';
import type { Training } from '../../src/wire';

function series(key: string, value = 1, rank = '0'): MetricSeries {
  const made = new MetricSeries(key, rank);
  const column = Float64Array.of(value);
  made.append({ index: 0, steps: column, values: column, times: column });
  return made;
}

const run = (id: string, name: string, input: Record<string, unknown>): Training =>
  ({ id, name, input }) as unknown as Training;

function groups(keys: readonly string[], options: Partial<ChartOptions> = {}, more = {}): string[] {
  const request = { width: 1000, options: { ...defaultOptions(), ...options }, showAll: true, search: '' };
  const all = keys.map(key => series(key));
  return new LayoutPlanner().plan(all, { ...request, ...more }).cells.map(({ group }) => group);
}

test('plots stand pinned first, then as they were dragged, then as usual', () => {
  const keys = ['lr', 'grad', 'val/acc', 'train/loss', 'val/loss'];
  assert.deepEqual(groups(keys), ['loss', 'accuracy', 'learning rate', 'grad']);
  assert.deepEqual(groups(keys, { pinned: ['grad', 'gone'] }), ['grad', 'loss', 'accuracy', 'learning rate']);
  const order = moved(groups(keys), defaultOptions(), 'grad', { before: 'accuracy' });
  assert.deepEqual(groups(keys, { order }), ['loss', 'grad', 'accuracy', 'learning rate']);
  assert.deepEqual(moved(['a', 'b', 'c'], defaultOptions(), 'c', { by: 1 }), ['a', 'b', 'c']);
  assert.deepEqual(moved(['a', 'b', 'c'], defaultOptions(), 'c', { by: -1 }), ['a', 'c', 'b']);
});

test('a search finds plots by their name and by the keys in them', () => {
  const keys = ['train/loss', 'layers/0/grad', 'layers/1/grad', 'lr'];
  assert.deepEqual(groups(keys, {}, { search: 'GRAD' }), ['layers/0/grad', 'layers/1/grad']);
  assert.deepEqual(groups(keys, {}, { search: 'train' }), ['loss']);
  assert.deepEqual(groups(keys, {}, { search: 'nothing' }), []);
});

test('a few plots are shown until somebody asks for more', () => {
  const all = Array.from({ length: 20 }, (_, i) => series(`m${i}`));
  const request = { width: 1000, options: defaultOptions(), showAll: false, search: '' };
  const layout = new LayoutPlanner().plan(all, request);
  assert.deepEqual([layout.cells.length, layout.omitted, layout.numGroups], [6, 14, 20]);
});

test('the height is the same before the first point and after it', () => {
  const request = { width: 1000, options: defaultOptions(), showAll: false, search: '' };
  const planner = new LayoutPlanner();
  assert.equal(planner.plan([], request).height, planner.plan([series('loss')], request).height);
});

test('a run has its colour whatever else is shown, and newer ones leave it as it is', () => {
  const ids = Array.from({ length: 30 }, (_, i) => `01kc${String(i).padStart(4, '0')}x`);
  const all = runColors(ids, 7);
  assert.equal(new Set(all.values()).size, 30, 'all differ by colour or dash');
  const few = runColors(ids.slice(0, 5), 7);
  for (const [id, color] of few) {
    assert.equal(all.get(id), color);
  }
  assert.equal(new Set([...few.values()].map(color => color % 7)).size, 5, 'colours before dashes');
  assert.deepEqual([...runColors([...ids].reverse(), 7)].sort(), [...all].sort());
});

test('what was kept is read with doubt', () => {
  const options = { ...defaultOptions(), x: 'metric:epoch' as const, logY: true, pinned: ['loss'] };
  assert.deepEqual(parseOptions(JSON.stringify(options)), options);
  for (const text of [
    null,
    '',
    '{',
    '[]',
    '3',
    '{"x": 7, "smoothing": {"weight": 4}, "size": "huge", "order": [1]}',
  ]) {
    assert.deepEqual(parseOptions(text), defaultOptions(), String(text));
  }
});

test('compared runs are called by what differs', () => {
  const names = (...all: Training[]) => [...runNames(all).values()];
  assert.deepEqual(names(run('a1', 'x', { lr: 1 }), run('b2', 'y', { lr: 2 })), ['x', 'y']);
  assert.deepEqual(
    names(run('a1', 'x', { seed: 1, lr: 1, b: 2 }), run('b2', 'x', { seed: 2, lr: 2, b: 2 })),
    ['lr=1, seed=1', 'lr=2, seed=2']
  );
  assert.deepEqual(names(run('aaaa1', 'x', {}), run('bbbb2', 'x', {})), ['x …aaa1', 'x …bbb2']);
});

test('runs are averaged over their seeds or by an input', () => {
  const all = [
    run('a', 'x', { seed: 1, lr: 1 }),
    run('b', 'x', { seed: 2, lr: 1 }),
    run('c', 'x', { seed: 1, lr: 2 }),
  ];
  const means = meansOf(all);
  assert.deepEqual([...means.keys()], ['seeds', 'runs of the same lr', 'all runs']);
  assert.deepEqual(
    ['a', 'b', 'c'].map(id => means.get('seeds')?.(id)),
    ['lr=1', 'lr=1', 'lr=2']
  );
});

test('of the machine there is CPU and memory first, and no disk that did nothing', () => {
  const shown = (...all: MetricSeries[]) => readoutsOf(all).map(({ key }) => key.slice('system/'.length));
  const quiet = [
    series('system/memory_mib', 200, 'system'),
    series('system/disk_read_mib', 0, 'system'),
    series('system/disk_write_mib', 0.2, 'system'),
    series('system/disk_free_gib', 100, 'system'),
    series('system/cpu_percent', 90, 'system'),
    series('loss', 1),
  ];
  assert.deepEqual(shown(...quiet), ['cpu_percent', 'memory_mib']);
  const busy = [...quiet.slice(0, 2), series('system/disk_write_mib', 30), series('system/disk_free_gib', 2)];
  assert.deepEqual(shown(...busy), ['memory_mib', 'disk_write_mib', 'disk_free_gib']);
});

test('the copied code says what was chosen', () => {
  assert.equal(
    codeOf(['a'], defaultOptions()),
    'import jupyter_ext as jx\n\njx.trainings.get("a").figure()\n'
  );
  const options: ChartOptions = {
    ...defaultOptions(),
    x: 'metric:epoch',
    logY: true,
    smoothing: { kind: 'gaussian', weight: 0.9 },
  };
  assert.ok(
    codeOf(['a', 'b'], options).includes(
      'jx.compare(["a", "b"]).figure(x="epoch", log_y=True, smoothing=0.9, smoothing_kind="gaussian")'
    )
  );
});
