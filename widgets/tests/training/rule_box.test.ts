import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ruleOf, ruleText } from '../../src/training/rule_box';
import type { Rule } from '../../src/wire';

test('a box asks for what the engine takes', () => {
  assert.deepEqual(ruleOf('val/loss', 'tell', 'below', ' 0.1 '), {
    kind: 'threshold',
    action: 'tell',
    metric: 'val/loss',
    op: '<',
    value: 0.1,
  });
  assert.deepEqual(ruleOf('grad', 'stop', 'above', '1e4'), {
    kind: 'threshold',
    action: 'stop',
    metric: 'grad',
    op: '>',
    value: 10_000,
  });
  assert.deepEqual(ruleOf('val/acc', 'stop', 'patience', '5'), {
    kind: 'patience',
    action: 'stop',
    metric: 'val/acc',
    patience: 5,
    mode: 'max',
  });
  assert.deepEqual(ruleOf('lr', 'stop', 'nan', 'x'), { kind: 'nan', action: 'stop', metric: 'lr' });
});

test('what is missing is said', () => {
  for (const text of ['', ' ', 'x', '1,5', 'Infinity']) {
    assert.equal(ruleOf('loss', 'tell', 'below', text), 'Give a number.', text);
  }
  for (const text of ['', '0', '2.5', '-1']) {
    assert.equal(ruleOf('loss', 'stop', 'patience', text), 'Say after how many values.', text);
  }
});

test('a rule is said in words', () => {
  const rule: Rule = {
    id: 'x',
    kind: 'threshold',
    action: 'stop',
    metric: 'loss',
    op: '>',
    value: 3,
    patience: null,
    mode: 'min',
    min_delta: 0,
    fired: null,
  };
  assert.equal(ruleText(rule), 'Stop when loss > 3');
  assert.equal(ruleText({ ...rule, kind: 'nan', metric: null }), 'Stop when any metric is not finite');
});
