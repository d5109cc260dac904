import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TrainingFeed } from '../../src/training/training_feed';
import { batchBytes, FakeClock, FakeEngine, settle, training } from '../fakes';

async function connected(): Promise<{ engine: FakeEngine; clock: FakeClock; feed: TrainingFeed }> {
  const engine = new FakeEngine();
  engine.columns = [{ key: 'loss', steps: [0, 1], values: [3, 2], times: [0, 1] }];
  engine.log = 'hello\n';
  engine.seq = 5;
  const clock = new FakeClock();
  const feed = new TrainingFeed({ transport: engine, trainingId: 't1', onChange: () => undefined, clock });
  feed.start();
  await settle();
  engine.hello();
  return { engine, clock, feed };
}

const steps = (feed: TrainingFeed) => [...(feed.series.all[0]?.curve('step', 0).x ?? [])];
const text = (feed: TrainingFeed) => feed.log.lines.map(line => line.text).join('\n');

test('a new view fetches first and streams from there', async () => {
  const { engine, feed } = await connected();
  assert.ok(engine.requests.includes('GET /native/trainings/t1/metrics?buckets=800&chain=1'));
  assert.ok(engine.requests.includes('GET /native/trainings/t1/logs?tail=400'));
  assert.equal(engine.stream.path, '/native/trainings/t1/stream?after_seq=5');
  assert.equal(feed.state.kind, 'live');
  engine.point(2, 1);
  engine.print('more\n');
  assert.deepEqual(steps(feed), [0, 1, 2]);
  assert.equal(text(feed), 'hello\nmore');
});

test('after a break it continues after what it has, and nothing comes twice', async () => {
  const { engine, clock, feed } = await connected();
  engine.point(2, 1);
  engine.stream.handlers.closed(1006);
  await settle();
  assert.equal(feed.state.kind, 'reconnecting');
  const fetched = engine.requests.length;
  clock.pass(1_000);
  await settle();
  assert.equal(engine.stream.path, '/native/trainings/t1/stream?after_seq=6');
  assert.equal(engine.requests.length, fetched, 'nothing is fetched anew');
  engine.hello();
  // An engine that repeats itself does no harm.
  engine.stream.handlers.binary(batchBytes(6, 2, [{ index: 0, steps: [2], values: [1], seconds: [0] }]));
  engine.point(3, 1);
  assert.deepEqual(steps(feed), [0, 1, 2, 3]);
  assert.equal(feed.state.kind, 'live');
});

test('a server that is away for a minute is waited for, ever less often', async () => {
  const { engine, clock, feed } = await connected();
  engine.status = null;
  engine.stream.handlers.closed(1006);
  await settle();
  let attempts = 0;
  for (let s = 0; s < 60; s++) {
    const before = engine.streams.length;
    clock.pass(1_000);
    await settle();
    if (engine.streams.length > before) {
      attempts += 1;
      engine.stream.handlers.closed(1006);
      await settle();
    }
    assert.equal(feed.state.kind, 'reconnecting');
  }
  assert.ok(attempts >= 5 && attempts <= 12, `${attempts} attempts`);
  engine.status = 200;
  engine.point(2, 1, false);
  clock.pass(20_000);
  await settle();
  engine.hello();
  engine.stream.handlers.binary(batchBytes(6, 2, [{ index: 0, steps: [2], values: [1], seconds: [0] }]));
  assert.deepEqual(steps(feed), [0, 1, 2]);
});

test('a stream that is refused says why, and is tried again', async () => {
  const { engine, clock, feed } = await connected();
  engine.stream.handlers.closed(1006);
  await settle();
  clock.pass(1_000);
  await settle();
  engine.stream.handlers.closed(4503, 'The engine has 6 streams open, its limit.');
  await settle();
  assert.equal(
    feed.state.kind === 'reconnecting' && feed.state.reason,
    'The engine has 6 streams open, its limit.'
  );
  clock.pass(10_000);
  await settle();
  engine.hello();
  assert.equal(feed.state.kind, 'live');
});

test('a reset fetches anew; what arrives meanwhile is neither lost nor doubled', async () => {
  const { engine, feed } = await connected();
  engine.hold = true;
  engine.say({ kind: 'reset', seq: 5 });
  engine.point(2, 1);
  engine.print('two\n');
  engine.release();
  await settle();
  engine.point(3, 1);
  await settle();
  assert.deepEqual(steps(feed), [0, 1, 2, 3]);
  assert.equal(text(feed), 'hello\ntwo');
});

test('a chunk of log that overlaps is cut, a hole in the log is fetched', async () => {
  const { engine, feed } = await connected();
  engine.say({ kind: 'log', seq: 6, offset: 4, next_offset: 10, text: 'o\näb\n' });
  assert.equal(text(feed), 'hello\näb');
  engine.log = 'hello\näb\nlost\nnew\n';
  engine.seq = 8;
  engine.say({ kind: 'log', seq: 8, offset: 15, next_offset: 19, text: 'new\n' });
  await settle();
  assert.equal(text(feed), 'hello\näb\nlost\nnew');
});

test('the end closes the stream for good', async () => {
  const { engine, clock, feed } = await connected();
  engine.say({ kind: 'state', seq: 5, training: training({ status: 'succeeded', silent_s: null }) });
  engine.say({ kind: 'end', seq: 5 });
  assert.equal(feed.state.kind, 'ended');
  assert.ok(engine.stream.closed);
  assert.equal(clock.waiting, 0);
  feed.start();
  await settle();
  assert.equal(engine.streams.length, 1);
});

test('an unknown training is said at once and not waited for', async () => {
  const engine = new FakeEngine();
  engine.status = 404;
  const clock = new FakeClock();
  const feed = new TrainingFeed({ transport: engine, trainingId: 't1', onChange: () => undefined, clock });
  feed.start();
  await settle();
  assert.deepEqual(feed.state, { kind: 'unavailable', reason: 'There is no training.' });
  assert.equal(clock.waiting, 0);
});

test('a paused feed holds nothing and continues without a gap', async () => {
  const { engine, clock, feed } = await connected();
  feed.pause();
  assert.ok(engine.stream.closed);
  assert.equal(clock.waiting, 0);
  engine.point(2, 1, false);
  feed.start();
  await settle();
  assert.equal(engine.stream.path, '/native/trainings/t1/stream?after_seq=5');
});

test('what cannot be read is fetched anew', async () => {
  const { engine, clock, feed } = await connected();
  engine.stream.handlers.binary(batchBytes(6, 2, [{ index: 9, steps: [2], values: [1], seconds: [0] }]));
  assert.equal(feed.state.kind, 'reconnecting');
  clock.pass(1_000);
  await settle();
  engine.hello();
  assert.equal(feed.state.kind, 'live');
  assert.deepEqual(steps(feed), [0, 1]);
});
