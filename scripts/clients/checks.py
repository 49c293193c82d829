"""What every client must be able to do with the server; the same list as in checks.mjs.

A driver is run as `python DRIVER URL MODE`. It hands `check` a function that returns an async context manager of
an object with `version`, `tools()`, `prompts()`, `call(name, args, progress)` and `prompt(name, args)`.
One line per check is printed: `ok - NAME` or `not ok - NAME: REASON`.
"""

import os
import re
import sys

import anyio

TOKEN = os.environ.get("MCP_TOKEN")


def check(connect):
    sys.exit(1 if anyio.run(_check, connect, *sys.argv[1:]) else 0)


async def _check(connect, url, mode):
    failed = 0
    version = "2025-11-25" if mode == "legacy" else "2026-07-28"

    def report(name, problem):
        nonlocal failed
        failed += bool(problem)
        print(f"not ok - {name}: {problem}".replace("\n", " ") if problem else f"ok - {name}", flush=True)

    try:
        # A client that hangs must not hang the tests. Pinned, to these libraries, is the version itself as the mode.
        with anyio.fail_after(60):
            async with connect(url, version if mode == "pinned" else mode) as client:
                for name, run in _checks(client, version):
                    try:
                        actual, expected = await run()
                        report(name, "" if actual == expected else f"{actual!r}, not {expected!r}")
                    except Exception as error:
                        report(name, _reason(error))
    except Exception as error:
        report("connects, answers in time and closes", _reason(error))
    return failed


def _checks(client, version):
    """Each check returns what it got and what it should have got."""

    async def speaks():
        return client.version, version

    async def tools():
        return sorted(await client.tools()), ["add", "echo", "get_time", "multiply"]

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
        ("is told of a wrong argument", wrong_argument),
    ]


def _reason(error):
    # The task groups of the SDK wrap the error that matters.
    while getattr(error, "exceptions", None):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
