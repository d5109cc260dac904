import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerText, callsOf } from '../../src/session/calls';
import { parseArguments } from '../../src/session/literals';
import type { DebugSession } from '../../src/wire';

test("arguments are read as Python's literals", () => {
  assert.deepEqual(parseArguments(''), {});
  assert.deepEqual(
    parseArguments(
      ` steps=1_00, lr=1e-3,whole=2.0, name='it\\'s', on=True, off=False, no=None, big=${2n ** 60n},`
    ),
    {
      steps: 100,
      lr: { k: 'float', v: '1e-3' },
      whole: { k: 'float', v: '2.0' },
      name: "it's",
      on: true,
      off: false,
      no: null,
      big: { k: 'int', v: String(2n ** 60n) },
    }
  );
  assert.deepEqual(parseArguments('a=[1, (2, -3.5)], b={"x": [], \'y\': .5}'), {
    a: { k: 'list', v: [1, { k: 'tuple', v: [2, { k: 'float', v: '-3.5' }] }] },
    b: {
      k: 'dict',
      v: [
        ['x', { k: 'list', v: [] }],
        ['y', { k: 'float', v: '.5' }],
      ],
    },
  });
});

test('what cannot be read is named', () => {
  for (const [text, says] of [
    ['100', /name=value.*here is 100/],
    ['a=1 b=2', /comma is missing before b=2/],
    ['a=1, a=2', /a is given twice/],
    ['x=torch.ones(3)', /number, a text in quotes.*torch\.ones/],
    ['x=[1 2]', /comma or the end of the list.*2\]/],
    ['x=', /here is nothing/],
    ['x="open', /here is "open/],
  ] as const) {
    assert.throws(() => parseArguments(text), { message: says }, text);
  }
});

test('a session offers its newest model first, then a new one and its functions', () => {
  const model = (id: string) => ({
    id,
    type: 'Net',
    created_at: 0,
    num_calls: 0,
    methods: ['train', 'score'],
  });
  const session = (models: DebugSession['models']) =>
    ({ entry: { kind: 'class', name: 'Net' }, models, functions: ['load'] }) as unknown as DebugSession;
  assert.deepEqual(
    callsOf(session([])).map(({ label }) => label),
    ['new Net', 'load()']
  );
  const one = callsOf(session([model('1')]));
  assert.deepEqual(
    one.map(({ label, op, params }) => [label, op, params]),
    [
      ['train', 'train', { model_id: '1' }],
      ['score', 'call', { model_id: '1', method: 'score' }],
      ['new Net', 'instantiate', {}],
      ['load()', 'call', { method: 'load' }],
    ]
  );
  assert.equal(callsOf(session([model('1'), model('2')]))[0].label, 'Net 2: train');
});

test('what a call gave is one line', () => {
  assert.equal(answerText({ model_id: '1' }), 'made model 1');
  assert.equal(answerText({ value: null }), 'None');
  assert.equal(
    answerText({
      value: { k: 'dict', v: [['loss', { k: 'list', v: [1, true, { k: 'float', v: 'nan' }] }]] },
    }),
    '{"loss": [1, True, nan]}'
  );
  assert.equal(
    answerText({ value: { k: 'tensor', shape: [2, 3], dtype: 'float32', b: 0 } as never }),
    'tensor 2 × 3 float32'
  );
});
