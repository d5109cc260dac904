"""A linear model as one writes it for Decthings; nothing in it knows where it runs."""

import asyncio
import json
import sys
import time

import numpy as np
from decthings_api import DecthingsTensor
from decthings_model import make_model

print("loading")


def f32(value):
    array = np.asarray(value, np.float32)
    return DecthingsTensor(array, "f32", list(array.shape))


class Linear:
    def __init__(self, weights):
        self.weights = weights

    async def train(self, options):
        x, y = options.params["x"], options.params["y"]
        mode = await options.params["mode"].next() if "mode" in options.params else []
        mode = mode[0].item() if mode else "quick"
        canceled = []
        options.tracker.on_cancel(lambda: canceled.append(True))
        if mode == "raise":
            raise ValueError("the data is bad")
        if mode == "exit":
            import os

            os._exit(7)
        num_epochs = 400 if mode in ("slow", "stubborn") else 3
        for epoch in range(num_epochs):
            x.shuffle_in_group([y])
            while x.has_next(2):
                xs = np.stack([t.numpy() for t in await x.next(2)])
                ys = np.stack([t.numpy() for t in await y.next(2)])
                error = xs @ self.weights - ys
                self.weights = self.weights - 0.05 * xs.T @ error
            options.tracker.metrics([("loss", f32((error**2).mean())), ("weights", f32(self.weights))])
            options.tracker.progress((epoch + 1) / num_epochs)
            if mode in ("slow", "stubborn"):
                time.sleep(0.05)  # blocks the loop: nothing else of this coroutine's could run
                if canceled and mode == "slow":
                    return
        x.shuffle()
        print("trained", file=sys.stderr)

    def evaluate(self, options):
        return self._evaluate(options)

    async def _evaluate(self, options):
        inputs = await options.params["x"].next(options.params["x"].size())
        if inputs[0].shape() == [0]:
            raise RuntimeError("nothing to evaluate")
        outputs = [f32(t.numpy() @ self.weights) for t in inputs]
        print("evaluated")
        return [
            {"name": "y", "data": outputs},
            {"name": "n", "data": [DecthingsTensor(["x"], "string", [1])]},
        ]

    def getModelState(self, options):
        options.state_provider.provide("weights", json.dumps(self.weights.tolist()).encode())

    def dispose(self):
        open("disposed", "w").close()


class Executor:
    async def createModelState(self, options):
        size = 2
        if "size" in options.params:
            size = int((await options.params["size"].next())[0].item())
        if size < 0:
            raise ValueError("a negative size")
        await asyncio.sleep(0)
        options.state_provider.provide_all([{"key": "weights", "data": json.dumps([0.0] * size).encode()}])

    async def instantiateModel(self, options):
        return Linear(np.array(json.loads(await options.state["weights"].read()), np.float32))


model = make_model(Executor())
print("loaded", flush=True)
