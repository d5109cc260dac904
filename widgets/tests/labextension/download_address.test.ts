import assert from 'node:assert/strict';
import { test } from 'node:test';
import { downloadAddress } from '../../../labextension/src/commands/download_address';

test('a download proves who asks as a link can', () => {
  const path = '/native/trainings/a%20b/exports/csv';
  const baseUrl = 'https://hub/user/me/';
  const address = (cookie: string, token?: string) =>
    new URL(downloadAddress({ baseUrl, token, cookie }, path));
  const { pathname, searchParams } = address('a=1; _xsrf=2%7C%26x; b=2');
  assert.equal(pathname, `/user/me/jupyter-ext/engine${path}`);
  assert.deepEqual([...searchParams], [['_xsrf', '2|&x']]);
  assert.deepEqual([...address('not_xsrf=1', 'se&cret').searchParams], [['token', 'se&cret']]);
});
