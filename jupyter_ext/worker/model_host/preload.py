"""Imported by a zygote whose children load models of `transformers`: what all of them need, and nothing that computes.

Rule: names are asked for and not modules, since `transformers` moves its modules about and keeps its names.
"""

import transformers

_NAMES = (
    "AutoConfig",
    "AutoModel",
    "AutoTokenizer",
    "BertModel",  # what most models that give vectors are, and the layers that others build on
    "GenerationMixin",
    "PreTrainedModel",
    "PreTrainedTokenizerFast",
    "StoppingCriteria",
)

for _name in _NAMES:
    getattr(transformers, _name, None)
