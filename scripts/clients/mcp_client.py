"""mcp 2.x, the official Python SDK: `auto` unless told otherwise."""

from contextlib import asynccontextmanager

import httpx2
from checks import TOKEN, check
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


class Driver:
    def __init__(self, client):
        self.client = client
        self.version = client.protocol_version

    async def tools(self):
        return [tool.name for tool in (await self.client.list_tools()).tools]

    async def prompts(self):
        return [prompt.name for prompt in (await self.client.list_prompts()).prompts]

    async def call(self, name, arguments, progress=None):
        return await self.client.call_tool(name, arguments, progress_callback=progress)

    async def prompt(self, name, arguments):
        return (await self.client.get_prompt(name, arguments)).messages[0].content.text


@asynccontextmanager
async def connect(url, mode):
    server = url
    if TOKEN:
        http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"})
        server = streamable_http_client(url, http_client=http)
    async with Client(server, mode=mode) as client:
        yield Driver(client)


check(connect)
