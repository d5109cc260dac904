import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contentsPath } from '../../../labextension/src/marks/contents_path';
import { badgeOf, runningByCell, titleOf } from '../../../labextension/src/marks/running';
import { training } from '../fakes';

const FROM = { notebook: '/home/a/x.ipynb', cell: 'c1' };

test('a cell is marked while what it started runs', () => {
  const found = runningByCell([
    training({ id: '1', started_from: FROM }),
    training({ id: '2', started_from: FROM, status: 'starting' }),
    training({ id: '3', started_from: FROM, status: 'failed' }),
    training({ id: '4' }),
  ]);
  assert.deepEqual([...found.keys()], ['c1']);
  assert.deepEqual(
    found.get('c1')?.map(({ id }) => id),
    ['1', '2']
  );
  const progress = { current: 4, total: 9, fraction: 0.449, eta_s: null };
  assert.equal(
    titleOf([training({ name: 'a', progress }), training({ name: 'b' })]),
    'a: 44 %, b is running'
  );
  assert.equal(badgeOf([training({ progress })], 'running'), '44 %');
  assert.equal(badgeOf([training({})], 'running'), 'running');
  assert.equal(badgeOf([training({ progress }), training({})], 'running'), '2 × running');
});

test('a notebook is found below the root, also where the page does not know the home', () => {
  assert.equal(contentsPath('/srv/', '/srv/a/b.ipynb'), 'a/b.ipynb');
  assert.equal(contentsPath('/work', '/workshop/b.ipynb'), null);
  assert.equal(contentsPath('~/work', '/home/me/work/b.ipynb'), 'b.ipynb');
  assert.equal(contentsPath('~', '/home/me/b.ipynb'), 'b.ipynb');
  assert.equal(contentsPath('~', '/root/b.ipynb'), 'b.ipynb');
  assert.equal(contentsPath('~/work', '/tmp/b.ipynb'), null);
});
