//! Forged tokens and bent requests against an MCP server.
