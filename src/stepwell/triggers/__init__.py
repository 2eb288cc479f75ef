"""What decides whether something that happened is meant: filters. Pure; no I/O."""

from stepwell.triggers.filters import Filter, compile_filter

__all__ = ["Filter", "compile_filter"]
