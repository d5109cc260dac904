"""Where a dataset's columns come from: tables, files of tables, folders of images."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.decthings.columns import Column, column
from jupyter_ext.protocol.decthings.tensors import Media

if TYPE_CHECKING:
    import pandas as pd

IMAGE_FORMATS = {
    ".png": "png", ".jpg": "jpg", ".jpeg": "jpg", ".gif": "gif", ".bmp": "bmp", ".webp": "webp", ".tif": "tif", ".tiff": "tif",
}  # fmt: skip


def table_of(source: Any) -> pd.DataFrame:
    """Return a table: of a DataFrame itself, or of a Parquet or CSV file.

    Raises:
        InvalidInput: It is neither, or cannot be read.
    """
    if hasattr(source, "columns") and hasattr(source, "dtypes"):
        table: pd.DataFrame = source
        return table
    if not isinstance(source, str | os.PathLike):
        raise InvalidInput(
            f"A {type(source).__name__} is no source; give a DataFrame, a file, a folder, or columns by name."
        )
    import pandas as pd

    path = Path(source)
    if not path.exists():
        raise InvalidInput(f"There is no file {str(path)!r}.")
    suffix = path.suffix.lower()
    try:
        if suffix in (".parquet", ".pq"):
            return pd.read_parquet(path)
        if suffix in (".csv", ".tsv"):
            return pd.read_csv(path, sep="\t" if suffix == ".tsv" else ",")
    except (ValueError, OSError) as error:
        raise InvalidInput(f"{path.name} cannot be read: {' '.join(str(error).split())[:200]}") from error
    raise InvalidInput(f"{path.name} is of no known kind; give .parquet, .csv, .tsv, or a folder of images.")


def columns_of_table(table: pd.DataFrame) -> list[Column]:
    """Return a table's columns.

    Raises:
        WireError: A column has values that no tensor holds exactly.
    """
    if not len(table.columns):
        raise InvalidInput("The table has no columns.")
    return [column(str(name), _values(table[name])) for name in table.columns]


def columns_of_folder(folder: Path) -> list[Column]:
    """Return the images below a folder: `image`, the path below it as `file`, and the first folder's name as `label`.

    Raises:
        InvalidInput: There is no image.
    """
    paths = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_FORMATS and path.is_file()
    )
    if not paths:
        raise InvalidInput(f"There is no image in {str(folder)!r}; known are {', '.join(IMAGE_FORMATS)}.")
    names = [path.relative_to(folder) for path in paths]
    images = [Media(IMAGE_FORMATS[path.suffix.lower()], path.read_bytes()) for path in paths]
    found = [column("image", images), column("file", [str(name) for name in names])]
    if all(len(name.parts) > 1 for name in names):
        found.append(column("label", [name.parts[0] for name in names]))
    return found


def _values(series: Any) -> Any:
    if series.dtype == object and len(series) and not isinstance(series.iloc[0], str):
        return list(series)  # of arrays or bytes, one each
    return series
