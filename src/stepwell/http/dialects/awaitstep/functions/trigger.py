"""JavaScript around code that answers requests itself: `request`, `runGraph` and `Response`. Source: AwaitStep
contract 8."""

from typing import Final

from stepwell.errors import Fault

LONGEST: Final = 50_000
NAMES: Final = ("request", "env", "runGraph", "Response")  # what the code finds

_BEFORE: Final = """
const Response = class Response {
  constructor(body = null, init = {}) {
    this.body = body; this.status = init.status ?? 200; this.headers = {...(init.headers ?? {})};
  }
  static json(body, init = {}) {
    const headers = {"content-type": "application/json", ...init.headers};
    return new Response(JSON.stringify(body), {...init, headers});
  }
};
const __request = {...input.request, text: async () => input.request.text,
  json: async () => JSON.parse(input.request.text)};
const __answer = await (async (request, env, runGraph, Response) => {
"""
_AFTER: Final = """
})(__request, input.env, async (env = input.env, event = input.event) => __graph(env, event), Response);
return __answer instanceof Response
  ? {status: __answer.status, headers: __answer.headers, body: __answer.body} : __answer;
"""


def faults_of(code: str) -> list[Fault]:
    """What is wrong with a trigger's code but its syntax."""
    return [Fault(("triggerCode",), f"At most {LONGEST} characters")] if len(code) > LONGEST else []


def wrapped(code: str) -> str:
    """The end of the program: the author's code answers the request."""
    return f"{_BEFORE}{code}{_AFTER}"
