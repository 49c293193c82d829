"""What every client must be able to do that comes without a token; the same scenarios as in oauth.mjs.

A driver is run as `python DRIVER URL SCENARIO`, with the environment as there. It hands `drive` a function that makes
the client's auth of a scenario, and one that returns an async context manager of an object with `tools()`,
`call(name, args)` and `held()`, what the client holds in the end.
One line per check is printed: `ok - NAME` or `not ok - NAME: REASON`.
"""

import json
import os
import sys

import anyio

SUBJECT = os.environ.get("MCP_SUBJECT")
TOOLS = os.environ.get("MCP_TOOLS")
SCOPE = os.environ.get("MCP_SCOPE")
ISSUER = os.environ.get("MCP_ISSUER")
CLIENT = os.environ.get("MCP_CLIENT")
EXPIRED = float(os.environ.get("MCP_EXPIRED", 0))
# The client of the realm's file that may act for itself.
SERVICE = {"client_id": "echo-mcp-server", "client_secret": "echo-mcp-server-secret"}


async def person(url):
    """Opens an authorization URL; returns the callback URL."""
    visit = await anyio.run_process([os.environ["MCP_PERSON"], url], stderr=sys.stderr)
    return visit.stdout.decode().strip()


def drive(connect):
    sys.exit(1 if anyio.run(_drive, connect, *sys.argv[1:]) else 0)


class _Scenario:
    def __init__(self):
        self.failed = 0
        self.refusing = False

    def report(self, name, problem=""):
        self.failed += bool(problem)
        print(f"not ok - {name}: {problem}".replace("\n", " ") if problem else f"ok - {name}", flush=True)

    async def same(self, name, expected, run):
        try:
            actual = await run()
            self.report(name, "" if actual == expected else f"{actual!r}, not {expected!r}")
        except Exception as error:
            self.report(name, _reason(error))

    async def lists(self, client):
        async def tools():
            return " ".join(sorted(await client.tools()))

        await self.same("lists the tools", TOOLS, tools)

    async def echoes(self, client):
        async def echo():
            return (await client.call("echo", {"message": "hi"})).content[0].text

        await self.same("calls echo", "hi", echo)

    async def everything(self, client):
        async def whoami():
            return (await client.call("whoami", {})).structured_content["subject"]

        await self.lists(client)
        await self.echoes(client)
        await self.same("is known to whoami", SUBJECT, whoami)

    async def code(self, client):
        await self.everything(client)

    async def credentials(self, client):
        await self.everything(client)

    async def expiry(self, client):
        """The access token expires in between; whoever holds a refresh token needs nobody."""
        await self.everything(client)
        before = await client.held()
        await anyio.sleep(EXPIRED)
        await self.everything(client)
        after = await client.held()
        for token in ["access_token", "refresh_token"]:
            name = f"has another {token.replace('_', ' ')}"
            self.report(name, "it is the same" if before[token] == after[token] else "")

    async def step_up(self, client):
        """The first scopes are enough to see the tools, and not to call one."""
        await self.lists(client)
        await self.echoes(client)
        await self.everything(client)

    async def refused(self, client):
        """The person, or their account, does not give what the tool needs."""
        await self.lists(client)
        self.refusing = True
        await client.call("echo", {"message": "hi"})
        self.refusing = False
        self.report("ends with an error", "the tool was called")


async def _drive(connect, url, name):
    scenario = _Scenario()
    try:
        # A client that hangs must not hang the tests.
        with anyio.fail_after(EXPIRED + 120):
            # Nothing is given at all.
            scenario.refusing = name == "denied"
            async with connect(url, name) as client:
                if scenario.refusing:
                    await client.tools()
                    scenario.report("ends with an error", "it was let in")
                    return scenario.failed
                scenario.report("connects")
                await getattr(scenario, name.replace("-", "_"))(client)
                with open(os.environ["MCP_GRANTED"], "w") as granted:
                    json.dump(await client.held(), granted)
    except Exception as error:
        if scenario.refusing:
            # An error within the flow ends the connection too, and so it comes out here.
            scenario.report("ends with an error")
            # For whoever asks why.
            print(_reason(error), file=sys.stderr)
        else:
            scenario.report("connects, answers in time and closes", _reason(error))
    return scenario.failed


def _reason(error):
    # The task groups of the SDK wrap the error that matters.
    while getattr(error, "exceptions", None):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
