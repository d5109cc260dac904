"""What a load may say of the module that a model's weights go into."""

from __future__ import annotations

from typing_extensions import TypedDict


class ModuleOptions(TypedDict, total=False):
    """Options of a load besides device and dtype.

    Attributes:
        weights: The file of weights to take, by name.
        factory: A bundle of code that builds the module, in base64.
        factory_name: What in a training's code builds it, by name.
        sys_path: Where the code's imports are found.
        batch: Whether concurrent calls may be computed together.
    """

    weights: str | None
    factory: str | None
    factory_name: str | None
    sys_path: list[str] | None
    batch: bool | None
