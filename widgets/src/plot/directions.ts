// Which end of a metric is its best, by the words in its name; the same words as in
// jupyter_ext/client/trainings/listing.py.

const LOWER_IS_BETTER = new Set([
  ...['loss', 'err', 'error', 'perplexity', 'ppl', 'mse', 'mae', 'rmse'],
  ...['nll', 'bpb', 'bpc', 'wer', 'cer', 'fid'],
]);
const HIGHER_IS_BETTER = new Set([
  ...['acc', 'accuracy', 'top1', 'top5', 'f1', 'auc', 'auroc', 'ap', 'map', 'precision', 'recall'],
  ...['iou', 'miou', 'dice', 'bleu', 'rouge', 'meteor', 'cider', 'psnr', 'ssim', 'r2', 'reward', 'score'],
]);

function wordsOf(key: string): string[] {
  return key.toLowerCase().split(/[^\p{L}\p{N}]+/u);
}

/** Return whether a metric is best where it is smallest. */
export function isLowerBetter(key: string): boolean {
  return wordsOf(key).some(word => LOWER_IS_BETTER.has(word) || word.endsWith('loss'));
}

/** Return the better end of a metric, or `null` where its name does not say, as of a learning rate. */
export function directionOf(key: string): 'min' | 'max' | null {
  if (isLowerBetter(key)) {
    return 'min';
  }
  return wordsOf(key).some(word => HIGHER_IS_BETTER.has(word)) ? 'max' : null;
}
