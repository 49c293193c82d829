"""A FastMCP server with its JWTVerifier, set up as FastMCP's documentation has it. Run by scripts/attack.sh.

The keys come from a JWKS URL, as from an identity provider: a thread of this process serves the public keys of a
directory. Says `listening on http://localhost:PORT`, like our own servers.
"""

import argparse
import asyncio
import json
import pathlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from fastmcp import FastMCP
from fastmcp.server.auth.providers.jwt import JWTVerifier


def serve_jwks(directory):
    """The URL of a JWK Set with every public key of the directory."""
    keys = [json.loads(path.read_text()) for path in sorted(directory.glob("*.jwk.json"))]
    body = json.dumps({"keys": keys}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/jwks.json"


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key-dir", type=pathlib.Path, required=True)
    parser.add_argument("--issuer", required=True)
    parser.add_argument("--audience", required=True)
    args = parser.parse_args()

    verifier = JWTVerifier(jwks_uri=serve_jwks(args.key_dir), issuer=args.issuer, audience=args.audience)
    mcp = FastMCP("echo", auth=verifier)

    @mcp.tool
    def echo(message: str) -> str:
        """Says what it is told."""
        return message

    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", args.port))
    listener.listen(128)
    print(f"listening on http://localhost:{listener.getsockname()[1]}", flush=True)
    await mcp.run_http_async(show_banner=False, sockets=[listener], log_level="warning")


asyncio.run(main())
