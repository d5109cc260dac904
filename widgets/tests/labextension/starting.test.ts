import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type CellText,
  isDebuggable,
  isNamed,
  isTrainable,
  sourceOf,
  withMagic,
} from '../../../labextension/src/start/cell_source';
import { freeName, fromFolder, inFolder, onDisk, splitPath } from '../../../labextension/src/start/places';

const cell = (text: string, count: number | null = null): CellText => ({ id: text, text, count });

test('scripts and cells that define train may be trained, commands and empty cells may not', () => {
  for (const text of [
    'def train():\n  pass',
    'x = 1',
    '%%train digits -i a=1\ndef train(a): ...',
    '  %%train\nx',
  ]) {
    assert.ok(isTrainable(text), text);
  }
  for (const text of ['', '  \n', '%%bash\nls', '!pip list', '%load_ext jupyter_ext', '?print']) {
    assert.ok(!isTrainable(text), text);
  }
});

test('a session wants something to hold: a class, functions or a model', () => {
  for (const text of [
    'class Net: ...',
    'x = 1\ndef f(): ...',
    'model = Net()',
    '%%debug_session a\nclass A: ...',
  ]) {
    assert.ok(isDebuggable(text), text);
  }
  for (const text of ['print(1)', 'modeling = 2', '%%bash\nclass', '%%train\ndef train(): ...']) {
    assert.ok(!isDebuggable(text), text);
  }
});

test('the cells above go with a cell, and empty ones do not', () => {
  const source = sourceOf([cell('import torch', 3), cell(' '), cell('def train(): ...')], 2, { cwd: '/a' });
  assert.deepEqual(source, {
    text: 'def train(): ...',
    label: 'Cell 3',
    before: [{ text: 'import torch', label: 'Cell In[3]' }],
    cwd: '/a',
  });
});

test('a magic line replaces the one that is there', () => {
  assert.equal(withMagic('x = 1', '%%train a'), '%%train a\nx = 1');
  assert.equal(withMagic('%%train old -i b=1\nx = 1', '%%train a'), '%%train a\nx = 1');
  assert.ok(isNamed('%%train digits -i a=1'));
  assert.ok(!isNamed('%%train -i a=1'));
  assert.ok(!isNamed('x = 1'));
});

test('paths go between the contents and the disk', () => {
  assert.deepEqual(splitPath('a/b/c.py'), { folder: 'a/b', name: 'c.py' });
  assert.deepEqual(splitPath('c.py'), { folder: '', name: 'c.py' });
  assert.equal(onDisk('~/nets/', 'a/b.py'), '~/nets/a/b.py');
  assert.equal(onDisk('/work', ''), '/work');
  assert.equal(onDisk('/', ''), '/');
  assert.equal(fromFolder('a/b', 'a/data/x.csv'), '../data/x.csv');
  assert.equal(fromFolder('', 'data'), 'data');
  assert.equal(inFolder('a/b', '../data/'), 'a/data');
  assert.equal(inFolder('a', '../../x'), null);
  assert.equal(inFolder('a', '/etc'), null);
});

test('an upload takes no name that is taken', () => {
  assert.equal(freeName('a.csv', new Set()), 'a.csv');
  assert.equal(freeName('a.csv', new Set(['a.csv', 'a-2.csv'])), 'a-3.csv');
  assert.equal(freeName('noext', new Set(['noext'])), 'noext-2');
});
