import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  chipOf,
  factsOf,
  noticesOf,
  shapeOf,
  trainingChip,
  trainingNoticesOf,
  trainingText,
} from '../../src/session/labels';
import { SessionClient } from '../../src/session/session_client';
import { SessionFeed } from '../../src/session/session_feed';
import { decodeTree, doublesOf } from '../../src/session/values';
import type { DebugSession, DebugTraining } from '../../src/wire';
import { FakeClock, FakeTransport } from '../fakes';

const NOW = 1_000_000;

function session(change: Partial<DebugSession> = {}): DebugSession {
  return {
    id: 's1',
    name: 'net',
    status: 'running',
    created_at: NOW - 60,
    started_at: NOW - 59,
    ended_at: null,
    python: '/bin/python',
    cwd: '/',
    calls: '',
    connection_file: '',
    code_error: null,
    captured: [],
    pid: 7,
    busy: null,
    cell_runs: false,
    queued: [],
    entry: { kind: 'class', name: 'Net' },
    functions: [],
    models: [],
    trainings: [],
    states: [],
    failure: null,
    attached: null,
    active_at: NOW,
    expires_at: NOW + 1800,
    inactive_s: 1800,
    num_calls: 0,
    notices: [],
    exit: null,
    urls: { web: null },
    ...change,
  };
}

function training(change: Partial<DebugTraining> = {}): DebugTraining {
  return {
    id: 't',
    model_id: 'm',
    state: 'running',
    progress: 0,
    created_at: NOW,
    started_at: NOW,
    finished_at: null,
    duration_s: null,
    cancel_stage: null,
    fail: null,
    metrics: [],
    ...change,
  };
}

const turn = (change: object = {}) => ({
  op: 'train',
  subject: 'm',
  queued_at: NOW - 10,
  started_at: NOW - 10,
  interrupting: false,
  deaf: null,
  ...change,
});

test('the chip says what the session does, and how it ended', () => {
  assert.deepEqual(chipOf(session(), NOW), { text: 'ready', status: 'succeeded' });
  assert.deepEqual(chipOf(session({ status: 'starting' }), NOW), { text: 'starting', status: 'starting' });
  assert.deepEqual(chipOf(session({ busy: turn() }), NOW), { text: 'train · 0:10', status: 'processing' });
  assert.deepEqual(chipOf(session({ busy: turn({ interrupting: true }) }), NOW), {
    text: 'interrupting train · 0:10',
    status: 'stopping',
  });
  const failure = { op: 'train', at: NOW, type: 'ValueError', message: 'x', num_frames: 2, selected: 1 };
  assert.equal(chipOf(session({ failure }), NOW).text, 'stopped at an exception');
  assert.deepEqual(chipOf(session({ failure: { ...failure, type: 'KeyboardInterrupt' } }), NOW), {
    text: 'interrupted',
    status: 'canceled',
  });
  const exit = {
    code: 'exited' as const,
    message: 'gone',
    hint: null,
    exit_code: null,
    signal: 11,
    oom: false,
    ended_at: NOW,
    exception: null,
  };
  assert.deepEqual(chipOf(session({ status: 'ended', exit }), NOW), { text: 'died', status: 'failed' });
  assert.equal(chipOf(session({ status: 'ended', exit: { ...exit, code: 'requested' } }), NOW).text, 'ended');
});

test('what a person should know is a line each', () => {
  const texts = (change: Partial<DebugSession>) => noticesOf(session(change), NOW).map(line => line.text);
  assert.deepEqual(texts({}), []);
  assert.match(texts({ busy: turn({ interrupting: true }) })[0], /does not react to the interrupt/);
  assert.match(
    texts({ busy: turn({ interrupting: true, deaf: 'its code has blocked SIGINT' }) })[0],
    /cannot be interrupted: its code has blocked SIGINT\. /
  );
  assert.match(texts({ queued: [turn({ op: 'evaluate', started_at: null })] })[0], /1 call waits: evaluate/);
  assert.match(texts({ expires_at: NOW + 60 })[0], /ends in 60 s/);
  assert.match(
    texts({ code_error: { message: 'SyntaxError: x' } })[0],
    /could not be loaded: SyntaxError: x/
  );
  assert.match(
    texts({ attached: { socket: null, adapter: null, host: '127.0.0.1', port: 5678 } })[0],
    /127\.0\.0\.1:5678/
  );
});

test('a training tells how it stands', () => {
  assert.equal(trainingChip(training({ started_at: null })).text, 'waits');
  assert.equal(trainingChip(training({ cancel_stage: 'flag' })).status, 'stopping');
  assert.equal(trainingChip(training({ state: 'failed', fail: { code: 'cancelled' } })).text, 'canceled');
  assert.equal(trainingText(training({ progress: 0.456 }), NOW + 65), '45 % · 1:05');
  assert.equal(
    trainingText(
      training({ state: 'failed', duration_s: 2, fail: { code: 'exception', message: 'NaNFound: x' } }),
      NOW
    ),
    '0:02 · NaNFound: x'
  );
});

