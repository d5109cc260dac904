import assert from 'node:assert/strict';
import { test } from 'node:test';
import { executionCountOf } from '../../../labextension/src/marks/contents_path';
import { cellLineOf } from '../../src/core/cell_link';
import type { LogClient, Spans } from '../../src/log/log_client';
import { LogSpans } from '../../src/log/log_spans';
import { Tracebacks, tracebacksOf } from '../../src/log/tracebacks';

const OURS = [
  'before',
  'Traceback (your frames only, most recent call last):',
  '  Cell digits, line 12, in train',
  '    loss = step(batch)',
  '  Cell In[5], line 3, in step',
  '    raise ValueError("bad batch")',
  'ValueError: bad batch',
  'after',
];

test('a traceback is folded from its head to the line that names the exception', () => {
  assert.deepEqual(tracebacksOf(OURS), [{ head: 1, last: 6 }]);
  const ranked = OURS.map(line => `[rank 1] ${line}`);
  assert.deepEqual(tracebacksOf(ranked), [{ head: 1, last: 6 }]);
  const indented = OURS.map(line => `    ${line}`);
  assert.deepEqual(tracebacksOf(indented), [{ head: 1, last: 6 }]);
});

test('one that has not ended, or is short, or is broken by another rank is left open', () => {
  assert.deepEqual(tracebacksOf(OURS.slice(0, 6)), []);
  assert.deepEqual(tracebacksOf([...OURS.slice(1, 3), OURS[6]]), []);
  assert.deepEqual(tracebacksOf([...ranks(OURS.slice(1, 4)), 'of rank 0', ...ranks(OURS.slice(4))]), []);
});

test('chained tracebacks are folded each by itself', () => {
  const chain = [...OURS.slice(1, 7), '', 'During handling …', '', ...OURS.slice(1, 7)];
  assert.deepEqual(tracebacksOf(chain), [
    { head: 0, last: 5 },
    { head: 9, last: 14 },
  ]);
});

test('a traceback is found over any number of pieces, and known while some of its lines are away', () => {
  const lines = OURS.map((text, i) => ({ text, offset: 10 * i }));
  for (let cut = 2; cut <= 6; cut++) {
    const found = new Tracebacks();
    found.look(lines.slice(0, cut));
    found.look(lines.slice(cut));
    assert.equal(found.beginningAt(10), null, `the pieces cut at ${cut}, each by itself`);
    found.look([...lines.slice(0, cut), ...lines.slice(cut)]);
    const whole = { head: 10, last: 60, numInner: 4, frame: OURS[4] };
    for (const piece of [lines.slice(0, cut), lines.slice(cut)]) {
      found.look(piece);
      assert.deepEqual(found.beginningAt(10), whole, 'one of them is held');
    }
    assert.deepEqual(
      lines.map(({ offset }) => found.around(offset) !== null),
      [false, false, true, true, true, true, false, false]
    );
  }
});

test('one whose lines were rewritten, or that was within another, is forgotten', () => {
  const lines = OURS.map((text, i) => ({ text, offset: 10 * i }));
  const found = new Tracebacks();
  found.look(lines);
  found.look(lines.map(line => ({ ...line, text: 'rewritten' })));
  assert.equal(found.beginningAt(10), null);
  const inner = OURS.map((text, i) => ({ text: `  ${text}`, offset: 100 + 10 * i }));
  found.look(inner);
  assert.notEqual(found.beginningAt(110), null);
  const outer = [{ text: OURS[1], offset: 90 }, ...inner, { text: 'ValueError', offset: 200 }];
  found.look(outer);
  assert.deepEqual([found.beginningAt(90)?.last, found.beginningAt(110)], [200, null]);
});

test('lines of cells are told from those of files', () => {
  assert.deepEqual(cellLineOf('  Cell In[5], line 3, in step'), {
    label: 'Cell In[5]',
    line: 3,
    from: 2,
    to: 20,
  });
  assert.equal(cellLineOf('[rank 1]   Cell digits, line 12, in train')?.label, 'Cell digits');
  assert.equal(cellLineOf('Cell digits, line 12')?.line, 12);
  for (const text of ['  File "train.py", line 3, in step', 'Cell division, next', 'the loss, line 3']) {
    assert.equal(cellLineOf(text), null, text);
  }
  assert.equal(executionCountOf('Cell In[5]'), 5);
  assert.equal(executionCountOf('Cell digits'), null);
});

test('who wrote a line, and when, is asked once more after the text has come', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const asked: [number, number][] = [];
  const answers: Spans[] = [
    { stderr: [[0, 10]], times: [[20, 1]] },
    {
      stderr: [
        [0, 10],
        [15, 20],
      ],
      times: [
        [20, 1],
        [40, 2],
      ],
    },
    { stderr: [[20, 25]], times: [[40, 2]] },
  ]; // prettier-ignore
  const client = {
    spans: async (from: number, end: number) => {
      asked.push([from, end]);
      return answers[asked.length - 1] ?? { stderr: [], times: [] };
    },
  } as unknown as LogClient;
  const abort = new AbortController();
  const spans = new LogSpans(client, () => undefined, abort.signal);
  const settle = async () => {
    t.mock.timers.tick(500);
    for (let i = 0; i < 10; i++) {
      await Promise.resolve();
    }
  };
  spans.want(0, 20);
  await settle();
  assert.deepEqual(spans.factsOf(0), { stream: 'stderr', time: 1 });
  assert.equal(spans.factsOf(15).stream, 'stdout');
  spans.want(0, 40);
  await settle();
  assert.equal(spans.factsOf(15).stream, 'stderr');
  await settle();
  assert.deepEqual(spans.factsOf(22), { stream: 'stderr', time: 2 });
  assert.equal(spans.factsOf(0).stream, 'stderr');
  await settle();
  await settle();
  assert.deepEqual(asked, [
    [0, 20],
    [0, 40],
    [20, 40],
  ]);
  abort.abort();
});

function ranks(lines: readonly string[]): string[] {
  return lines.map(line => `[rank 1] ${line}`);
}
