import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ListsChange, ListsFeed } from '../../src/lists/lists_feed';
import type { ListPage } from '../../src/runs/list_client';
import { ListClient } from '../../src/runs/list_client';
import { SharedPages } from '../../src/runs/shared_pages';
import type { ListName, Training } from '../../src/wire';
import { FakeClock, FakeTransport, settle, training } from '../fakes';

/** A server before an engine that may run or not. */
class FakeServer extends FakeTransport {
  isRunning = true;
  canStart = true;
  looks = 0;
  page: ListPage = { trainings: [], total: 0, counts: {}, offset: 0 };

  async isEngineRunning(): Promise<boolean> {
    this.looks += 1;
    return this.isRunning;
  }

  protected override answer(): { status?: number; body: object } {
    this.isRunning ||= this.canStart;
    return this.isRunning
      ? { body: this.page }
      : { status: 503, body: { title: 'Service Unavailable', detail: 'No room for it.' } };
  }

  get open(): string[] {
    return this.streams.filter(({ closed }) => !closed).map(({ path }) => path.split('?')[1]);
  }

  sayAll(...trainings: Training[]): void {
    this.say({
      kind: 'lists',
      trainings: { trainings, counts: { processing: trainings.length } },
      sessions: [],
      models: null,
      engine: { version: '1', memory_mib: 100, trainings_mib: 0, models_mib: 0, problems: [] },
    });
  }
}

function setUp() {
  const server = new FakeServer();
  const clock = new FakeClock();
  const feed = new ListsFeed(server, clock);
  const ended = new AbortController();
  const heard: ListsChange[] = [];
  const follow = (...names: ListName[]) => feed.follow(names, change => heard.push(change), ended.signal);
  return { server, clock, feed, ended, heard, follow };
}

test('ten that look at the same list hold one stream', async () => {
  const { server, clock, feed, ended, follow } = setUp();
  const followers = Array.from({ length: 10 }, () => follow('trainings'));
  assert.equal(server.looks, 0, 'nobody looks yet');
  for (const follower of followers) {
    follower.look('all');
  }
  await settle();
  assert.deepEqual(server.open, ['lists=trainings']);
  assert.equal(server.looks, 1);
  server.sayAll(training());
  assert.equal(feed.state, 'live');
  assert.equal(feed.data.trainings.size, 1);
  for (const follower of followers.slice(1)) {
    follower.look(null);
  }
  clock.pass(60_000);
  assert.equal(server.open.length, 1, 'one still looks');
  ended.abort();
  clock.pass(60_000);
  assert.deepEqual(server.open, []);
  assert.equal(clock.waiting, 0, 'and no timer is left');
});

test('an output that is looked at starts no engine where the page may not, and a person still does', async () => {
  const { server, feed, follow } = setUp();
  server.isRunning = false;
  const way = Object.assign(server, {
    mayStart: () => false,
    startEngine: () => server.request('GET', '/native/engine?by=hand'),
  });
  follow('trainings').look('all', true);
  await settle();
  assert.equal(feed.state, 'stopped');
  assert.deepEqual(way.requests, []);
  await feed.start();
  assert.deepEqual(way.requests, ['GET /native/engine?by=hand']);
});

test('the stream carries what is looked at, as closely as somebody looks', async () => {
  const { server, clock, follow } = setUp();
  const [trainings, all] = [follow('trainings'), follow('trainings', 'sessions', 'models')];
  trainings.look('news');
  await settle();
  assert.deepEqual(server.open, ['lists=trainings&quiet=1']);
  server.sayAll();
  all.look('all');
  await settle();
  assert.deepEqual(server.open, ['lists=models,sessions,trainings']);
  server.sayAll();
  all.look(null);
  assert.deepEqual(
    server.open,
    ['lists=models,sessions,trainings'],
    'who looks back at once finds it as it was'
  );
  clock.pass(1_000);
  await settle();
  assert.deepEqual(server.open, ['lists=trainings&quiet=1']);
});

