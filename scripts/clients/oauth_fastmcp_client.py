"""fastmcp 4.x with its own OAuth: it opens a browser, and waits at a callback URL of its own."""

import os
from contextlib import asynccontextmanager

from fastmcp import Client
from fastmcp.client.auth import ClientCredentialsOAuthProvider, OAuth
from oauth import CLIENT, ISSUER, SCOPE, SERVICE, drive

# What Python's webbrowser opens; & for not to wait until it is closed.
os.environ["BROWSER"] = f"{os.environ['MCP_BROWSER']} %s &"


class Driver:
    def __init__(self, client, auth):
        self.client = client
        self.auth = auth

    async def tools(self):
        return [tool.name for tool in await self.client.list_tools()]

    async def call(self, name, arguments):
        return await self.client.call_tool(name, arguments)

    async def held(self):
        context = self.auth.context
        return {
            "client_id": context.client_info.client_id,
            **context.current_tokens.model_dump(exclude_none=True),
        }


@asynccontextmanager
async def connect(url, scenario):
    if scenario == "credentials":
        auth = ClientCredentialsOAuthProvider(**SERVICE, scopes=SCOPE, issuer=ISSUER)
    else:
        auth = OAuth(client_name="oauth_fastmcp_client.py", client_id=CLIENT, callback_timeout=30)
    async with Client(url, auth=auth) as client:
        yield Driver(client, auth)


drive(connect)
