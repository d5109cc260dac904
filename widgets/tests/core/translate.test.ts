import assert from 'node:assert/strict';
import { test } from 'node:test';
import { trans, translateBy } from '../../src/core/translate';

test('views speak the language of their host, else English', () => {
  assert.equal(trans.__('Train'), 'Train');
  assert.equal(trans.__('%1 of %2, 45 %', 'a', 3), 'a of 3, 45 %');
  assert.equal(trans.__('%%train %1', '$&'), '%train $&');
  assert.equal(trans.__('Run with %1', '%%train'), 'Run with %%train');
  translateBy({ __: (text, ...args) => `«${text}» ${args}` });
  try {
    assert.equal(trans.__('Ray at %1', 'head'), '«Ray at %1» head');
  } finally {
    translateBy(null);
  }
  assert.equal(trans.__('Train'), 'Train');
});
