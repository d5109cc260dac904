"""A keyring in a file, for processes whose environment names it: `PYTHON_KEYRING_BACKEND=file_keyring.FileKeyring`."""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend


class FileKeyring(KeyringBackend):
    """Passwords as JSON `{"service user": password}` in the file that `FILE_KEYRING` names."""

    priority = 1  # type: ignore[assignment]

    def get_password(self, service: str, username: str) -> str | None:
        """Return a password; a file that is no JSON raises, as a locked keyring does."""
        found: dict[str, str] = json.loads(Path(os.environ["FILE_KEYRING"]).read_text())
        return found.get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        """Refuse."""
        raise NotImplementedError

    def delete_password(self, service: str, username: str) -> None:
        """Refuse."""
        raise NotImplementedError