test('looking starts no engine, and finds one that somebody else has started', async () => {
  const { server, clock, feed, follow } = setUp();
  server.isRunning = false;
  const follower = follow('trainings');
  follower.look('all');
  await settle();
  assert.equal(feed.state, 'stopped');
  assert.deepEqual([server.requests, server.streams], [[], []]);
  follower.look(null);
  clock.pass(60_000);
  await settle();
  const { looks } = server;
  clock.pass(60_000);
  await settle();
  assert.equal(server.looks, looks, 'nothing is asked while nobody looks');
  follower.look('all');
  clock.pass(3_000);
  await settle();
  server.isRunning = true;
  clock.pass(3_000);
  await settle();
  assert.equal(server.open.length, 1);
});

test('a person starts the engine, or is told why it does not start', async () => {
  const { server, feed, follow } = setUp();
  server.isRunning = server.canStart = false;
  follow('trainings').look('all');
  await settle();
  await feed.start();
  assert.deepEqual([feed.state, feed.reason], ['stopped', 'No room for it.']);
  server.canStart = true;
  await feed.start();
  await settle();
  assert.equal(server.open.length, 1);
});

test('an output that is looked at starts the engine, keeps it, and starts it again after it was killed', async () => {
  const { server, clock, feed, follow } = setUp();
  server.isRunning = false;
  const output = follow('models');
  output.look('all', true);
  await settle();
  assert.deepEqual(server.requests, ['GET /native/engine']);
  assert.deepEqual(server.open, ['lists=models&keep=1']);
  server.isRunning = server.canStart = false;
  server.streams[0].closed = true;
  server.streams[0].handlers.closed(1012);
  clock.pass(20_000);
  await settle();
  assert.deepEqual([feed.state, feed.reason], ['stopped', 'No room for it.']);
  server.canStart = true;
  clock.pass(20_000);
  await settle();
  assert.deepEqual(server.open, ['lists=models&keep=1']);
  output.look(null);
  clock.pass(60_000);
  assert.deepEqual(server.open, []);
});

test('what changes is told, and a change of status makes pages of trainings old', async () => {
  const { server, feed, heard, follow } = setUp();
  follow('trainings', 'sessions').look('all');
  await settle();
  server.sayAll(training());
  const { version } = feed.data;
  server.say({
    kind: 'training',
    training: training({ last: { loss: { step: 1, value: 1, time: 1 } } }),
    counts: null,
  });
  assert.equal(feed.data.version, version, 'a point more changes no page');
  assert.equal(heard.at(-1)?.kind, 'training');
  server.say({ kind: 'training', training: training({ status: 'failed' }), counts: { failed: 1 } });
  assert.equal(feed.data.version, version + 1);
  assert.deepEqual(feed.data.counts, { failed: 1 });
  server.say({ kind: 'removed', list: 'trainings', id: 't1', counts: {} });
  assert.equal(feed.data.trainings.size, 0);
  assert.equal(feed.data.version, version + 2);
});

test('tables that ask the same ask once, until the list has changed', async () => {
  const { server, feed, follow } = setUp();
  follow('trainings').look('all');
  await settle();
  server.sayAll(training());
  const pages = new SharedPages(feed, new ListClient(server));
  const query = { statuses: [], text: '', sort: '-created_at', limit: 20, offset: 0 };
  await Promise.all(Array.from({ length: 10 }, () => pages.page(query, Infinity)));
  assert.equal(server.requests.length, 1);
  await pages.page({ ...query, text: 'digits' }, Infinity);
  assert.equal(server.requests.length, 2, 'another question');
  server.say({ kind: 'training', training: training({ status: 'failed' }), counts: { failed: 1 } });
  await Promise.all(Array.from({ length: 10 }, () => pages.page(query, Infinity)));
  assert.equal(server.requests.length, 3);
  await pages.page(query, 0);
  assert.equal(server.requests.length, 4, 'who has changed something asks anew');
});
