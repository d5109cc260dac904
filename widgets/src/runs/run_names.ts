// What compared runs are called, and by what they can be averaged. Pure.

import type { Training } from '../wire';
import { differingInputs, valueText } from './columns';

/** Inputs that only repeat a run. */
const SEED = /^(random_?|rng_?)?seed$/i;
const MAX_INPUTS = 3;

/** Name each run: its name alone where that tells them apart, else with the inputs in which they differ. */
export function runNames(trainings: readonly Training[]): Map<string, string> {
  const inputs = differingInputs(trainings);
  // Seeds last: they say the least.
  const told = [...inputs.filter(name => !SEED.test(name)), ...inputs.filter(name => SEED.test(name))];
  const differ = (training: Training) =>
    told
      .slice(0, MAX_INPUTS)
      .map(name => `${name}=${valueText(training.input?.[name]) || 'none'}`)
      .join(', ');
  const names = trainings.map(({ name }) => name);
  const isOne = new Set(names).size === 1;
  const first = trainings.map(training => {
    if (names.indexOf(training.name) === names.lastIndexOf(training.name)) {
      return training.name;
    }
    const inputText = differ(training);
    return inputText === '' || !isOne ? [training.name, inputText].filter(Boolean).join(' ') : inputText;
  });
  return new Map(
    trainings.map(({ id }, i) => [
      id,
      first.indexOf(first[i]) === first.lastIndexOf(first[i]) ? first[i] : `${first[i]} …${id.slice(-4)}`,
    ])
  );
}

/** Return ways to average runs: what to show, and what a run's mean is called. */
export function meansOf(trainings: readonly Training[]): Map<string, (id: string) => string> {
  const inputs = differingInputs(trainings);
  const byId = new Map(trainings.map(training => [training.id, training]));
  const namer = (names: readonly string[]) => (id: string) =>
    names.map(name => `${name}=${valueText(byId.get(id)?.input?.[name]) || 'none'}`).join(', ') || 'all runs';
  const means = new Map<string, (id: string) => string>();
  if (inputs.some(name => SEED.test(name))) {
    means.set('seeds', namer(inputs.filter(name => !SEED.test(name))));
  }
  for (const name of inputs.filter(input => !SEED.test(input))) {
    means.set(`runs of the same ${name}`, namer([name]));
  }
  if (trainings.length > 1) {
    means.set('all runs', namer([]));
  }
  return means;
}
