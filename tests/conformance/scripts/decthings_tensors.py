"""Our tensors and the official client's are the same bytes, wherever the official ones are right. Both in this process."""

import json
import random
import sys

import numpy
from decthings_api import DecthingsElementImage, DecthingsTensor
from decthings_api import protocol as theirs

sys.path.insert(0, sys.argv[1])
from jupyter_ext.ipc.decthings.tensors import DTYPES, Media, Tensor
from jupyter_ext.ipc.decthings.varint import encode

rng = random.Random(3)
generator = numpy.random.default_rng(3)
num_same = 0
for type, dtype in DTYPES.items():
    for _ in range(60):
        shape = [rng.choice([0, 1, 2, 3, 5, 252, 253, 300]) for _ in range(rng.randrange(0, 3))]
        raw = generator.bytes(int(numpy.prod(shape)) * numpy.dtype(dtype).itemsize)
        array = numpy.frombuffer(raw, "u1" if type == "boolean" else dtype).reshape(shape)
        array = numpy.asarray(array > 127) if type == "boolean" else array
        official = DecthingsTensor(array, type, shape).serialize()
        ours = Tensor.from_array(array, type)
        assert ours.encode() == official, (type, shape)
        back, length = DecthingsTensor.deserialize(ours.encode())
        assert length == len(official)
        assert back.numpy().tobytes() == Tensor.decode(official)[0].numpy().tobytes() == array.tobytes()
        num_same += 1
for _ in range(100):
    texts = [
        "".join(rng.choices("aäß漢🙂 ", k=rng.choice([0, 1, 100, 252, 300]))) for _ in range(rng.randrange(4))
    ]
    official = DecthingsTensor(texts, "string", [len(texts)]).serialize()
    assert Tensor("string", [len(texts)], texts).encode() == official
    both = official + DecthingsTensor(["x"], "string", []).serialize()
    assert [tensor.items() for tensor in Tensor.decode_many(both)] == [texts, ["x"]]
    assert [tensor.numpy().tolist() for tensor in DecthingsTensor.deserialize_many(both)] == [texts, "x"]
    num_same += 1
image = DecthingsTensor([DecthingsElementImage("png", b"xy")], "image", [1])
assert Tensor("image", [1], [Media("png", b"xy")]).encode() == image.serialize()
element = DecthingsTensor.deserialize(Tensor("image", [], [Media("jpg", b"z")]).encode())[0].item()
assert (element.format(), element.data()) == ("jpg", b"z")
for value in [0, 252, 253, 65535, 65537, 2**32 - 1, 2**32 + 1]:
    assert theirs.varint.serialize_varuint64(value) == encode(value)
print(json.dumps(num_same))
