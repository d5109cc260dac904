// npm `replicate-stainless`: trainings, models, predictions and files. Prints what it saw as JSON.
import { setTimeout as pause } from 'node:timers/promises';
import Replicate, { toFile } from 'replicate-stainless';

const [reference, destination, sleeps, fails] = process.argv.slice(2);
const [model, version_id] = reference.split(':');
const [model_owner, model_name] = model.split('/');
const client = new Replicate({ maxRetries: 2 });
const seen = {};
const at = { model_owner, model_name, destination };

async function ended(training_id) {
  for (;;) {
    const training = await client.trainings.get({ training_id });
    if (['succeeded', 'failed', 'canceled'].includes(training.status)) return training;
    await pause(50);
  }
}

async function refusal(call) {
  try {
    await call();
  } catch (error) {
    return [error.constructor.name, error.status ?? null];
  }
  return null;
}

const split = (text) => {
  const [owner, name, version] = text.split(/[/:]/);
  return [version, { model_owner: owner, model_name: name, destination, input: {} }];
};
const create = (version, body) =>
  client.trainings.create({ version_id: version, ...body });

const made = await create(version_id, { ...at, input: { steps: 2 } });
const training = await ended(made.id);
seen.created = [made.status, made.model];
seen.ended = [training.status, training.logs, training.output.version];
const running = await create(...split(sleeps));
while (!((await client.trainings.get({ training_id: running.id })).logs ?? '').includes('on')) await pause(50);
await client.trainings.cancel({ training_id: running.id });
seen.canceled = (await ended(running.id)).status;
const failed = await ended((await create(...split(fails))).id);
seen.failed = [failed.status, failed.error];

seen.ids = [];
for await (const item of client.trainings.list()) seen.ids.push(item.id);
const page = await client.trainings.list();
seen.pages = [page.results.length, page.hasNextPage(), (await page.getNextPage()).results.length];

const file = await client.files.create({ content: await toFile(Buffer.from('uploaded'), 'd ü.zip') });
seen.file = [file.name, (await client.files.get({ file_id: file.id })).size];
const withFile = await ended((await create(version_id, { ...at, input: { steps: 1, data: file.urls.get } })).id);
seen.file_text = await (await fetch(withFile.output.weights)).text();
await client.files.delete({ file_id: file.id });
seen.file_gone = await refusal(() => client.files.get({ file_id: file.id }));

const trained = training.output.version;
seen.run = await client.run(trained, { input: { name: 'run' } });
const prediction = await client.predictions.create({ version: trained.split(':')[1], input: { name: 'p' }, Prefer: 'wait=30' });
seen.prediction = [prediction.status, prediction.output];
seen.account = (await client.account.get()).username;
seen.secret = (await client.webhooks.default.secret.get()).key.slice(0, 6);
seen.models = [];
for await (const item of client.models.list({ sort_by: 'latest_version_created_at', sort_direction: 'asc' }))
  seen.models.push(`${item.owner}/${item.name}`);
// the client's type says that a search returns nothing; the answer is a page all the same
const searched = await client.models.search({ body: destination.split('/')[1] }).asResponse();
seen.search = (await searched.json()).results.map((item) => `${item.owner}/${item.name}`);
seen.refusals = {
  training: await refusal(() => client.trainings.get({ training_id: '0'.repeat(26) })),
  input: await refusal(() => create(version_id, { ...at, input: { steps: 'many' } })),
  token: await refusal(() => new Replicate({ bearerToken: 'wrong' }).trainings.list()),
};
console.log(JSON.stringify(seen));
