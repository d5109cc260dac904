"""Have replicate 1.0.7 verify messages that a receiver got: a JSON file of [{headers, body}]. Prints the verdicts."""

import json
import sys
from pathlib import Path

import replicate
from replicate.webhook import InvalidSignatureError

secret = replicate.webhooks.default.secret()
verdicts = []
for message in json.loads(Path(sys.argv[1]).read_text()):
    replicate.webhooks.validate(
        headers=message["headers"], body=message["body"], secret=secret, tolerance=300
    )
    try:
        replicate.webhooks.validate(headers=message["headers"], body=message["body"] + " ", secret=secret)
        verdicts.append("a changed body was accepted")
    except InvalidSignatureError:
        verdicts.append("verified")
print(json.dumps({"key": secret.key, "verdicts": verdicts}))
