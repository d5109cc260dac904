import assert from 'node:assert/strict';
import { test } from 'node:test';
import schema from '../../../labextension/schema/settings.json';
import {
  type Applied,
  keepIdleTime,
  startWithPage,
} from '../../../labextension/src/connection/engine_settings';
import { DEFAULTS, type Values } from '../../../labextension/src/setting_values';
import { ListsFeed } from '../../src/lists/lists_feed';
import { FakeClock, FakeTransport, settle } from '../fakes';

test('what the schema says is what holds until it is read', () => {
  const properties = Object.entries(schema.properties);
  assert.deepEqual(
    Object.fromEntries(properties.map(([name, { default: value }]) => [name, value])),
    DEFAULTS
  );
  for (const [name, { title, description }] of properties) {
    assert.ok(title && description, name);
    assert.doesNotMatch(name, /token|secret|password|key$/, 'secrets are never settings');
  }
});

class Server extends FakeTransport {
  isRunning = true;
  status = 200;
  readonly running = this;
  readonly bodies: unknown[] = [];

  async isEngineRunning(): Promise<boolean> {
    return this.isRunning;
  }

  override async request(method: string, path: string, body?: unknown) {
    this.bodies.push(body);
    return super.request(method, path);
  }

  protected override answer() {
    return { status: this.status, body: {} };
  }
}

function page(change: Partial<Values>) {
  const server = new Server();
  const heard: (() => void)[] = [];
  const settings = {
    values: { ...DEFAULTS, ...change },
    changed: { connect: (slot: () => void) => heard.push(slot) },
  };
  const lists = new ListsFeed(server, new FakeClock());
  const applied = { lists, transport: server, settings } as unknown as Applied;
  const set = (next: Partial<Values>) => {
    Object.assign(settings.values, next);
    for (const slot of heard) {
      slot();
    }
  };
  const connect = async (idle_set_s: number | null) => {
    lists.follow(['trainings'], () => undefined, new AbortController().signal).look('all');
    await settle();
    const engine = { version: '1', memory_mib: 1, trainings_mib: 0, models_mib: 0, problems: [], idle_set_s };
    server.say({ kind: 'lists', trainings: null, sessions: null, models: null, engine });
    await settle();
  };
  return { server, applied, set, connect };
}

test('the engine stays as long as is set, which is said once and when it is changed', async () => {
  const { server, applied, set, connect } = page({ engine_idle_min: 30 });
  keepIdleTime(applied, error => assert.fail(String(error)));
  assert.deepEqual(server.requests, [], 'no engine is asked before there is one');
  await connect(null);
  assert.deepEqual(server.requests, ['PATCH /native/engine']);
  assert.deepEqual(server.bodies, [{ idle_s: 1800 }]);
  await connect(600);
  assert.equal(server.requests.length, 1, 'another page has said otherwise, and is not contended with');
  set({ engine_idle_min: 0 });
  await settle();
  assert.deepEqual(server.bodies.at(-1), { idle_s: null });
});

test('an engine that is as it is set is left alone, and a refusal is told', async () => {
  const refused: unknown[] = [];
  for (const [set, has] of [
    [0, null],
    [10, 600],
  ] as const) {
    const { server, applied, connect } = page({ engine_idle_min: set });
    keepIdleTime(applied, error => refused.push(error));
    await connect(has);
    assert.deepEqual(server.requests, []);
  }
  const { server, applied, connect } = page({ engine_idle_min: 5 });
  server.status = 403;
  keepIdleTime(applied, error => refused.push(error));
  await connect(null);
  assert.equal(refused.length, 1);
});

test('the engine is started with the page only where that is set', async () => {
  for (const [engine_start, isRunning, asked] of [
    ['never', false, 0],
    ['use', false, 0],
    ['open', true, 0],
    ['open', false, 1],
  ] as const) {
    const { server, applied } = page({ engine_start });
    server.isRunning = isRunning;
    await startWithPage(applied);
    assert.equal(server.requests.length, asked, `${engine_start}, running: ${isRunning}`);
  }
});
