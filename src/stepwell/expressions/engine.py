"""The Liquid engine: python-liquid's parser and renderer with only the contract's tags, our lexer, paths and limits."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from io import StringIO
from typing import Any, TextIO

import liquid
from liquid.ast import BlockNode, Node
from liquid.builtin import content, illegal
from liquid.builtin.expressions import FilteredExpression, LoopExpression
from liquid.builtin.tags import assign_tag, capture_tag, case_tag, for_tag, if_tag, unless_tag
from liquid.context import RenderContext
from liquid.exceptions import BreakLoop, ContinueLoop, LiquidError, LiquidSyntaxError, OutputStreamLimitError
from liquid.expression import Expression
from liquid.output import LimitedStringIO
from liquid.parser import get_parser
from liquid.stream import TokenStream
from liquid.tag import Tag
from liquid.template import BoundTemplate
from liquid.token import TOKEN_EOF, TOKEN_EXPRESSION, TOKEN_OUTPUT, Token
from liquid.utils import ReadOnlyChainMap

from stepwell.expressions.errors import RenderFault, SyntaxFault
from stepwell.expressions.lexer import statements, words
from stepwell.expressions.paths import Read, find, settled
from stepwell.expressions.scope import MISSING
from stepwell.expressions.texts import MAX_TEXT, SafeText, html_text, text_of
from stepwell.values import Json

MAX_TURNS = 10_000
MAX_RANGE = 10_000
_MAX_ASSIGNED = 1024 * 1024
_MAX_WORK = 4_000_000  # of one rendering: a second or two at most
_NODE_WORK = 10
_ITEM_WORK = 4
_CHARACTERS = 16  # that count as one


def parse(text: str, *, html: bool = False, handlebars: bool = False) -> list[Node]:
    """The nodes of a template text.

    Raises:
        SyntaxFault: the first thing that is wrong, with its index in the text.
    """
    environment = _environment(html)
    try:
        return get_parser(environment).parse(_Statements(statements(text, handlebars), handlebars, text))
    except LiquidError as error:
        at = error.token.start_index if error.token is not None else -1
        message = str(error.message or "Invalid template").replace("eof", "the end")
        raise SyntaxFault(message[:1].upper() + message[1:], at if at >= 0 else len(text)) from None
    except RecursionError:
        raise SyntaxFault("Nested too deeply", 0) from None


def render(nodes: list[Node], names: "Names", *, html: bool) -> str:
    """The text of parsed and compiled nodes, its work counted with that of `names`.

    Raises:
        RenderFault: a limit or a value that does not fit.
    """
    template = BoundTemplate(_environment(html), nodes)
    buffer = _buffer(MAX_TEXT)
    try:
        template.render_with_context(_Context(template, names), buffer)
    except OutputStreamLimitError:
        raise RenderFault("the text is over 1 MiB") from None
    except LiquidError as error:
        raise RenderFault(str(error.message)) from None
    except TypeError:
        raise RenderFault("a comparison of values that have no order") from None
    return buffer.getvalue()


class Meter:
    """The work done by one rendering, in steps of about a tenth of a microsecond."""

    __slots__ = ("work",)

    def __init__(self) -> None:
        self.work = 0

    def spend(self, value: Json, nodes: int = 1) -> Json:
        """Count nodes and a value that was looked at, and hand it on."""
        self.work += nodes * _NODE_WORK
        if isinstance(value, str):
            self.work += len(value) // _CHARACTERS
        elif isinstance(value, list | dict):
            self.work += len(value) * _ITEM_WORK
        if self.work > _MAX_WORK:
            raise RenderFault("the template does too much work")
        return value


class Names(ReadOnlyChainMap):
    """The names that a metered rendering sees: locals before the scope."""

    def __init__(self, meter: Meter, *maps: Any) -> None:
        super().__init__(*maps)
        self.meter = meter


class OutputNode(Node):
    """`{{ … }}`; `read` is set when the expression is compiled."""

    __slots__ = ("expression", "html", "read", "source")

    def __init__(self, token: Token, expression: FilteredExpression, source: str, html: bool) -> None:
        super().__init__(token)
        self.expression = expression
        self.source = source
        self.html = html
        self.read: Read | None = None
        self.blank = False

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        assert self.read is not None  # every parsed template is compiled before it is rendered
        value = self.read(context.scope)
        return buffer.write(html_text(value) if self.html else text_of(value))

    def expressions(self) -> Iterable[Expression]:
        yield self.expression


class Computed(Expression):
    """A compiled expression in the place of a parsed one."""

    __slots__ = ("read",)

    def __init__(self, token: Token, read: Read) -> None:
        super().__init__(token)
        self.read = read

    def evaluate(self, context: RenderContext) -> object:
        return self.read(context.scope)

    def children(self) -> list[Expression]:
        return []


class RangeEnd(Expression):
    """The end of a range, refused if the range would be over 10,000 long."""

    __slots__ = ("start", "stop")

    def __init__(self, start: Expression, stop: Expression) -> None:
        super().__init__(stop.token)
        self.start = start
        self.stop = stop

    def evaluate(self, context: RenderContext) -> object:
        start, stop = whole(self.start.evaluate(context)), whole(self.stop.evaluate(context))
        check_range(start, stop)
        return stop

    def children(self) -> list[Expression]:
        return [self.stop]


def whole(value: Any) -> int:
    """An end of a range: 0 for what is no number, as Liquid has it."""
    try:
        return int(value) if not isinstance(value, str) or len(value) < 20 else 0
    except (ValueError, TypeError, ArithmeticError):
        return 0


def check_range(start: int, stop: int) -> None:
    """Refuse a range over 10,000 long."""
    if stop - start >= MAX_RANGE:
        raise RenderFault(f"a range over {MAX_RANGE}")


class _Words(TokenStream):
    def __init__(self, tokens: Iterator[Token], end: Token) -> None:
        super().__init__(tokens)
        self.eof = end


class _Statements(TokenStream):
    def __init__(self, tokens: Iterator[Token], handlebars: bool, text: str) -> None:
        super().__init__(tokens)
        self._handlebars = handlebars
        self.eof = Token(TOKEN_EOF, TOKEN_EOF, len(text), text)

    def into_inner(self, *, tag: Token | None = None, eat: bool = True) -> TokenStream:
        """The words of the current expression: of that tag, or (None) of an output statement."""
        token = self.current
        if token.kind != TOKEN_EXPRESSION or not token.value:
            raise LiquidSyntaxError("missing expression", token=tag or token)
        if eat:
            next(self)
        at, source = token.start_index, token.source
        tokens = words(token.value, at, source, tag=tag is not None, handlebars=self._handlebars)
        return _Words(tokens, Token(TOKEN_EOF, TOKEN_EOF, at + len(token.value), source))


class _Output(Tag):
    name = TOKEN_OUTPUT
    block = False
    html = False

    def parse(self, stream: TokenStream) -> OutputNode:
        token = stream.eat(TOKEN_OUTPUT)
        source = stream.current.value
        expression = FilteredExpression.parse(self.env, stream.into_inner(eat=False))
        assert isinstance(expression, FilteredExpression)  # the environment knows no ternary expressions
        return OutputNode(token, expression, source, self.html)


class _HtmlOutput(_Output):
    html = True


class _HtmlCaptureNode(capture_tag.CaptureNode):
    def _assign(self, context: RenderContext, buf: StringIO) -> None:
        context.assign(self.name, SafeText(buf.getvalue()))  # what it holds was escaped when it was written


class _HtmlCapture(capture_tag.CaptureTag):
    node_class = _HtmlCaptureNode


class _ForNode(for_tag.ForNode):
    """A loop that pays for every turn."""

    __slots__ = ("weight",)

    def __init__(
        self, token: Token, expression: LoopExpression, block: BlockNode, default: BlockNode | None = None
    ) -> None:
        super().__init__(token, expression, block, default)
        self.weight = _weight(block)

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        assert isinstance(context, _Context)
        items, length = self.expression.evaluate(context)
        if not length:
            return self.default.render(context, buffer) if self.default else 0
        name = self.expression.identifier
        loop = for_tag.ForLoop(name=name, it=items, length=length, parentloop=context.parentloop())
        names: dict[str, object] = {"forloop": loop, name: None}
        written = 0
        with context.loop(names, loop):
            for item in loop:
                context.turn(self.weight)
                names[name] = list(item) if isinstance(item, tuple) else item
                try:
                    written += self.block.render(context, buffer)
                except ContinueLoop:
                    continue
                except BreakLoop:
                    break
        return written


class _For(for_tag.ForTag):
    node_class = _ForNode


class _Context(RenderContext):
    """One rendering: our paths, no built-in names, limits on turns, assigned values and work."""

    __slots__ = ("_names", "_sizes", "_turns")

    def __init__(self, template: BoundTemplate, names: Names) -> None:
        super().__init__(template, globals=names)
        self.scope = self._names = Names(names.meter, self.locals, names)
        self._turns = 0
        self._sizes: dict[str, int] = {}

    def get(self, path: list[Any], *, token: Token | None, default: object = None) -> Json:
        value = find(self._names, path)
        return None if value is MISSING else self._names.meter.spend(settled(value))

    def turn(self, weight: int) -> None:
        """Count one turn of a loop whose body has that many nodes."""
        self._names.meter.spend(None, weight)
        self._turns += 1
        if self._turns > MAX_TURNS:
            raise RenderFault(f"more than {MAX_TURNS} loop turns")

    def assign(self, key: str, val: Json) -> None:
        self._names.meter.spend(None)
        self.locals[key] = val
        self._sizes[key] = len(val) * (1 if isinstance(val, str) else 8) if isinstance(val, str | list | dict) else 32
        if sum(self._sizes.values()) > _MAX_ASSIGNED:
            raise RenderFault("the assigned values are over 1 MiB")

    def get_buffer(self, buf: TextIO | None = None) -> StringIO:
        return _buffer(MAX_TEXT - (buf.size if isinstance(buf, LimitedStringIO) else 0))


class _Environment(liquid.Environment):
    output_stream_limit = MAX_TEXT

    def __init__(self, html: bool) -> None:
        self._html = html
        super().__init__()

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        """Only the tags of the contract; filters are compiled from our own table."""
        tags: list[type[Tag]] = [content.Literal, illegal.Illegal, _For, for_tag.BreakTag, for_tag.ContinueTag]
        tags += [if_tag.IfTag, unless_tag.UnlessTag, case_tag.CaseTag, assign_tag.AssignTag]
        tags += [_HtmlOutput, _HtmlCapture] if self._html else [_Output, capture_tag.CaptureTag]
        for tag in tags:
            self.add_tag(tag)


@lru_cache(maxsize=2)
def _environment(html: bool) -> _Environment:
    return _Environment(html)


def _weight(node: Node) -> int:
    weight = 1
    for child in node.children(None):  # type: ignore[arg-type]  # only partials look at the context
        weight += _weight(child)
    return weight


def _buffer(limit: int) -> LimitedStringIO:
    return LimitedStringIO(limit, newline="")  # line ends stay as they are
