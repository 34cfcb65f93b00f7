"""ShiftScope: learn, test and share identifiable concepts in language-model representations.

`shiftscope.steer` adds an exported vector to a language model while it runs; `to_gguf` and `to_steering_vector` give it to
other packages (docs/steering-vectors.md).
"""

import importlib
from typing import Any

PUBLIC = {
    "steer": "shiftscope.steering.apply",
    "to_gguf": "shiftscope.steering.formats",
    "to_steering_vector": "shiftscope.steering.formats",
    "ShiftScopeError": "shiftscope.errors",
}
"""what users import, and where it is: loaded when it is asked for, so that no job has it as its code"""


def __getattr__(name: str) -> Any:
    if name in PUBLIC:
        return getattr(importlib.import_module(PUBLIC[name]), name)
    raise AttributeError(f"module 'shiftscope' has no attribute {name!r}")
