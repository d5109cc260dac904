// The output of `%models`, `%model ID` and a model's handle: the live list of models, or one of them opened.

import { mountModels } from '../models/models_view';
import type { ModelPage } from '../wire';
import type { View } from './view';

/**
 * `{version, model, page}`: the id of the only model to show, and the models as they were when the notebook
 * was saved.
 */
interface ModelsData {
  version?: number;
  model?: string | null;
  page?: Partial<ModelPage> | null;
}

export const modelsView: View = {
  name: 'models',
  description: 'Draws the output of %models as a live list.',
  identity: ({ model }: ModelsData) => model || 'all models',
  mount: ({ element, transport, signal }, data) => {
    const { model, page } = data as ModelsData;
    mountModels({
      element,
      transport,
      modelId: model || null,
      snapshot: page && Array.isArray(page.models) ? snapshotOf(page) : null,
      signal,
    });
  },
};

function snapshotOf(page: Partial<ModelPage>): ModelPage {
  return {
    disk_free_bytes: 0,
    disk_total_bytes: 0,
    memory_available_bytes: 0,
    memory_total_bytes: 0,
    ...page,
    models: page.models ?? [],
  };
}
