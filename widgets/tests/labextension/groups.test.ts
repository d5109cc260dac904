import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Groups, JOINED_WITHIN_MS, newestNames } from '../../../labextension/src/notifications/groups';
import type { News } from '../../../labextension/src/notifications/news';

function news(id: string, what: News['what'] = 'ended'): News {
  return { tone: 'success', kind: 'training', id, name: `fit-${id}`, what, detail: '', canResume: false };
}

function groups(): { groups: Groups; shown: Set<string>; clock: { ms: number } } {
  const shown = new Set<string>();
  const clock = { ms: 0 };
  const found = new Groups(
    id => shown.has(id),
    () => clock.ms
  );
  return { groups: found, shown, clock };
}

test('what comes one after the other is told together, however long it goes on', () => {
  const { groups: all, shown, clock } = groups();
  const first = all.add(news('0'));
  first.notification = 'n1';
  shown.add('n1');
  for (let number = 1; number < 50; number += 1) {
    clock.ms += JOINED_WITHIN_MS - 1;
    assert.equal(all.add(news(`${number}`)), first);
  }
  assert.equal(first.news.length, 50);
});

test('what comes later, is of another kind, or follows a closed notification is told by itself', () => {
  const { groups: all, shown, clock } = groups();
  const first = all.add(news('a'));
  first.notification = 'n1';
  shown.add('n1');
  assert.notEqual(all.add(news('b', 'failed')), first);
  clock.ms += JOINED_WITHIN_MS;
  const later = all.add(news('c'));
  assert.deepEqual([later.notification, later.news.length], [null, 1]);
  later.notification = 'n2'; // and is closed at once
  assert.equal(all.add(news('d')).news.length, 1);
});

test('alerts are told together for each training', () => {
  const { groups: all, shown } = groups();
  const one = all.add(news('a', 'alert'));
  one.notification = 'n1';
  shown.add('n1');
  assert.notEqual(all.add(news('b', 'alert')), one);
  assert.equal(all.add(news('a', 'alert')), one);
});

test('the newest names are given, each once', () => {
  assert.deepEqual(newestNames(['1', '2', '3', '3', '4'].map(id => news(id))), {
    names: 'fit-4, fit-3, fit-2',
    numMore: 1,
  });
  assert.deepEqual(newestNames([news('1'), news('1')]), { names: 'fit-1', numMore: 0 });
});
