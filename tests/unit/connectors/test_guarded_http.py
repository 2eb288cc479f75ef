import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from stepwell.connectors import GuardedHttp
from stepwell.errors import StepError
from stepwell.steps.ports import HttpRequest
from stepwell.values import Json, decode
from unit.connectors.servers import Handler, Serve


async def refused(client: GuardedHttp, request: HttpRequest) -> StepError:
    with pytest.raises(StepError) as error:
        await client.send("ws", request)
    return error.value


async def echo(request: web.Request) -> web.Response:
    return web.json_response(
        {
            "method": request.method,
            "path": request.path_qs,
            "headers": {k.lower(): v for k, v in request.headers.items()},
            "body": (await request.read()).decode(),
        }
    )


async def raw_path(request: web.Request) -> web.Response:
    return web.json_response(request.raw_path)


async def seen(client: GuardedHttp, request: HttpRequest) -> Json:
    return decode((await client.send("ws", request)).body)


async def test_a_request_arrives_as_it_was_given(http: GuardedHttp, serve: Serve) -> None:
    url = await serve(echo)

    got = await seen(
        http,
        HttpRequest("PUT", f"{url}/a?x=1", headers={"X-One": "1"}, params=(("y", "a b"), ("y", "2")), body=b"hello"),
    )

    assert (got["method"], got["path"], got["body"]) == ("PUT", "/a?x=1&y=a+b&y=2", "hello")
    assert got["headers"]["x-one"] == "1"


async def test_a_url_that_needs_no_escaping_is_sent_as_it_is_written(http: GuardedHttp, serve: Serve) -> None:
    got = await seen(http, HttpRequest("GET", f"{await serve(raw_path)}/%7Ea%2Fb?sig=a%2Fb%3D"))

    assert got == "/%7Ea%2Fb?sig=a%2Fb%3D"


async def test_a_url_with_blanks_and_letters_is_escaped(http: GuardedHttp, serve: Serve) -> None:
    assert await seen(http, HttpRequest("GET", f"{await serve(raw_path)}/a b?q=\u00fc")) == "/a%20b?q=%C3%BC"


async def test_an_error_status_is_an_answer(http: GuardedHttp, serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=503, text="later", headers={"Retry-After": "7"})

    answer = await http.send("ws", HttpRequest("GET", await serve(handler)))

    assert (answer.status, answer.body, answer.headers["retry-after"]) == (503, b"later", "7")


async def test_cookies_are_not_kept(http: GuardedHttp, serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=request.headers.get("Cookie", "none"), headers={"Set-Cookie": "sid=1; Path=/"})

    url = (await serve(handler)).replace("127.0.0.1", "localhost")  # jars take no cookies from bare addresses
    await http.send("ws", HttpRequest("GET", url))

    assert (await http.send("ws", HttpRequest("GET", url))).body == b"none"


