"""What every client must be able to do with the server; the same list as in checks.mjs.

A driver is run as `python DRIVER URL MODE [refused]`, with MCP_TOKEN, MCP_TOOLS and MCP_SUBJECT as there. It hands
`check` a function that returns an async context manager of an object with `version`, `tools()`, `prompts()`,
`call(name, args, progress)` and `prompt(name, args)`.
One line per check is printed: `ok - NAME` or `not ok - NAME: REASON`.
"""

import logging
import os
import re
import sys

import anyio

TOKEN = os.environ.get("MCP_TOKEN") or None
SUBJECT = os.environ.get("MCP_SUBJECT")
# How both libraries say it. The error tells neither the status nor what the server said; the log tells the status.
UNAUTHORIZED = "MCPError, HTTP 401"


def check(connect):
    sys.exit(1 if anyio.run(_check, connect, *sys.argv[1:]) else 0)


async def _check(connect, url, mode, refused=None):
    failed = 0
    version = "2025-11-25" if mode == "legacy" else "2026-07-28"

    def report(name, problem):
        nonlocal failed
        failed += bool(problem)
        print(f"not ok - {name}: {problem}".replace("\n", " ") if problem else f"ok - {name}", flush=True)

    try:
        # A client that hangs must not hang the tests. Pinned, to these libraries, is the version itself as the mode.
        with anyio.fail_after(60):
            connecting = connect(url, version if mode == "pinned" else mode)
            if refused:
                report(f"is unauthorized: {UNAUTHORIZED}", await _refusal(connecting))
                return failed
            async with connecting as client:
                for name, run in _checks(client, version):
                    try:
                        actual, expected = await run()
                        report(name, "" if actual == expected else f"{actual!r}, not {expected!r}")
                    except Exception as error:
                        report(name, _reason(error))
    except Exception as error:
        report("connects, answers in time and closes", _reason(error))
    return failed


async def _refusal(connecting):
    """Nothing but the one error will do: a server that is not there has not refused anybody."""
    statuses = _Statuses()
    try:
        async with connecting as client:
            # Pinned, a client has asked nothing yet.
            tools = await client.tools()
    except Exception as error:
        error = _innermost(error)
        said = ", ".join([type(error).__name__, *(f"HTTP {status}" for status in sorted(statuses.seen))])
        return "" if said == UNAUTHORIZED else f"{said}: {error}"
    return f"was let in, and shown {' '.join(tools)}"


class _Statuses(logging.Handler):
    """The HTTP statuses in the log of the libraries' HTTP client."""

    def __init__(self):
        super().__init__()
        self.seen = set()
        logging.getLogger("httpx2").addHandler(self)
        logging.getLogger("httpx2").setLevel(logging.INFO)

    def emit(self, record):
        self.seen.update(re.findall(r'"HTTP/1\.1 (\d+) ', record.getMessage()))


def _checks(client, version):
    """Each check returns what it got and what it should have got."""

    async def speaks():
        return client.version, version

    async def tools():
        return " ".join(sorted(await client.tools())), os.environ["MCP_TOOLS"]

    async def prompts():
        return sorted(await client.prompts()), ["greeting", "help"]

    async def echo():
        return (await client.call("echo", {"message": "hi", "repeat_count": 2})).content[0].text, "hi\nhi"

    async def get_time():
        time = (await client.call("get_time", {"timezone": "Asia/Tokyo"})).content[0].text
        return re.sub(r"^[\d-]+T[\d:]+", "", time), "+09:00[Asia/Tokyo]"

    async def add():
        return (await client.call("add", {"a": 2, "b": 40})).structured_content, {"result": 42}

    async def multiply():
        return (await client.call("multiply", {"x": 6, "y": 7})).structured_content, {"result": 42}

    async def greeting():
        return "Bob" in await client.prompt("greeting", {"name": "Bob"}), True

    async def help():
        return "tools" in await client.prompt("help", None), True

    async def progress():
        seen = []

        async def note(progress, total, message):
            seen.append((progress, total))

        await client.call("echo", {"message": "hi", "repeat_count": 3}, note)
        # The SDK may hand over the result before the last of its callbacks has run.
        with anyio.move_on_after(1):
            while len(seen) < 3:
                await anyio.sleep(0.01)
        return seen, [(1, 3), (2, 3), (3, 3)]

    async def whoami():
        return (await client.call("whoami", {})).structured_content["subject"], SUBJECT

    async def wrong_argument():
        result = await client.call("echo", {"message": "hi", "repeat_count": 11})
        return (result.is_error, "/repeat_count" in result.content[0].text), (True, True)

    return [
        (f"speaks {version}", speaks),
        # First of all: from then on an SDK checks structured results against the listed schemas.
        ("lists the tools", tools),
        ("lists the prompts", prompts),
        ("calls echo", echo),
        ("calls get_time", get_time),
        ("calls add", add),
        ("calls multiply", multiply),
        ("gets greeting", greeting),
        ("gets help", help),
        ("sees progress", progress),
        *([("is known to whoami", whoami)] if SUBJECT else []),
        ("is told of a wrong argument", wrong_argument),
    ]


def _reason(error):
    error = _innermost(error)
    return f"{type(error).__name__}: {error}"


def _innermost(error):
    # The task groups of the SDK wrap the error that matters.
    while getattr(error, "exceptions", None):
        error = error.exceptions[0]
    return error
