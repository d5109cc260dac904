"""Signatures of webhooks: the symmetric scheme `v1` of Standard Webhooks.

Source: https://github.com/standard-webhooks/standard-webhooks, specification; Replicate's docs, "Verify webhooks".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

PREFIX = "whsec_"
MIN_KEY_BYTES = 16


def new_secret() -> str:
    """Make a secret. Standard base64, because verifiers split the secret at its underscore."""
    return PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()


def is_secret(text: str) -> bool:
    """Tell whether a text is a secret that messages can be signed with."""
    try:
        return len(base64.b64decode(text.removeprefix(PREFIX), validate=True)) >= MIN_KEY_BYTES
    except ValueError:
        return False


def signature_headers(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the three headers of a signed message.

    Args:
        secret: `whsec_` and base64.
        message_id: The same on redelivery.
        timestamp: Unix seconds of this attempt.
        body: The body as it is sent.
    """
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{digest}",
    }
