"""What the scripts for the official Decthings client share: connecting, tensors, results and errors, both classes in turn."""

import asyncio
import inspect
import json
import os

import numpy
from decthings_api import DecthingsClient, DecthingsClientSync, DecthingsTensor

URL, KEY = os.environ["DECTHINGS_URL"], os.environ["DECTHINGS_KEY"]
SPEC = {"type": "temporaryLauncher", "spec": {"cpus": 1, "memoryMebibytes": 128}}
rows = numpy.random.default_rng(0).normal(size=(8, 2)).astype("f4")


WS_URL = URL.replace("http", "ws") + "/v0/ws"


def connect(make_client, key=KEY, ws=WS_URL):
    return make_client(key, http_server_address=f"{URL}/v0", ws_server_address=ws)


def f32(array):
    array = numpy.asarray(array, "f4")
    return DecthingsTensor(array, "f32", list(array.shape))


def i64(value):
    return DecthingsTensor(numpy.array(value), "i64", [])


def text(value):
    return DecthingsTensor([value], "string", [])


X = {"name": "x", "data": [f32(row) for row in rows]}
Y = {"name": "y", "data": [f32(row.sum()) for row in rows]}


async def settled(value):
    return await value if inspect.isawaitable(value) else value


async def good(value):
    result, error = await settled(value)
    assert error is None, error
    return result


async def bad(value):
    result, error = await settled(value)
    assert result is None, result
    return error


def print_both(main, asynchronous=(), synchronous=()):
    """Run `main` with the asynchronous client and then with the synchronous one; print what they gave."""

    async def both():
        return [
            await main(DecthingsClient, *asynchronous),
            await asyncio.to_thread(lambda: asyncio.run(main(DecthingsClientSync, *synchronous))),
        ]

    print(json.dumps(asyncio.run(both())), flush=True)
    os._exit(0)  # the synchronous client's reader thread does not end
