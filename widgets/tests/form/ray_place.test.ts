import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rayName, rayOptions, rayPlace } from '../../src/form/ray_place';

test('a place on Ray is what a line would say', () => {
  assert.equal(rayOptions(rayPlace({ address: '' })), ' --on ray');
  assert.equal(
    rayOptions(rayPlace({ address: ' http://head:8265/ ', cpus: 4, gpus: 0.5 })),
    ' --on ray --address http://head:8265 --cpus 4 --gpus 0.5'
  );
  assert.equal(rayOptions(rayPlace({ address: 'http://a/?x=1&y' })), " --on ray --address 'http://a/?x=1&y'");
  assert.equal(rayName('https://head:8265/ray'), 'head:8265/ray');
});
