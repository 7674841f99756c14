"""Whatever goes wrong is an `ApiError` of the class that says what to do about it, with the cause chained."""

import aiohttp
import pytest
from aiohttp import web

from kube.client import Api
from kube.errors import (
    ApiError,
    Conflict,
    Expired,
    Forbidden,
    Garbled,
    Invalid,
    NotFound,
    Unauthorized,
    Unavailable,
    from_response,
)
from kube.resource import NODES
from tests.support.apiserver import ApiServer


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Invalid),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (410, Expired),
        (418, ApiError),
        (422, Invalid),
        (429, Unavailable),
        (500, Unavailable),
        (502, Unavailable),
        (504, Unavailable),
    ],
)
def test_each_status_has_its_class(status: int, kind: type[ApiError]) -> None:
    error = from_response("GET /x", status=status, headers={}, body=b"")
    assert (type(error), error.status) == (kind, status)


def test_a_long_page_of_html_is_cut_to_an_excerpt() -> None:
    body = b"<html>" + b"x" * 100_000 + b"\xff\xfe"
    error = from_response("GET /x", status=502, headers={}, body=body)
    assert error.message.startswith("<html>")
    assert len(str(error)) < 400


def test_a_deeply_nested_body_is_no_crash() -> None:
    error = from_response("GET /x", status=500, headers={}, body=b"[" * 100_000)
    assert isinstance(error, Unavailable)


async def test_success_that_is_no_kubernetes_object_is_garbled(api: Api, server: ApiServer) -> None:
    answers = iter([b"<html>ok</html>", b"[1]", b"\xff"])

    async def login_page(_: web.Request) -> web.Response:
        return web.Response(body=next(answers), content_type="text/html")

    server.interceptors.append(login_page)
    for _ in range(3):
        with pytest.raises(Garbled, match="no Kubernetes object"):
            await api.get(NODES, "n")


async def test_a_connection_cut_in_mid_answer_is_unavailable_and_chained(api: Api, server: ApiServer) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"half":')
        assert request.transport is not None
        request.transport.abort()
        return response

    server.interceptors.append(cut)
    with pytest.raises(Unavailable) as caught:
        await api.get(NODES, "n")
    assert isinstance(caught.value.__cause__, aiohttp.ClientError)
    assert caught.value.status == 0
