"""Firefox for Playwright, started in Firefox's place: it stands between the two, and passes on what they say.

Playwright asks every Firefox to pretend to media and screens, in commands of WebDriver BiDi that the long-term releases
do not have yet. Without an answer it gives up; nothing that we test depends on them.
"""

import asyncio
import json
import re
import sys

from aiohttp import ClientSession, ClientWebSocketResponse, web

PRETENDING = "emulation."
"""What the commands begin with that Firefox need not know."""
Socket = ClientWebSocketResponse | web.WebSocketResponse


async def converse(playwright: Socket, firefox: Socket) -> None:
    """Pass on what each says until one of them hangs up; a pretence that Firefox does not know is taken for done."""
    pretences = set()

    async def commands() -> None:
        async for message in playwright:
            said = json.loads(message.data)
            if said["method"].startswith(PRETENDING):
                pretences.add(said["id"])
            await firefox.send_str(message.data)

    async def answers() -> None:
        async for message in firefox:
            said = json.loads(message.data)
            if said.get("error") == "unknown command" and said.get("id") in pretences:
                said = {"type": "success", "id": said["id"], "result": {}}
            await playwright.send_str(json.dumps(said))

    await asyncio.wait(map(asyncio.ensure_future, (commands(), answers())), return_when=asyncio.FIRST_COMPLETED)


async def main(program: str, options: list[str]) -> int:
    """Start Firefox, say where we listen as it would say it, and wait for its end."""
    browser = await asyncio.create_subprocess_exec(program, *options, stderr=asyncio.subprocess.PIPE)
    address = None
    while address is None and (line := await browser.stderr.readline()):
        address = re.search(r"WebDriver BiDi listening on (ws://\S+)", line.decode(errors="replace"))

    async def take_call(request: web.Request) -> web.WebSocketResponse:
        call = web.WebSocketResponse(max_msg_size=0)
        await call.prepare(request)
        async with ClientSession() as session, session.ws_connect(f"{address[1]}/session", max_msg_size=0) as firefox:
            await converse(call, firefox)
        return call

    if address:
        app = web.Application()
        app.router.add_get("/session", take_call)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        sys.stderr.write(f"WebDriver BiDi listening on ws://127.0.0.1:{runner.addresses[0][1]}\n")
        sys.stderr.flush()
    while await browser.stderr.readline():
        pass  # what it says to nobody: a full pipe would stop it
    return await browser.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2:])))