async def test_workspaces_do_not_share_connections(http: GuardedHttp, serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        return web.Response(text=str(request.transport.get_extra_info("peername")))

    url = await serve(handler)
    first = (await http.send("one", HttpRequest("GET", url))).body
    again = (await http.send("one", HttpRequest("GET", url))).body
    other = (await http.send("two", HttpRequest("GET", url))).body

    assert first == again != other


async def test_pools_not_used_for_longest_are_closed(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        return web.Response(text=str(request.transport.get_extra_info("peername")))

    url = await serve(handler)
    client = GuardedHttp(allow_private=True, max_pools=2)
    names = ["one", "two", "one", "three", "one", "two"]

    peers = [(await client.send(name, HttpRequest("GET", url))).body for name in names]
    await client.close()

    assert peers[0] == peers[2] == peers[4]
    assert peers[1] != peers[5]


async def test_proxy_variables_are_ignored(http: GuardedHttp, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    assert (await http.send("ws", HttpRequest("GET", await serve(echo)))).status == 200


async def test_a_compressed_answer_is_decompressed(http: GuardedHttp, serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(b"plain"), headers={"Content-Encoding": "gzip"})

    assert (await http.send("ws", HttpRequest("GET", await serve(handler)))).body == b"plain"


async def test_a_gzip_bomb_is_stopped_at_the_limit_in_little_memory(http: GuardedHttp, serve: Serve) -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024), compresslevel=9)

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    url = await serve(handler)
    tracemalloc.start()
    error = await refused(http, HttpRequest("GET", url, max_response_bytes=1024 * 1024))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert error.message == "Response is larger than 1048576 bytes"
    assert not error.retryable
    assert peak < 8 * 1024 * 1024


async def test_a_body_over_the_limit_is_refused_while_it_still_comes(http: GuardedHttp, serve: Serve) -> None:
    never = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(bytes(2000))
        await never.wait()
        return response

    error = await refused(http, HttpRequest("GET", await serve(handler), max_response_bytes=1000))

    assert error.message == "Response is larger than 1000 bytes"
    never.set()


async def test_a_body_of_exactly_the_limit_passes(http: GuardedHttp, serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=bytes(1000))

    answer = await http.send("ws", HttpRequest("GET", await serve(handler), max_response_bytes=1000))

    assert len(answer.body) == 1000


def redirect_to(target: str, status: int) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        if request.path == "/start":
            return web.Response(status=status, headers={"Location": target})
        return await echo(request)

    return handler


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [(301, "GET", ""), (302, "GET", ""), (303, "GET", ""), (307, "POST", "data"), (308, "POST", "data")],
)
async def test_a_redirect_keeps_or_changes_the_method_by_its_status(
    http: GuardedHttp, serve: Serve, status: int, method: str, body: str
) -> None:
    url = await serve(redirect_to("/end", status))

    got = await seen(http, HttpRequest("POST", f"{url}/start", headers={"Content-Type": "x/y"}, body=b"data"))

    assert (got["method"], got["path"], got["body"]) == (method, "/end", body)


async def test_a_redirect_on_the_same_origin_keeps_credentials(http: GuardedHttp, serve: Serve) -> None:
    url = await serve(redirect_to("/end", 307))

    got = await seen(http, HttpRequest("GET", f"{url}/start", headers={"Authorization": "Bearer s"}))

    assert got["headers"]["authorization"] == "Bearer s"


async def test_a_redirect_to_another_origin_drops_every_header_that_could_be_a_credential(
    http: GuardedHttp, serve: Serve
) -> None:
    other = await serve(echo)
    url = await serve(redirect_to(f"{other}/end", 307))
    credentials = {
        "Authorization": "a",
        "Cookie": "b",
        "X-Api-Key": "c",
        "X-Acme-Token": "d",
        "Proxy-Authorization": "e",
    }

    got = await seen(http, HttpRequest("POST", f"{url}/start", headers={**credentials, "Accept": "x/y"}, body=b"{}"))

    headers = got["headers"]
    assert not {name.lower() for name in credentials} & headers.keys()
    assert headers["accept"] == "x/y"


