//! The client against the real thing (mcp-idp and a server behind mcp-auth's guard), and against servers that want
//! something of it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod again;
mod attacks;
mod flow;
mod world;
