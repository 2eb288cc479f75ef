"""Scripts that are not run yet: whether their syntax is good."""

from collections.abc import Sequence

import msgspec

from stepwell.errors import StepError
from stepwell.steps import Script
from stepwell.steps.ports import Code
from stepwell.values import Json

TIMEOUT_MS = 5000
LONGEST_TOLD = 300

_CHECK = """
const Plain = (function () {}).constructor, Later = (async function () {}).constructor;
const wrong = (make) => {
  try { make(); return null; } catch (error) { return String(error); }
};
const line = (code, told, parse) => {  // the first line with which the fault is there
  const lines = code.split('\\n');
  let low = 1, high = lines.length;
  if (/end of input/.test(told)) return high;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (parse(lines.slice(0, middle).join('\\n')) === told) high = middle; else low = middle + 1;
  }
  return low;
};
return input.map(({code, names, expression, located}) => {
  const within = (open, close) => (part) => wrong(() => new Plain(...names, `return ${open}\\n${part}\\n${close};`));
  const body = (part) => wrong(() => new Later(...names, part));
  const parse = expression ? (part) => within('(', ')')(part) || within('[', ']')(part) : body;
  const told = parse(code);
  return told && located ? `${told} (line ${line(code, told, expression ? within('(', '') : body)})` : told;
});
"""


class Draft(msgspec.Struct, frozen=True):
    """JavaScript to be checked: the body of an async function whose parameters are `names`, or an expression."""

    code: str
    names: tuple[str, ...]
    expression: bool = False
    located: bool = False  # the line is told with the fault


class Scripts:
    """What can be asked of scripts before they are stored. They are parsed where they will run: in a child process."""

    def __init__(self, code: Code) -> None:
        self._code = code

    async def faults(self, workspace: str, drafts: Sequence[Draft]) -> list[str | None]:
        """What is wrong with the syntax of each, None if nothing is; none is run. An expression is tried in two kinds
        of brackets, so that it cannot close the one it will stand in."""
        if not drafts:
            return []
        given: Json = [
            {"code": each.code, "names": each.names, "expression": each.expression, "located": each.located}
            for each in drafts
        ]
        script = Script("javascript", _CHECK, given, TIMEOUT_MS)
        try:
            told = await self._code.run(workspace, script, lambda line: None)
        except StepError as error:
            return [f"The syntax cannot be checked: {error.message}"[:LONGEST_TOLD]] * len(drafts)
        return [None if wrong is None else str(wrong)[:LONGEST_TOLD] for wrong in told]
