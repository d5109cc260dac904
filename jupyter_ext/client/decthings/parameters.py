"""Parameters of calls to a service: tensors of what a notebook has, checked against the model's definitions.

Rule: what is wrong is refused before a byte is sent; the error names the argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict

from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.decthings.definitions import DefinitionError, ParameterDefinition, check
from jupyter_ext.protocol.decthings.tensors import Header, Tensor, WireError, infer


class RemoteKey:
    """A key of a dataset that the service has: a parameter for `train` and `evaluate`."""

    def __init__(self, dataset_id: str, key: str) -> None:
        self.dataset_id = dataset_id
        self.key = key


class DatasetReference(TypedDict):
    """Where a parameter's tensors are, instead of in a blob."""

    type: Literal["dataset"]
    datasetId: str
    datasetKey: str


class ParameterEntry(TypedDict):
    """One parameter on the wire; without `data` it has a blob."""

    name: str
    data: NotRequired[DatasetReference]


def encode_parameters(
    definitions: Sequence[ParameterDefinition], params: Mapping[str, object]
) -> tuple[list[ParameterEntry], list[bytes]]:
    """Return the parameters of a call and their blobs.

    A value is one tensor; where the definition has one dimension less than it, each of its rows is one. A list is a tensor per
    item, unless the definition says that it is one.

    Raises:
        InvalidInput: An argument is missing, unknown, or is not what the definition says; the text names it.
    """
    known = {definition.name: definition for definition in definitions}
    entries: list[ParameterEntry] = []
    blobs: list[bytes] = []
    headers: dict[str, list[Header] | None] = {}
    for name, value in params.items():
        if isinstance(value, RemoteKey):
            where: DatasetReference = {
                "type": "dataset",
                "datasetId": value.dataset_id,
                "datasetKey": value.key,
            }
            entries.append({"name": name, "data": where})
            headers[name] = None
            continue
        try:
            tensors = _tensors(name, value, known.get(name))
        except WireError as error:
            raise InvalidInput(str(error)) from None
        headers[name] = [Header(tensor.type, tensor.shape, 0, 0) for tensor in tensors]
        entries.append({"name": name})
        blobs.append(b"".join(tensor.encode_as_stored() for tensor in tensors))
    try:
        check(definitions, headers)
    except DefinitionError as error:
        raise InvalidInput(f"{error.parameter} {error.reason}; nothing was sent.") from None
    return entries, blobs


def _tensors(name: str, value: Any, definition: ParameterDefinition | None) -> list[Tensor]:
    dims = None if definition is None else len(definition.rules.shape)
    if isinstance(value, list | tuple):
        whole = _depth(value) == dims
        if not whole:
            return [infer(item, f"{name}, tensor {n}") for n, item in enumerate(value)]
    tensor = infer(value, name)
    if dims is not None and len(tensor.shape) == dims + 1:
        rows = tensor.numpy()
        return [infer(rows[n], name) for n in range(len(rows))]
    return [tensor]


def _depth(value: Any) -> int:
    depth = 0
    while isinstance(value, list | tuple):
        depth += 1
        value = value[0] if value else None
    return depth + len(getattr(value, "shape", ()))
