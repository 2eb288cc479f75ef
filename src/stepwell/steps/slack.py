"""slack: sends a message to a channel or a person. Source: LoopFour contract 9."""

from stepwell.definitions import Kind, Source
from stepwell.expressions import Scope, Template
from stepwell.steps.fields import flag_field, read_flag, read_needed_text, read_text, text_field, unfit
from stepwell.steps.ports import Call, ConnectionNeed, Ports
from stepwell.values import Json

PROVIDER = "slack"
ACTIONS = {
    "sendMessage": "sendMessage",
    "send_message": "sendMessage",
    "sendDirectMessage": "sendDirectMessage",
    "send_direct_message": "sendDirectMessage",
}
RECIPIENTS = {"sendMessage": "channel", "sendDirectMessage": "userEmail"}
FLAGS = ("replyBroadcast", "unfurlLinks", "mrkdwn")


class SlackStep:
    """Output `{ok, ts, channel}`."""

    name = "slack"
    kind = Kind.EFFECT
    default_timeout_ms: int | None = 30_000
    config_schema: Json = {
        "type": "object",
        "properties": {
            "action": {"enum": list(ACTIONS), "default": "sendMessage"},
            "channel": text_field("Of sendMessage: #name or id."),
            "userEmail": text_field("Of sendDirectMessage: whom to write to."),
            "text": text_field("The message."),
            "blocks": {"type": ["array", "string"], "description": "The message as Block Kit blocks."},
            "threadTs": text_field("The message to answer."),
            "replyBroadcast": flag_field("Show the answer in the channel too."),
            "unfurlLinks": flag_field("Preview links."),
            "mrkdwn": flag_field("Read `text` as markup."),
            "connection": text_field("Id or slug of the connection to use."),
        },
    }

    def compile(self, source: Source) -> Template | None:
        written = source.raw.get("config", {})
        recipient = RECIPIENTS[ACTIONS[source.config.get("action", "sendMessage")]]
        if recipient not in written:
            source.fault((recipient,), "Required")
        if "text" not in written and "blocks" not in written:
            source.fault(("text",), "Required")
        return source.template(secrets=True)

    def resolve(self, program: Template, scope: Scope) -> Json:
        return program.render(scope)

    def connection(self, program: Template, config: Json) -> ConnectionNeed | None:
        return ConnectionNeed((PROVIDER,), read_text(config, "connection"))

    async def perform(self, program: Template, config: Json, call: Call, ports: Ports) -> Json:
        opened = call.reveal(config)
        action = ACTIONS[opened.get("action", "sendMessage")]
        result = await ports.actions.perform(f"{PROVIDER}.{action}", _params(opened, RECIPIENTS[action]), call)
        return {"ok": result.get("ok", True), "ts": result.get("ts"), "channel": result.get("channel")}


def _params(config: dict[str, Json], recipient: str) -> dict[str, Json]:
    blocks = config.get("blocks")
    if blocks is not None and not isinstance(blocks, list):
        raise unfit("blocks", "Expected an array")
    text = read_text(config, "text")
    if not text and not blocks:
        raise unfit("text", "Required")
    params: dict[str, Json] = {
        recipient: read_needed_text(config, recipient),
        "text": text,
        "blocks": blocks,
        "threadTs": read_text(config, "threadTs"),
        **{name: read_flag(config, name, default=True) for name in FLAGS if config.get(name) is not None},
    }
    return {name: value for name, value in params.items() if value is not None}