async def test_credentials_stay_dropped_when_a_redirect_leads_back(http: GuardedHttp, serve: Serve) -> None:
    home: list[str] = []

    async def away(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": f"{home[0]}/end"})

    other = await serve(away)
    home.append(await serve(redirect_to(f"{other}/", 307)))

    got = await seen(http, HttpRequest("GET", f"{home[0]}/start", headers={"Authorization": "a"}))

    assert "authorization" not in got["headers"]


async def test_five_redirects_are_followed_and_a_sixth_is_not(http: GuardedHttp, serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        left = int(request.path.strip("/"))
        return web.Response(status=302, headers={"Location": f"/{left - 1}"}) if left else web.Response(text="end")

    url = await serve(handler)

    assert (await http.send("ws", HttpRequest("GET", f"{url}/5"))).body == b"end"
    error = await refused(http, HttpRequest("GET", f"{url}/6"))
    assert error.message == "Too many redirects (more than 5)"


async def test_with_no_redirects_allowed_the_redirect_is_the_answer(http: GuardedHttp, serve: Serve) -> None:
    url = await serve(redirect_to("/end", 302))

    assert (await http.send("ws", HttpRequest("GET", f"{url}/start", max_redirects=0))).status == 302


async def test_a_redirect_to_link_local_is_refused_even_if_private_is_allowed(http: GuardedHttp, serve: Serve) -> None:
    url = await serve(redirect_to("http://169.254.169.254/latest/meta-data/", 302))

    error = await refused(http, HttpRequest("GET", f"{url}/start"))

    assert error.message == "Connection to 169.254.169.254 refused: it is a metadata address"
    assert (error.kind, error.retryable) == ("network", False)


@pytest.mark.parametrize("target", ["http://169.254.169.254/", "file:///", "http://127.0.0.1:1/", "/start"])
async def test_what_fails_after_a_redirect_has_an_unknown_outcome(http: GuardedHttp, serve: Serve, target: str) -> None:
    url = await serve(redirect_to(target, 303))

    assert (await refused(http, HttpRequest("POST", f"{url}/start"))).outcome_unknown


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://example.com/", "http://user:pw@127.0.0.1/", "http://[::1"]
)
async def test_a_redirect_to_anything_but_plain_http_is_refused(http: GuardedHttp, serve: Serve, target: str) -> None:
    url = await serve(redirect_to(target, 302))

    error = await refused(http, HttpRequest("GET", f"{url}/start"))

    assert (error.kind, error.retryable) == ("network", False)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"])
async def test_loopback_is_refused_by_default_and_the_setting_named(host: str) -> None:
    client = GuardedHttp(allow_private=False)

    error = await refused(client, HttpRequest("GET", f"http://{host}:9/"))
    await client.close()

    assert "loopback address; the server setting STEPWELL_EGRESS_ALLOW_PRIVATE allows it" in error.message
    assert (error.kind, error.retryable) == ("network", False)


@pytest.mark.parametrize("host", ["127.1", "2130706433"])
async def test_other_spellings_of_an_ipv4_address_are_no_hosts(http: GuardedHttp, host: str) -> None:
    error = await refused(http, HttpRequest("GET", f"http://{host}:9/"))

    assert (error.message, error.retryable) == (f"Not a host that can be connected: '{host}'", False)


@pytest.mark.parametrize(
    "url", ["", "example.com/x", "file:///etc/passwd", "gopher://x/", "http://", "http://a:99999/", "http://a\r\nb/"]
)
async def test_what_is_not_an_http_url_is_refused(http: GuardedHttp, url: str) -> None:
    assert (await refused(http, HttpRequest("GET", url))).message == "Not an http or https URL"


async def test_credentials_in_the_url_are_refused_and_not_repeated(http: GuardedHttp) -> None:
    error = await refused(http, HttpRequest("GET", "http://user:hunter2@127.0.0.1/"))

    assert "user name or password" in error.message
    assert "hunter2" not in error.message


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({"X-A": "1\r\nX-B: 2"}, "X-A"),
        ({"X-A": "1\n2"}, "X-A"),
        ({"X-A\r\nX-B": "1"}, "X-A"),
        ({"": "1"}, ""),
        ({"Transfer-Encoding": "chunked"}, "Transfer-Encoding"),
        ({"Content-Length": "3"}, "Content-Length"),
    ],
)
async def test_headers_cannot_change_the_framing(http: GuardedHttp, headers: dict[str, str], named: str) -> None:
    error = await refused(http, HttpRequest("GET", "http://127.0.0.1:9/", headers=headers))

    assert error.message.startswith("Header")
    assert named in error.message


async def test_a_method_cannot_hold_blanks(http: GuardedHttp) -> None:
    assert "Not an HTTP method" in (await refused(http, HttpRequest("GET /x", "http://127.0.0.1:9/"))).message


