import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ListsFeed } from '../../src/lists/lists_feed';
import {
  actionsOf,
  deleteQuestion,
  doubtText,
  errorText,
  fractionOf,
  memoryText,
  revisionText,
  shortName,
  sizeText,
  transferText,
  unloadedText,
  usersText,
} from '../../src/models/labels';
import { ModelsClient } from '../../src/models/models_client';
import { ModelsFeed } from '../../src/models/models_feed';
import {
  parseLiteral,
  parseShape,
  shapeOfLiteral,
  shapeText,
  writesText,
} from '../../src/models/playground_calls';
import type { LocalModel, ModelHost, ModelPage, Transfer } from '../../src/wire';
import { FakeClock, FakeTransport, settle } from '../fakes';

const MIB = 2 ** 20;
const NAME = 'sentence-transformers/all-MiniLM-L6-v2';

function transfer(change: Partial<Transfer> = {}): Transfer {
  return {
    status: 'running',
    phase: 'transfer',
    bytes_done: 34 * MIB,
    bytes_total: 87 * MIB,
    bytes_per_s: 12 * MIB,
    eta_s: 4.4,
    files_done: 2,
    files_total: 5,
    file: 'model.safetensors',
    resumed_bytes: 0,
    started_at: '2026-01-01T00:00:00Z',
    ended_at: null,
    error: null,
    ...change,
  };
}

function host(change: Partial<ModelHost> = {}): ModelHost {
  return {
    id: 'h',
    state: 'ready',
    pid: 7,
    calls: '/run/h.sock',
    device: 'cpu',
    dtype: 'float32',
    estimated_bytes: 90 * MIB,
    memory_bytes: 102 * MIB,
    private_bytes: 14 * MIB,
    device_bytes: null,
    load_s: 0.4,
    loaded_at: null,
    num_calls: 0,
    keep_alive_s: null,
    expires_at: null,
    pinned: false,
    users: [],
    task: null,
    in_flight: 0,
    code: null,
    notices: [],
    ...change,
  };
}

function model(change: Partial<LocalModel> = {}): LocalModel {
  return {
    id: `hub:${NAME}`,
    name: NAME,
    source: 'hub',
    description: null,
    state: 'absent',
    custom: false,
    cloud: false,
    revision: null,
    newer_revision: null,
    path: null,
    bytes: 87 * MIB,
    memory_bytes: 90 * MIB,
    num_parameters: null,
    dtype: null,
    architecture: null,
    tokenizer: true,
    files: [],
    transfer: null,
    host: null,
    unloaded: null,
    error: null,
    notices: [],
    created_at: '2026-01-01T00:00:00Z',
    used_at: null,
    meta: {},
    urls: { web: null },
    ...change,
  };
}

function page(...models: LocalModel[]): ModelPage {
  return {
    models,
    disk_free_bytes: 100 * MIB,
    disk_total_bytes: 1000 * MIB,
    memory_available_bytes: 500 * MIB,
    memory_total_bytes: 1000 * MIB,
  };
}

test('in every state there are the buttons that make sense there', () => {
  const expected = {
    absent: ['download', 'delete'],
    partial: ['download', 'delete'],
    downloading: ['cancel'],
    downloaded: ['load', 'delete'],
    loading: ['cancel'],
    loaded: ['run', 'unload'],
    unloading: [],
  } as const;
  for (const [state, actions] of Object.entries(expected)) {
    assert.deepEqual(actionsOf(model({ state: state as LocalModel['state'] })), actions, state);
  }
  assert.deepEqual(actionsOf(model({ state: 'loaded', newer_revision: 'b' })), ['run', 'unload', 'update']);
  assert.deepEqual(
    actionsOf(model({ state: 'downloaded', newer_revision: 'b', transfer: transfer() })),
    ['load', 'cancel', 'delete'],
    'an update under way can be canceled'
  );
  assert.deepEqual(actionsOf(model({ cloud: true })), []);
});

