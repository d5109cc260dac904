import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Theme } from '../../src/core/theme';
import { closest, nearestIndex, pointsAt } from '../../src/plot/hover';
import { defaultOptions } from '../../src/plot/options';
import { frameOf, paintPlot, pixelX, pixelY } from '../../src/plot/painter';
import { type PlotInput, plotModel } from '../../src/plot/plot_model';
import { extentOf } from '../../src/plot/ranges';
import { fractionOf, numberTicks, valueAt, xTicks } from '../../src/plot/scales';
import { SvgContext } from '../../src/plot/svg_context';
import { MetricSeries } from '../../src/series/series_store';

const THEME = {
  dark: false,
  text: '#000',
  muted: '#666',
  grid: '#eee',
  axis: '#ccc',
  surface: '#fff',
  warning: '#a50',
  error: '#c00',
  font: 'sans-serif',
  palette: ['#1', '#2', '#3', '#4', '#5', '#6', '#7'],
} satisfies Theme;

function series(key: string, values: readonly number[], rank = '0', step = (i: number) => i): MetricSeries {
  const made = new MetricSeries(key, rank);
  made.append({
    index: 0,
    steps: Float64Array.from(values, (_, i) => step(i)),
    values: Float64Array.from(values),
    times: Float64Array.from(values, (_, i) => 1000 + 2 * i),
  });
  return made;
}

function model(all: readonly MetricSeries[], change: Partial<PlotInput> = {}, options = {}) {
  return plotModel({
    cell: {
      group: 'loss',
      entries: all.map((item, color) => ({
        id: `${item.rank}\n${item.key}`,
        label: item.key,
        short: item.key.split('/')[0],
        color,
        series: item,
      })),
    },
    options: { ...defaultOptions(), ...options },
    theme: THEME,
    watched: null,
    hidden: new Set(),
    zoom: null,
    originOf: () => 1000,
    find: key => all.find(item => item.key === key) ?? null,
    marks: [],
    groupOf: null,
    baseline: null,
    width: 400,
    height: 200,
    ...change,
  });
}

const texts = (ticks: { text: string }[]) => ticks.map(({ text }) => text);

test('ticks are few, round and told apart', () => {
  assert.deepEqual(texts(numberTicks({ low: -0.1, high: 2.3, log: false }, 5)), [
    '0',
    '0.5',
    '1',
    '1.5',
    '2',
  ]);
  assert.deepEqual(texts(numberTicks({ low: 0, high: 1e-3, log: false }, 2)), ['0', '5e-4', '1e-3']);
  assert.deepEqual(texts(numberTicks({ low: 15_000, high: 15_900, log: false }, 4)), ['15k', '15.5k']);
  assert.deepEqual(texts(numberTicks({ low: 0, high: 3, log: false }, 8, true)), ['0', '1', '2', '3']);
  assert.deepEqual(texts(numberTicks({ low: 0.001, high: 10, log: true }, 6)), [
    '0.001',
    '0.01',
    '0.1',
    '1',
    '10',
  ]);
  for (const [low, high] of [
    [0, 0],
    [NaN, 1],
    [5, 5],
  ]) {
    assert.deepEqual(numberTicks({ low, high, log: false }, 5), []);
  }
  for (const scale of [
    { low: 1e-300, high: 1e300, log: true },
    { low: 1e-9, high: 2e-9, log: false },
  ]) {
    const ticks = numberTicks(scale, 6);
    assert.ok(ticks.length >= 2 && ticks.length < 20, `${ticks.length}`);
    assert.equal(new Set(texts(ticks)).size, ticks.length);
  }
});

test('times are written in the unit of their span', () => {
  assert.equal(xTicks({ low: 0, high: 100, log: false }, 'elapsed', 5, false).at(-1)?.text, '100 s');
  assert.equal(xTicks({ low: 0, high: 600, log: false }, 'elapsed', 5, false).at(-1)?.text, '10 min');
  const noon = new Date(2026, 10, 28, 12).getTime() / 1000;
  const clock = xTicks({ low: noon, high: noon + 3600, log: false }, 'clock', 5, false);
  assert.deepEqual(texts(clock), ['12:00', '12:15', '12:30', '12:45', '13:00']);
});

test('a scale and its inverse agree', () => {
  for (const scale of [
    { low: -3, high: 9, log: false },
    { low: 0.01, high: 100, log: true },
  ]) {
    for (const share of [0, 0.3, 1]) {
      assert.ok(Math.abs(fractionOf(scale, valueAt(scale, share)) - share) < 1e-12);
    }
  }
  assert.ok(Number.isNaN(fractionOf({ low: 1, high: 10, log: true }, -1)));
});

test('x has room at both ends, and a zoom is exact', () => {
  const loss = series(
    'loss',
    Array.from({ length: 101 }, (_, i) => i)
  );
  const { x } = model([loss]);
  assert.ok(x.low < 0 && x.low > -5);
  assert.ok(x.high > 100 && x.high < 105);
  assert.deepEqual(model([loss], { zoom: { from: 10, to: 20 } }).x, { low: 10, high: 20, log: false });
  const narrow = model([loss], { zoom: { from: 10, to: 20 } });
  assert.ok((narrow.y?.low ?? 0) > 9 && (narrow.y?.high ?? 0) < 21, 'y fits what is seen');
});

test('x can be time, the time of day, or another metric', () => {
  const loss = series('loss', [3, 2, 1]);
  const epoch = series('epoch', [0, 0.5, 1]);
  const xs = (x: string) => Array.from(model([loss, epoch], {}, { x }).lines[0].curve.x);
  assert.deepEqual(xs('step'), [0, 1, 2]);
  assert.deepEqual(xs('time'), [0, 2, 4]);
  assert.deepEqual(xs('clock'), [1000, 1002, 1004]);
  assert.deepEqual(xs('metric:epoch'), [0, 0.5, 1]);
});

