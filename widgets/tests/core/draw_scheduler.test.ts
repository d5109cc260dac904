import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { DrawLoop } from '../../src/core/draw_scheduler';

/** A page whose frames come when a test says so. */
function page() {
  const frames: (() => void)[] = [];
  let now = 0;
  const drawn: string[] = [];
  const loop = new DrawLoop(
    run => frames.push(run),
    () => now
  );
  const panel = (name: string, cost_ms: number) => () => {
    drawn.push(name);
    now += cost_ms;
  };
  const frame = () => {
    for (const run of frames.splice(0)) {
      run();
    }
    return drawn.splice(0).join('');
  };
  return { loop, panel, frame, frames };
}

test('panels share one frame as long as it has time, and none is left out', () => {
  const { loop, panel, frame, frames } = page();
  const panels = ['a', 'b', 'c'].map(name => panel(name, 6));
  for (const draw of panels) {
    loop.add(draw);
  }
  loop.add(panels[0]);
  assert.equal(frames.length, 1);
  assert.equal(frame(), 'ab');
  loop.add(panels[0]);
  assert.equal(frame(), 'ca');
  assert.equal(frame(), '');
  assert.equal(frames.length, 0, 'nothing is due, so no frame is asked for');
});

test('a panel that cannot be drawn harms no other', () => {
  const told = mock.method(console, 'error', () => undefined);
  const { loop, panel, frame } = page();
  loop.add(() => {
    throw new Error('broken');
  });
  loop.add(panel('b', 1));
  assert.equal(frame(), 'b');
  assert.equal(told.mock.callCount(), 1);
  told.mock.restore();
});