test('a bar says phase, bytes of how many, speed, files, and how long it takes', () => {
  assert.deepEqual(transferText(transfer()), {
    done: 'downloading · 34.0 MiB of 87.0 MiB · 12.0 MiB/s · file 3 of 5',
    left: 'a few seconds left',
  });
  assert.deepEqual(
    transferText(transfer({ phase: 'verify', eta_s: null, files_total: 1, resumed_bytes: 5 * MIB })),
    { done: 'checking sha256 · 34.0 MiB of 87.0 MiB · 5.0 MiB were here', left: '' }
  );
  assert.equal(
    transferText(transfer({ bytes_total: null, bytes_per_s: null, files_total: null })).done,
    'downloading · 34.0 MiB'
  );
  assert.equal(fractionOf(transfer({ bytes_done: 200 * MIB })), 1);
  assert.equal(fractionOf(transfer({ bytes_total: null })), null);
});

test('what is kept of a cut download is told', () => {
  const cut = model({
    state: 'partial',
    files: [{ name: 'a', bytes: 80 * MIB, sha256: null, kept_bytes: 30 * MIB }],
  });
  assert.equal(sizeText(cut), '30.0 MiB kept');
  assert.equal(
    sizeText(model({ state: 'partial', transfer: transfer({ status: 'canceled' }), bytes: null })),
    '34.0 MiB kept'
  );
  assert.match(deleteQuestion(cut), /Delete all-MiniLM-L6-v2 from the disk \(30\.0 MiB\)/);
  assert.match(deleteQuestion(model({ source: 'file', state: 'downloaded' })), /files stay where they are/);
});

test('memory is measured when loaded, else estimated', () => {
  assert.equal(memoryText(model()), '≈ 90.0 MiB');
  assert.equal(memoryText(model({ host: host() })), '102 MiB');
  assert.equal(memoryText(model({ host: host({ memory_bytes: null }) })), '≈ 90.0 MiB');
  assert.equal(memoryText(model({ host: host({ device_bytes: 98 * MIB }) })), '200 MiB');
  assert.equal(memoryText(model({ memory_bytes: null })), '–');
});

test('names, revisions and users are short', () => {
  assert.equal(shortName(model()), 'all-MiniLM-L6-v2');
  assert.equal(revisionText('c9745ed1d9f207416be6d2e6f8de32d1f16199bf'), 'c9745ed');
  assert.equal(revisionText('main'), 'main');
  const user = (name: string) => ({ id: name, name, pid: 1, since: '' });
  assert.equal(usersText(model()), '');
  assert.equal(usersText(model({ host: host() })), 'nobody');
  assert.equal(usersText(model({ host: host({ users: [user('a.ipynb')] }) })), 'a.ipynb');
  assert.equal(usersText(model({ host: host({ users: [user('a.ipynb'), user('b.ipynb')] }) })), '2 users');
});

test('an unload says what it gave back', () => {
  const text = unloadedText({
    host_bytes: 102 * MIB,
    available_before_bytes: 400 * MIB,
    available_after_bytes: 495 * MIB,
    took_s: 0.08,
    held: ['module', 'Out[3]'],
  });
  assert.equal(
    text,
    "Unloaded in 0.1 s: the host's 102 MiB are free again; available memory 400 MiB → 495 MiB (+95.0 MiB); the notebook that asked still holds module, Out[3]"
  );
});

test('what does not fit is said before anybody tries', () => {
  assert.equal(doubtText(model(), page()), null);
  assert.match(
    doubtText(model({ bytes: 300 * MIB }), page()) ?? '',
    /Needs 300 MiB of disk; 100 MiB are free/
  );
  assert.match(
    doubtText(model({ memory_bytes: 700 * MIB }), page()) ?? '',
    /about 700 MiB of memory to load; 500 MiB are available/
  );
  assert.equal(doubtText(model({ memory_bytes: 700 * MIB, state: 'loaded', host: host() }), page()), null);
});

test('an error is one line', () => {
  assert.equal(
    errorText(
      model({ transfer: transfer({ status: 'failed', error: 'The hub answers 503.\nTraceback …' }) })
    ),
    'The hub answers 503.'
  );
  assert.equal(errorText(model({ transfer: transfer({ status: 'canceled', error: 'x' }) })), '');
});

