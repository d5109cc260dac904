import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changesOf, fieldsOf, parseValue, type VersionSchema } from '../../src/runs/rerun_fields';
import { training } from '../fakes';

const VERSION: VersionSchema = {
  openapi_schema: {
    components: {
      schemas: {
        TrainingInput: {
          properties: {
            note: { type: 'string', default: '', 'x-order': 3 },
            lr: { type: 'number', default: 0.001, description: 'learning rate', 'x-order': 0 },
            optimizer: { allOf: [{ $ref: '#/components/schemas/optimizer' }], default: 'adam', 'x-order': 1 },
            token: { type: 'string', format: 'password', 'x-order': 2 },
            layers: { type: 'array', default: [64, 64], 'x-order': 4 },
            seed: { type: 'integer', nullable: true, 'x-order': 5 },
          },
        },
        optimizer: { type: 'string', enum: ['adam', 'sgd'] },
      },
    },
  },
};

test('every input of the code has a box, filled as the run had it', () => {
  const fields = fieldsOf(training({ input: { lr: 0.1, token: '**********' } }), VERSION);
  assert.deepEqual(
    fields.map(field => [field.name, field.text]),
    [
      ['lr', '0.1'],
      ['optimizer', 'adam'],
      ['token', ''],
      ['note', ''],
      ['layers', '[64,64]'],
      ['seed', ''],
    ]
  );
  assert.deepEqual(fields[1].choices, ['adam', 'sgd']);
  assert.deepEqual(
    fields.map(field => field.isSecret),
    [false, false, true, false, false, false]
  );
});

test('only what was changed is sent, each value in its own type', () => {
  const fields = fieldsOf(training({ input: { lr: 0.1 } }), VERSION);
  assert.deepEqual(
    changesOf(
      fields,
      fields.map(field => field.text)
    ),
    {}
  );
  assert.deepEqual(changesOf(fields, ['1e-3', 'sgd', '12', '42', '[32]', '7']), {
    lr: 0.001,
    optimizer: 'sgd',
    token: '12',
    note: '42',
    layers: [32],
    seed: 7,
  });
});

test('what is not known to be text is read as a person writes it', () => {
  const any = { isText: false, isOptional: false };
  assert.deepEqual(
    ['.5', 'True', 'None', '{"a": 1}', 'fast', ''].map(text => parseValue(text, any)),
    [0.5, true, null, { a: 1 }, 'fast', '']
  );
  assert.equal(parseValue(' ', { isText: true, isOptional: true }), null);
});

test('without a version the inputs that were given have boxes', () => {
  assert.deepEqual(
    fieldsOf(training({ input: { lr: 0.1, name: 'a' } }), null).map(field => [
      field.name,
      field.text,
      field.isText,
    ]),
    [
      ['lr', '0.1', false],
      ['name', 'a', true],
    ]
  );
});
