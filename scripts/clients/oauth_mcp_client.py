"""mcp 2.x, the official Python SDK, with its own OAuth."""

from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth.exceptions import OAuthFlowError
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.auth.oauth2 import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata
from oauth import CLIENT, ISSUER, SCOPE, SERVICE, drive, person


class Storage:
    """In memory what an application would keep on disk."""

    tokens = None
    client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


def code(url, storage):
    callback = {}

    async def redirect_handler(authorization_url):
        callback.update(parse_qs(urlsplit(await person(authorization_url)).query))

    async def callback_handler():
        answer = {name: values[0] for name, values in callback.items()}
        callback.clear()
        if "error" in answer:
            raise OAuthFlowError(answer["error"])
        return AuthorizationCodeResult(code=answer["code"], state=answer["state"], iss=answer["iss"])

    # No token_endpoint_auth_method, as in this SDK's own documentation.
    metadata = OAuthClientMetadata(client_name="oauth_mcp_client.py", redirect_uris=["http://localhost:53211/callback"])
    if CLIENT:
        storage.client = OAuthClientInformationFull(client_id=CLIENT, **metadata.model_dump(exclude_none=True))
    return OAuthClientProvider(url, metadata, storage, redirect_handler, callback_handler)


def credentials(url, storage):
    return ClientCredentialsOAuthProvider(url, storage, *SERVICE.values(), scope=SCOPE, issuer=ISSUER)


class Driver:
    def __init__(self, client, storage):
        self.client = client
        self.storage = storage

    async def tools(self):
        return [tool.name for tool in (await self.client.list_tools()).tools]

    async def call(self, name, arguments):
        return await self.client.call_tool(name, arguments)

    async def held(self):
        client = self.storage.client
        return {
            "client_id": client.client_id if client else SERVICE["client_id"],
            "client_secret": client.client_secret if client else None,
            **self.storage.tokens.model_dump(exclude_none=True),
        }


@asynccontextmanager
async def connect(url, scenario):
    storage = Storage()
    auth = credentials(url, storage) if scenario == "credentials" else code(url, storage)
    async with httpx2.AsyncClient(auth=auth) as http:
        async with Client(streamable_http_client(url, http_client=http), mode="auto") as client:
            yield Driver(client, storage)


drive(connect)