test('shapes and literals are read as people write them, and what is wrong is named', () => {
  assert.deepEqual(parseShape('1, 3, 224,224'), [1, 3, 224, 224]);
  assert.deepEqual(parseShape('(2 × 3)'), [2, 3]);
  assert.deepEqual(parseShape(''), []);
  assert.throws(() => parseShape('1, -3'), /“-3” is no size/);
  assert.throws(() => parseShape('100000, 100000'), /1\.0e\+10 numbers/);
  assert.deepEqual(parseLiteral('((1, 2.5,), (True, 4))'), [
    [1, 2.5],
    [true, 4],
  ]);
  assert.throws(() => parseLiteral('[1, 2'), /no nested list/);
  assert.throws(() => parseLiteral('[[1], [2, 3]]'), /not all of the same length/);
  assert.throws(() => parseLiteral('["a"]'), /"a" is no number/);
  assert.deepEqual(shapeOfLiteral([[1, 2, 3]]), [1, 3]);
  assert.equal(shapeText([]), 'scalar');
  assert.ok(
    writesText('GPT2LMHeadModel') &&
      writesText('LlamaForCausalLM') &&
      !writesText('BertModel') &&
      !writesText(null)
  );
});

class FakeModels extends FakeTransport {
  page = page();

  protected override answer(): { body: object } {
    return { body: this.page };
  }
}

test('an id with slashes and colons is one part of a path', async () => {
  const engine = new FakeModels();
  await new ModelsClient(engine).act('hub:org/name@v1', 'download');
  assert.equal(engine.requests[0], 'POST /native/models/hub%3Aorg%2Fname%40v1/download');
});

test('a list shows what was saved until the page has heard of the engine, then what the engine says', async () => {
  const engine = new FakeModels();
  const clock = new FakeClock();
  const ended = new AbortController();
  let changes = 0;
  const lists = new ListsFeed(engine, clock);
  const feed = new ModelsFeed(lists, page(model({ name: 'saved' })), () => changes++, ended.signal);
  const ids = () => feed.models.map(each => each.id);
  assert.deepEqual(
    feed.models.map(each => each.name),
    ['saved'],
    'the saved list is there at once'
  );
  assert.equal(feed.machine?.disk_free_bytes, 100 * MIB);
  feed.start();
  await settle();
  assert.equal(engine.streams[0].path, '/native/lists/stream?lists=models&keep=1');
  assert.equal(feed.state, 'connecting');
  const first = (models: ModelPage) => ({
    kind: 'lists',
    trainings: null,
    sessions: null,
    models,
    engine: {},
  });
  engine.say(first(page(model({ id: 'b', name: 'b' }), model({ id: 'a', name: 'A' }))));
  assert.equal(feed.state, 'live');
  assert.deepEqual(ids(), ['a', 'b']);
  engine.say({ kind: 'model', model: model({ id: 'b', name: 'b', state: 'downloading' }) });
  engine.say({ kind: 'removed', list: 'models', id: 'a', counts: null });
  assert.deepEqual(ids(), ['b']);
  clock.pass(1_000);
  assert.deepEqual(engine.requests, ['GET /native/models'], 'the machine is asked once for both changes');

  engine.streams[0].handlers.closed(1006);
  assert.deepEqual([feed.state, feed.refusal], ['reconnecting', ''], 'what broke is soon over');
  assert.deepEqual(ids(), ['b'], 'what was known stays on the screen');
  clock.pass(5_000);
  await settle();
  assert.equal(engine.streams.length, 2);
  const before = changes;
  engine.streams[1].handlers.closed(4503, 'No more streams.');
  assert.equal(feed.refusal, 'No more streams.');
  assert.equal(changes, before + 1, 'why it is refused is told, although it was away before');
  clock.pass(5_000);
  await settle();
  assert.equal(engine.streams.length, 3);
  feed.pause();
  clock.pass(60_000);
  assert.ok(engine.streams[2].closed);
  assert.equal(engine.streams.length, 3, 'nothing is asked while nobody looks');
  feed.start();
  await settle();
  assert.equal(engine.streams.length, 4);
  assert.ok(changes > 0);
});
