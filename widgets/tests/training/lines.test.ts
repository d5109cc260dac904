import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emptyTextOf, linesOf, type PanelState } from '../../src/training/lines';
import { training } from '../fakes';

const PANEL: PanelState = {
  actionError: '',
  isBeforeShown: false,
  showStacks: () => undefined,
  toggleBefore: () => undefined,
};

test('a panel without an engine says what is known of the run, and no more', () => {
  const one = training({
    status: 'canceled',
    cause: { kind: 'canceled', message: 'Canceled.', hint: 'Run it again.' } as never,
    notices: ['a', 'b'],
    resumed_from: { id: 'aaaabbbbcccc', step: 12, time: 0, loaded: true, changed: [] },
  });
  const texts = linesOf(one, null, 0, PANEL).map(line => line.text);
  assert.deepEqual(texts.slice(1), ['Canceled. Run it again.', 'a', 'b']);
  assert.match(texts[0], /^Resumed from aaaabbbb.* at step 12\.$/);
  assert.match(emptyTextOf(one, null), /^Not connected/);
});

test('what an action failed with comes first, and the run before can be hidden again', () => {
  const seen: string[] = [];
  const one = training({ resumed_from: { id: 'r0', step: 1, time: 0, loaded: true, changed: [] } });
  const lines = linesOf(one, null, 0, {
    ...PANEL,
    actionError: 'It is over.',
    isBeforeShown: true,
    toggleBefore: id => seen.push(id),
  });
  assert.equal(lines[0].text, 'It is over.');
  assert.equal(lines[1].action?.label, 'Hide it');
  lines[1].action?.run();
  assert.deepEqual(seen, ['r0']);
});