test('a metric logged seldom is interpolated under one logged often', () => {
  const loss = series('loss', [5, 4, 3, 2, 1], '0', i => i * 10);
  const epoch = series('epoch', [1, 2], '0', i => 10 + i * 20);
  const { lines } = model([loss, epoch], {}, { x: 'metric:epoch' });
  assert.deepEqual(Array.from(lines[0].curve.x), [1, 1.5, 2, 2]);
  assert.deepEqual(Array.from(lines[0].curve.y), [4, 3, 2, 1]);
});

test('what is not finite is counted and stands on its edge', () => {
  const loss = series('loss', [1, NaN, 2, Infinity, -Infinity, 3]);
  const { odd, numOdd, y } = model([loss]);
  assert.deepEqual(
    odd.map(({ x, kind }) => [x, kind]),
    [
      [1, 'nan'],
      [3, 'high'],
      [4, 'low'],
    ]
  );
  assert.equal(numOdd, 3);
  assert.ok(y && Number.isFinite(y.low) && Number.isFinite(y.high));
  assert.equal(model([series('loss', [NaN, NaN])]).y, null);
});

test('steps that repeat or fall back stay as they are', () => {
  const loss = series('loss', [1, 2, 3, 4], '0', i => [5, 5, 2, 9][i]);
  const [line] = model([loss]).lines;
  assert.deepEqual(Array.from(line.curve.x), [5, 5, 2, 9]);
  assert.ok(!line.ascending);
  assert.equal(nearestIndex(line.curve.x, 2.2, line.ascending), 2);
});

test('a log axis leaves out what it cannot show', () => {
  const { y } = model([series('loss', [-1, 0, 0.1, 10])], {}, { logY: true });
  assert.ok(y?.log && y.low > 0.05 && y.low < 0.1 && y.high > 10 && y.high < 20);
});

test('outliers can be left out, and are counted; without any nothing changes', () => {
  const calm = Array.from({ length: 200 }, (_, i) => Math.sin(i));
  const whole = extentOf(calm, false, false);
  assert.deepEqual(extentOf(calm, false, true), whole);
  const spiked = extentOf([...calm, 1e6], false, true);
  assert.equal(spiked?.numOutside, 1);
  assert.ok((spiked?.high ?? 1e9) < 5);
  assert.deepEqual(extentOf([0, 0], false, false), { low: 0, high: 1, numOutside: 0 });
  assert.equal(extentOf([], false, true), null);
});

test('the best is marked by the direction that the name says', () => {
  const best = (key: string) => model([series(key, [3, 1, 2])]).lines[0].best;
  assert.deepEqual(best('val/loss'), { x: 1, y: 1 });
  assert.deepEqual(best('val/acc'), { x: 0, y: 3 });
  assert.equal(best('lr'), null);
  assert.equal(best('train/loss'), null);
  const many = [4, 3, 2, 1].map((value, i) => series('val/loss', [5, value], String(i)));
  assert.deepEqual(
    model(many).lines.map(line => line.best?.y ?? null),
    [null, null, null, 1]
  );
});

test('runs of a group become their mean with a band', () => {
  const runs = [series('loss', [1, 3], 'a'), series('loss', [3, 5], 'b'), series('loss', [9, 9], 'c')];
  const { lines } = model(runs, { groupOf: rank => (rank === 'c' ? 'slow' : 'fast') });
  assert.deepEqual(
    lines.map(({ label }) => label),
    ['loss · fast (mean of 2)', 'loss · slow (mean of 1)']
  );
  assert.deepEqual(Array.from(lines[0].curve.y), [2, 4]);
  assert.deepEqual(Array.from(lines[0].band?.low ?? []), [1, 3]);
  assert.equal(lines[1].band, null);
});

test('what is switched off is not drawn, by series or by run', () => {
  const all = [series('loss', [1, 2], 'a'), series('loss', [1, 2], 'b')];
  assert.equal(model(all, { hidden: new Set(['b']) }).lines.length, 1);
  assert.equal(model(all, { hidden: new Set(['a\nloss', 'b']) }).lines.length, 0);
});

test('the pointer finds the value of each line at its x, and the line beside it', () => {
  const made = model([series('loss', [1, 2, 3], 'a'), series('loss', [9, 8, 7], 'b')]);
  const points = pointsAt(made, 0.9);
  assert.deepEqual(
    points.map(({ line, x, y }) => [line.rank, x, y]),
    [
      ['b', 1, 8],
      ['a', 1, 2],
    ]
  );
  const frame = frameOf(400, 200);
  const [px, py] = [pixelX(frame, made.x, 1), made.y ? pixelY(frame, made.y, 2) : 0];
  assert.equal(closest(points, made, frame, px + 3, py - 3)?.line.rank, 'a');
  assert.equal(closest(points, made, frame, px, py - 60), null);
});

test('a plot is drawn as SVG with every line, its ticks and nothing that is no number', () => {
  const context = new SvgContext(400, 200);
  const marks = [{ kind: 'alert', step: 1, time: 0, text: '<spike>', level: 'warning' }] as const;
  const made = model([series('val/loss', [1, NaN, 2, 3]), series('loss', [3, 2, 1, Infinity])], { marks });
  paintPlot({ context, theme: THEME, frame: frameOf(400, 200), pixel: null }, made);
  const svg = context.toString();
  assert.ok(svg.startsWith('<svg ') && svg.endsWith('</svg>'));
  assert.ok(!/NaN|Infinity|undefined/.test(svg.replace('not finite', '')), svg);
  assert.ok(svg.includes('stroke="#1"') && svg.includes('stroke="#2"'));
  assert.ok(svg.includes('2 not finite'));
});