test('a training that is shown alone says what became of its session', () => {
  const texts = (change: Partial<DebugSession>, own: Partial<DebugTraining> | null, gone = '') =>
    trainingNoticesOf(session(change), own && training(own), gone).map(({ tone, text }) => `${tone} ${text}`);
  assert.deepEqual(texts({}, {}), []);
  assert.match(texts({}, null)[0], /info net keeps this training no longer/);
  assert.match(texts({}, {}, 'no such session')[0], /error no such session/);
  const exit = {
    code: 'exited' as const,
    message: 'killed',
    hint: 'Launch it anew.',
    exit_code: null,
    signal: 9,
    oom: false,
    ended_at: NOW,
    exception: null,
  };
  const lost = { state: 'failed' as const, fail: { code: 'session_ended', message: 'killed' } };
  assert.match(texts({ status: 'ended', exit }, lost)[0], /error .* kept\. Launch it anew\./);
  assert.match(texts({ status: 'ended', exit: { ...exit, code: 'requested' } }, lost)[0], /info .* kept\.$/);
  assert.equal(trainingChip(training(lost)).text, 'ended with its session');
  const failure = { op: 'train', at: NOW, type: 'ValueError', message: 'x', num_frames: 2, selected: 1 };
  assert.match(
    texts({ failure }, { state: 'failed', fail: { code: 'exception', message: 'x' } })[0],
    /stopped there: %debug_session net/
  );
  assert.deepEqual(
    texts({ failure: null }, { state: 'failed', fail: { code: 'exception', message: 'x' } }),
    []
  );
});

test('numbers that should worry are marked', () => {
  assert.deepEqual(factsOf({ min: -1, max: 2, num_nan: 3, num_inf: 0 }), [
    { name: 'min', value: '-1', bad: false },
    { name: 'max', value: '2', bad: false },
    { name: 'NaN', value: '3', bad: true },
  ]);
  assert.equal(shapeOf([]), 'scalar');
  assert.equal(shapeOf([2, 3]), '2 × 3');
});

test('values are read out of a tree and its bytes', () => {
  const bytes = new Uint8Array(new Float64Array([1.5, NaN]).buffer);
  const tree = {
    k: 'list',
    v: [
      {
        k: 'dict',
        v: [
          ['numbers', { k: 'bytes', b: 0 }],
          ['n', { k: 'float', v: '-inf' }],
        ],
      },
    ],
  };
  const [{ numbers, n }] = decodeTree(tree, [bytes]) as { numbers: unknown; n: number }[];
  assert.deepEqual([...doublesOf(numbers)], [1.5, NaN]);
  assert.equal(n, -Infinity);
  assert.throws(() => decodeTree({ k: 'tensor', b: 0 }, [bytes]), /kind tensor/);
  assert.throws(() => decodeTree({ k: 'bytes', b: 4 }, []), /blob 4/);
});

class FakeSession extends FakeTransport {
  /** By a part of the path. */
  answers: Record<string, object> = {};

  protected override answer(path: string): { body: object } {
    const key = Object.keys(this.answers).find(part => path.includes(part)) ?? '';
    return { body: this.answers[key] ?? {} };
  }
}

const settled = () => new Promise(resolve => setTimeout(resolve, 0));

test('the feed begins with the tail of the log, and goes on at the byte where a broken stream stopped', async () => {
  const engine = new FakeSession();
  engine.answers = {
    'stream=stdout': { text: 'old\n', offset: 6, next_offset: 10 },
    'stream=stderr': { text: '', offset: 0, next_offset: 0 },
  };
  const clock = new FakeClock();
  const feed = new SessionFeed(new SessionClient(engine, 's1'), session(), () => undefined, clock);
  feed.start();
  await settled();
  assert.match(engine.streams[0].path, /\/native\/sessions\/s1\/stream\?stdout=10&stderr=0$/);
  const say = (message: object) =>
    engine.streams[engine.streams.length - 1].handlers.text(JSON.stringify(message));
  say({ kind: 'session', session: session({ num_calls: 3 }) });
  say({ kind: 'log', stream: 'stdout', offset: 10, next_offset: 14, skipped: 0, text: 'new\n' });
  say({ kind: 'log', stream: 'stdout', offset: 10, next_offset: 14, skipped: 0, text: 'new\n' });
  assert.equal(feed.state, 'live');
  assert.deepEqual(
    feed.log.lines.map(line => line.text).filter(Boolean),
    ['old', 'new'],
    'a line that comes twice is shown once'
  );
  engine.streams[0].handlers.closed(4503, 'No more streams.');
  assert.deepEqual([feed.state, feed.refusal], ['reconnecting', 'No more streams.']);
  clock.pass(60_000);
  await settled();
  assert.match(engine.streams[1].path, /stdout=14&stderr=0$/);
  say({
    kind: 'exit',
    exit: {
      code: 'inactive',
      message: 'unused',
      hint: null,
      exit_code: null,
      signal: null,
      oom: false,
      ended_at: NOW,
      exception: null,
    },
  });
  assert.equal(feed.state, 'ended');
  engine.streams[1].handlers.closed(1000);
  clock.pass(60_000);
  assert.equal(engine.streams.length, 2, 'nothing is asked of a session that is over');
});

test('a session that is not there is said to be gone, once', async () => {
  const engine = new FakeSession();
  const clock = new FakeClock();
  const feed = new SessionFeed(new SessionClient(engine, 'no'), null, () => undefined, clock);
  feed.start();
  await settled();
  engine.streams[0].handlers.closed(4404);
  clock.pass(60_000);
  await settled();
  assert.equal(feed.state, 'gone');
  assert.equal(engine.streams.length, 1);
});
