"""The vault's key: how it stands, and a new one. Only keys of the first workspace, with the scope admin."""

from collections.abc import Sequence

from starlette.responses import Response

from stepwell.core import VaultStatus
from stepwell.http.dialects.loopfour.answers import success
from stepwell.http.dialects.loopfour.wire import Wire
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route


class RotateBody(Wire):
    """`newKey` asks for a new key, unless a rotation is under way; without it, one that is under way goes on."""

    new_key: bool = True


class VaultItem(Wire):
    """The vault's keys by name, and how many values are still sealed by older ones."""

    key_id: str
    older_key_ids: list[str]
    key_source: str
    remaining: dict[str, int]
    rewrapped: int
    unreadable: int
    done: bool


async def is_operator(call: AnyCall) -> None:
    """Raise Forbidden unless the key is of the first workspace."""
    call.core.workspaces.check_may_create(call.workspace)


async def get_vault(call: Call[None, None]) -> Response:
    """GET /admin/vault."""
    await is_operator(call)
    return success(_item(await call.core.rotation.status()))


async def rotate_vault(call: Call[None, RotateBody]) -> Response:
    """POST /admin/vault/rotate."""
    await is_operator(call)
    return success(_item(await call.core.rotation.step(begin=call.body.new_key)))


def _item(status: VaultStatus) -> VaultItem:
    return VaultItem(
        key_id=status.key_id,
        older_key_ids=list(status.older_ids),
        key_source="file" if status.in_file else "setting",
        remaining={str(kind): count for kind, count in status.remaining.items()},
        rewrapped=status.rewrapped,
        unreadable=status.unreadable,
        done=status.ended,
    )


ROUTES: Sequence[Route] = (
    Route(
        method="GET",
        path="/admin/vault",
        handler=get_vault,
        scope="admin",
        rate=Rate.READ,
        summary="How the vault's keys stand",
        answers=(Answer(status=200, data=VaultItem),),
    ),
    Route(
        method="POST",
        path="/admin/vault/rotate",
        handler=rotate_vault,
        scope="admin",
        rate=Rate.WRITE,
        summary="Take one step of giving the vault another key; repeat until it is done",
        answers=(Answer(status=200, data=VaultItem),),
        body=RotateBody,
        exists=is_operator,
    ),
)