async def test_a_server_that_does_not_answer_is_a_request_timeout_with_unknown_outcome(
    http: GuardedHttp, serve: Serve
) -> None:
    arrived, never = asyncio.Event(), asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        arrived.set()
        await never.wait()
        return web.Response()

    error = await refused(http, HttpRequest("POST", await serve(handler), timeout_s=0.2))

    assert arrived.is_set()
    assert (error.message, error.kind, error.retryable, error.outcome_unknown) == (
        "Request timeout",
        "timeout",
        True,
        True,
    )
    never.set()


async def test_a_body_that_stops_coming_is_a_request_timeout(http: GuardedHttp, serve: Serve) -> None:
    never = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        await never.wait()
        return response

    error = await refused(http, HttpRequest("GET", await serve(handler), timeout_s=0.2))

    assert error.message == "Request timeout"
    never.set()


@pytest.fixture
async def silent_port() -> AsyncIterator[int]:
    """A port that takes TCP connections and never speaks TLS, so that an https connect stays open."""
    done = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    done.set()
    server.close()
    await server.wait_closed()


async def test_a_connection_that_does_not_come_about_is_a_connection_timeout(
    http: GuardedHttp, silent_port: int
) -> None:
    error = await refused(http, HttpRequest("GET", f"https://127.0.0.1:{silent_port}/", timeout_s=0.2))

    assert (error.message, error.kind, error.retryable) == ("Connection timeout", "timeout", True)


async def test_a_refused_connection_may_be_tried_again_and_has_done_nothing(
    http: GuardedHttp, unused_tcp_port: int
) -> None:
    error = await refused(http, HttpRequest("POST", f"http://127.0.0.1:{unused_tcp_port}/"))

    assert error.message == "Connection to 127.0.0.1 failed"
    assert (error.kind, error.retryable, error.outcome_unknown) == ("network", True, False)


async def test_a_connection_lost_after_sending_has_an_unknown_outcome(http: GuardedHttp, serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        await request.read()
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    error = await refused(http, HttpRequest("POST", await serve(handler), body=b"pay"))

    assert error.message == "127.0.0.1 closed the connection without an answer"
    assert (error.kind, error.retryable, error.outcome_unknown) == ("network", True, True)


async def test_an_answer_that_nobody_asked_for_never_answers_the_next_request(http: GuardedHttp, serve: Serve) -> None:
    transports: list[asyncio.Transport] = []

    async def told(request: web.Request) -> web.Response:
        assert request.transport is not None
        transports.append(request.transport)
        return web.Response(text=request.path)

    url = await serve(told)
    await http.send("ws", HttpRequest("GET", f"{url}/first"))
    transports[0].write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray")

    answer = await http.send("ws", HttpRequest("GET", f"{url}/second"))

    assert answer.body == b"/second"


async def test_an_idle_connection_is_used_again(http: GuardedHttp, serve: Serve) -> None:
    transports: set[object] = set()

    async def told(request: web.Request) -> web.Response:
        transports.add(request.transport)
        return web.Response()

    url = await serve(told)
    for _ in range(3):
        await http.send("ws", HttpRequest("GET", url))

    assert len(transports) == 1


async def test_a_body_cut_short_has_an_unknown_outcome(http: GuardedHttp, serve: Serve) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"short")
        assert request.transport is not None
        request.transport.close()
        return response

    error = await refused(http, HttpRequest("POST", await serve(handler)))

    assert error.message == "The answer of 127.0.0.1 ended early or could not be decompressed"
    assert (error.retryable, error.outcome_unknown) == (True, True)


async def test_a_host_without_an_address_is_a_network_error(http: GuardedHttp) -> None:
    error = await refused(http, HttpRequest("GET", "http://nowhere.invalid/"))

    assert (error.message, error.kind) == ("Host nowhere.invalid not found", "network")
