import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byKey, shotAt, stepsOf } from '../../src/media/by_step';
import type { MediaItem } from '../../src/wire';

function item(key: string, step: number, more: Partial<MediaItem> = {}): MediaItem {
  return {
    key,
    kind: 'image',
    step,
    time: 0,
    rank: '0',
    index: 0,
    caption: null,
    file: null,
    bytes: 0,
    data: null,
    facts: {},
    ...more,
  };
}

test('what was logged together is one shot, and steps are in order', () => {
  const keys = byKey([item('a', 5), item('a', 5, { index: 1 }), item('a', 1), item('b', 2)]);
  assert.deepEqual(
    keys.get('a')?.map(shot => [shot.step, shot.items.length]),
    [
      [1, 1],
      [5, 2],
    ]
  );
  assert.deepEqual(stepsOf([keys]), [1, 2, 5]);
});

test('of a step that was logged twice the later one counts, and ranks stand side by side', () => {
  const keys = byKey([item('a', 1, { caption: 'old' }), item('a', 1, { caption: 'new' })]);
  assert.deepEqual(
    keys.get('a')?.[0].items.map(({ caption }) => caption),
    ['new']
  );
  assert.equal(byKey([item('a', 1), item('a', 1, { rank: '1' })]).get('a')?.[0].items.length, 2);
});

test('the newest shot at or before a step is shown', () => {
  const shots = byKey([item('a', 1), item('a', 5), item('a', 9)]).get('a') ?? [];
  assert.equal(shotAt(shots, 0), null);
  assert.equal(shotAt(shots, 1)?.step, 1);
  assert.equal(shotAt(shots, 8.5)?.step, 5);
  assert.equal(shotAt(shots, 100)?.step, 9);
  assert.equal(shotAt([], 1), null);
});
