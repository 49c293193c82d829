"""fastmcp 4.x: `auto` unless told otherwise."""

from contextlib import asynccontextmanager

from checks import TOKEN, check
from fastmcp import Client


class Driver:
    def __init__(self, client):
        self.client = client
        self.version = client.protocol_version

    async def tools(self):
        return [tool.name for tool in await self.client.list_tools()]

    async def prompts(self):
        return [prompt.name for prompt in await self.client.list_prompts()]

    async def call(self, name, arguments, progress=None):
        # A result with isError is an exception to FastMCP, unless asked not to.
        return await self.client.call_tool(name, arguments, progress_handler=progress, raise_on_error=False)

    async def prompt(self, name, arguments):
        return (await self.client.get_prompt(name, arguments)).messages[0].content.text


@asynccontextmanager
async def connect(url, mode):
    # A plain string is a bearer token.
    async with Client(url, auth=TOKEN, mode=mode) as client:
        yield Driver(client)


check(connect)
