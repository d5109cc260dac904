// npm `@pieces.app/pieces-os-client`: ModelApi and ModelsApi. Prints what came back as JSON.
import { setTimeout as pause } from 'node:timers/promises';
import pieces from '@pieces.app/pieces-os-client';

const configuration = new pieces.Configuration({ basePath: process.env.PIECES_URL, apiKey: process.env.PIECES_TOKEN });
const model = new pieces.ModelApi(configuration);
const models = new pieces.ModelsApi(configuration);
const seen = {};
const flags = ({ downloaded, downloading, loaded }) => ({ downloaded, downloading, loaded });

async function refusal(call) {
  try {
    await call();
  } catch (error) {
    return [error.response?.status ?? null, await error.response?.text()];
  }
  return null;
}

async function until(id, wanted) {
  for (let n = 0; n < 3000; n++) {
    const now = await models.modelsSnapshot().then((found) => found.iterable.find((item) => item.id === id));
    if (wanted(now)) return flags(now);
    await pause(20);
  }
  throw new Error('it never came');
}

const now = { value: new Date('2026-01-01T00:00:00Z') };
const seeded = (name, fields) => ({
  seededModel: { name, version: '1.0', created: now, cloud: false, type: 'SPEED', usage: 'TEXT_EMBEDDING', ...fields },
});
const made = await models.modelsCreateNewModel(seeded('MiniLM', { unique: 'acme/minilm', foundation: 'UNKNOWN' }));
const id = made.id;
seen.created = { id, custom: made.custom, ...flags(made) };
seen.listed = (await models.modelsSnapshot()).iterable.map((item) => item.id);
seen.snapshot = (await model.modelsSpecificModelSnapshot({ model: id })).name;
seen.gone = await refusal(() => model.modelsSpecificModelSnapshot({ model: 'hub:no/such' }));
seen.idle = (await model.modelSpecificModelDownloadProgress({ model: id })).status;
seen.download = flags(await model.modelSpecificModelDownload({ model: id }));
seen.cancel = flags(await model.modelSpecificModelDownloadCancel({ model: id }));
seen.canceled = await until(id, (found) => !found.downloading);
await model.modelSpecificModelDownload({ model: id });
seen.here = await until(id, (found) => found.downloaded);
seen.done = (await model.modelSpecificModelDownloadProgress({ model: id })).status;
seen.load = flags(await model.modelSpecificModelLoad({ model: id }));
seen.delete_loaded = (await refusal(() => models.modelsDeleteSpecificModel({ model: id })))[0];
seen.unload = flags(await model.modelSpecificModelUnload({ model: id }));
seen.updated = (await model.modelUpdate({ model: { ...(await model.modelsSpecificModelSnapshot({ model: id })), name: 'Mini' } })).name;
await models.modelsDeleteSpecificModelCache({ model: id, modelDeleteCacheInput: {} });
seen.cache = flags(await model.modelsSpecificModelSnapshot({ model: id }));
await models.modelsDeleteSpecificModel({ model: id });
seen.deleted = (await models.modelsSnapshot()).iterable.length;
console.log(JSON.stringify(seen));
