"""Functions: IRs of kind script become one JavaScript program each. Pure. Source: AwaitStep contract 8."""

from stepwell.http.dialects.awaitstep.functions.program import FunctionProgram, compile_function

__all__ = ["FunctionProgram", "compile_function"]
