"""The CEL library without its command line, which it imports with itself and which nothing here uses: a library for
terminals, 7 MB in every server."""

import sys
from types import ModuleType

sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))
import cel  # noqa: E402 - after what keeps it small

__all__ = ["cel"]
