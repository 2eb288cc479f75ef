"""The key that asks. Source: Flowra contract 4.3."""

from collections.abc import Sequence

from starlette.responses import Response

from stepwell.http.dialects.flowra import wire
from stepwell.http.dialects.flowra.answers import single
from stepwell.http.routes import ANY_KEY, Answer, Call, Rate, Route


async def profile(call: Call[None, None]) -> Response:
    """GET /users/profile."""
    caller = call.principal
    data = wire.KeyProfile(
        id=caller.key_id, name=caller.key_name, project_id=caller.workspace, scopes=sorted(caller.scopes)
    )
    return single("OK", data)


ROUTES: Sequence[Route] = (
    Route(
        method="GET",
        path="/users/profile",
        handler=profile,
        scope=ANY_KEY,
        rate=Rate.READ,
        summary="Read what key it is",
        answers=(Answer(status=200, data=wire.KeyProfile),),
    ),
)
