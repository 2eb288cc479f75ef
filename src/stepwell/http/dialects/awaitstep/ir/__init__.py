"""The compiler of IRs: graphs to native documents. Pure. Source: AwaitStep contract 9, 10."""

from stepwell.http.dialects.awaitstep.ir.compile import (
    Checked,
    CompiledIr,
    NodeSteps,
    check,
    compile_ir,
    http_method,
    is_added,
    native_trigger,
    node_steps,
    script_faults,
)
from stepwell.http.dialects.awaitstep.ir.definitions import DEFINITIONS
from stepwell.http.dialects.awaitstep.ir.shape import Edge, Graph, Node, read
from stepwell.http.dialects.awaitstep.ir.structure import Arm, GraphFault, Item, Structure, structure

__all__ = [
    "DEFINITIONS",
    "Arm",
    "Checked",
    "CompiledIr",
    "Edge",
    "Graph",
    "GraphFault",
    "Item",
    "Node",
    "NodeSteps",
    "Structure",
    "check",
    "compile_ir",
    "http_method",
    "is_added",
    "native_trigger",
    "node_steps",
    "read",
    "script_faults",
    "structure",
]
