"""Functions: IRs of kind script become one JavaScript program each. Pure. Source: AwaitStep contract 8."""

from stepwell.http.dialects.awaitstep.functions.program import FunctionProgram, compile_function
from stepwell.http.dialects.awaitstep.functions.trigger import NAMES as TRIGGER_NAMES

__all__ = ["TRIGGER_NAMES", "FunctionProgram", "compile_function"]
