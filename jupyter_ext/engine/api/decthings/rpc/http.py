"""Calls over HTTP: `POST /v0/{Api}/{method}`. 200 for every call that was understood, errors included; clients parse no other."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from jupyter_ext.engine.api.decthings.rpc.calls import Call
from jupyter_ext.engine.api.decthings.rpc.dispatch import Rpc, UnknownMethod
from jupyter_ext.protocol.decthings.framing import decode_request, encode_response
from jupyter_ext.protocol.decthings.varint import WireError


class HttpAPI:
    """The route of all calls."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    def routes(self) -> list[Route]:
        """List the routes."""
        return [Route("/v0/{api}/{method}", self.call, methods=["POST"])]

    async def call(self, request: Request) -> Response:
        """Carry out a call: 200; 404 where there is no such method, 400 where the body is not what it says."""
        api, method = request.path_params["api"], request.path_params["method"]
        try:
            self._rpc.find(api, method)
            message = decode_request(await request.body())
            client = request.headers.get("user-agent", "")
            call = Call(method, message.content, message.blobs, client=client)
            content, blobs = await self._rpc.answer(api, call)
        except UnknownMethod:
            return PlainTextResponse(f"There is no {api}/{method} here.", 404)
        except WireError as error:
            return PlainTextResponse(str(error), 400)
        body = encode_response(content, blobs)
        return Response(body, 200, {"Cache-Control": "no-store"}, media_type="application/octet-stream")
