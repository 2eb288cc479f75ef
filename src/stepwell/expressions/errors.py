"""What expressions raise: every fault of a value at once when compiling, one reason when rendering."""

from stepwell.errors import Fault


class CompileFailed(Exception):
    """A template or condition does not compile. `faults` lists all of them, paths relative to the compiled value."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(fault.message for fault in faults))
        self.faults = faults


class SyntaxFault(Exception):
    """One text does not compile. `index` is where in the text, counted in characters, if that is known."""

    def __init__(self, message: str, index: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.index = index

    def located(self, text: str) -> str:
        """The message with line and column of the text."""
        if self.index is None:
            return self.message
        before = text[: self.index]
        line = before.count("\n") + 1
        return f"{self.message} (line {line}, column {self.index - before.rfind(chr(10))})"


class RenderFault(ValueError):
    """A value does not fit what an expression does with it. Becomes a StepError that names the expression."""


def excerpt(text: str, limit: int = 200) -> str:
    """A text short enough for a message."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
