// npm `replicate`: every call that concerns trainings, models, predictions and files. Prints what it saw as JSON.
// It ignores REPLICATE_BASE_URL; the base URL is an option.
import { setTimeout as pause } from 'node:timers/promises';
import Replicate from 'replicate';

const [reference, destination, sleeps, fails] = process.argv.slice(2);
const [model, version] = reference.split(':');
const [owner, name] = model.split('/');
const client = new Replicate({ auth: process.env.REPLICATE_API_TOKEN, baseUrl: process.env.REPLICATE_BASE_URL });
const seen = {};

async function ended(id) {
  for (;;) {
    const training = await client.trainings.get(id);
    if (['succeeded', 'failed', 'canceled'].includes(training.status)) return training;
    await pause(50);
  }
}

async function refusal(call) {
  try {
    await call();
  } catch (error) {
    return [error.response?.status ?? null, error.message];
  }
  return null;
}

const made = await client.trainings.create(owner, name, version, { destination, input: { steps: 2 } });
const training = await ended(made.id);
seen.created = [made.status, made.model, made.version === version];
seen.ended = [training.status, training.logs, training.output.version, training.urls.get];
seen.weights = await (await fetch(training.output.weights)).text();

const running = await client.trainings.create(...sleeps.split(/[/:]/), { destination, input: {} });
while (!((await client.trainings.get(running.id)).logs ?? '').includes('on')) await pause(50);
await client.trainings.cancel(running.id);
seen.canceled = (await ended(running.id)).status;
const failing = await client.trainings.create(...fails.split(/[/:]/), { destination, input: {} });
const failed = await ended(failing.id);
seen.failed = [failed.status, failed.error];

const pages = [];
for await (const page of client.paginate(client.trainings.list)) pages.push(page.map((item) => item.id));
seen.pages = pages.map((page) => page.length);
seen.ids = pages.flat();

const file = await client.files.create(new Blob(['from a blob'], { type: 'text/plain' }), { who: 'me' });
const again = await client.files.get(file.id);
seen.file = [again.content_type, again.size, again.metadata];
const withFile = await ended(
  (await client.trainings.create(owner, name, version, { destination, input: { steps: 1, data: again.urls.get } })).id,
);
seen.file_text = await (await fetch(withFile.output.weights)).text();
seen.files = (await client.files.list()).results.some((item) => item.id === file.id);
await client.files.delete(file.id);
seen.file_gone = (await refusal(() => client.files.get(file.id)))[0];

const trained = training.output.version;
seen.run = await client.run(trained, { input: { name: 'run' } });
seen.run_polled = await client.run(trained, { input: { name: 'poll' }, wait: { mode: 'poll', interval: 50 } });
const prediction = await client.predictions.create({ version: trained.split(':')[1], input: { name: 'p' } });
seen.prediction = (await client.wait(prediction, { interval: 50 })).status;
seen.predictions = (await client.predictions.list()).results.some((item) => item.id === prediction.id);
seen.as_prediction = (await client.predictions.get(made.id)).status;

seen.account = (await client.accounts.current()).username;
seen.hardware = (await client.hardware.list()).map((item) => item.sku);
seen.secret = (await client.webhooks.default.secret.get()).key.slice(0, 6);
const [me, classic] = destination.split('/');
seen.model = (await client.models.get(me, classic)).latest_version.id;
seen.versions = (await client.models.versions.list(me, classic)).results.map((item) => item.id);
seen.version = Object.keys(
  (await client.models.versions.get(owner, name, version)).openapi_schema.components.schemas.TrainingInput.properties,
).sort();
seen.models = (await client.models.list()).results.map((item) => `${item.owner}/${item.name}`);
seen.search = (await client.models.search(classic)).results.map((item) => `${item.owner}/${item.name}`);
seen.refusals = {
  training: await refusal(() => client.trainings.get('0'.repeat(26))),
  input: await refusal(() => client.trainings.create(owner, name, version, { destination, input: { steps: 'many' } })),
  destination: await refusal(() => client.trainings.create(owner, name, version, { destination: 'me/none', input: {} })),
  token: await refusal(() => new Replicate({ auth: 'wrong', baseUrl: process.env.REPLICATE_BASE_URL }).trainings.list()),
};
console.log(JSON.stringify(seen));
