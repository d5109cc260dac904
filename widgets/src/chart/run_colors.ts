// Which colour a run has: from its id, so that it is the same in every chart and in plotly Python
// (`jupyter_ext/client/trainings/curves/colours.py`; both are tested with widgets/tests/chart/chart_maths.json).

/**
 * Return a number for each run: modulo the palette's length it is the colour, beyond that the dash pattern.
 *
 * Each asks for the colour that its id names; where an older one has it, it takes the next that is free. So a newer
 * run never changes the colour of an older one.
 *
 * @param ids Ids of trainings, which begin with their time.
 */
export function runColors(ids: readonly string[], numColors: number): Map<string, number> {
  const used: number[] = new Array(numColors).fill(0);
  const found = new Map<string, number>();
  for (const id of [...ids].sort()) {
    let color = hashOf(id) % numColors;
    const least = Math.min(...used);
    while (used[color] > least) {
      color = (color + 1) % numColors;
    }
    found.set(id, color + numColors * used[color]);
    used[color] += 1;
  }
  return found;
}

/** FNV-1a over the characters, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  }
  return hash;
}
