import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyOf, parseTarget, shortName, targetOf } from '../../../labextension/src/tabs/target';

test('a target is read from what it is written as', () => {
  for (const key of [
    'training:01m6',
    'compare:a,b',
    'session:s1',
    'model:hub:org/name@main',
    'trainings',
    'models',
  ]) {
    const target = parseTarget(key);
    assert.ok(target, key);
    assert.equal(keyOf(target), key);
  }
});

test('what is no target of ours is none', () => {
  for (const text of [
    '',
    'training',
    'training:',
    'trainings:x',
    'other:1',
    'javascript:alert(1)',
    ' training:x',
  ]) {
    assert.equal(parseTarget(text), null, text);
  }
});

test('a command opens what it was given, and nothing else', () => {
  assert.deepEqual(targetOf({ kind: 'session', id: 's', name: 'tiny' }), {
    kind: 'session',
    id: 's',
    name: 'tiny',
  });
  assert.deepEqual(targetOf({ kind: 'models' }), { kind: 'models', id: '' });
  assert.equal(targetOf({ kind: 'training' }), null);
  assert.equal(targetOf({ id: 'x' }), null);
});

test('a tab is named by what is known', () => {
  assert.equal(shortName({ kind: 'model', id: 'hub:org/tiny' }), 'tiny');
  assert.equal(shortName({ kind: 'training', id: '01m6abcdefghijkl' }), '01m6abcdef');
  assert.equal(shortName({ kind: 'training', id: '01m6', name: 'digits' }), 'digits');
});
