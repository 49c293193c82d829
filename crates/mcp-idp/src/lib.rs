//! An authorization server for one machine: what stands in for Keycloak where there is none.

#![allow(dead_code, reason = "being built")]

mod cimd;
mod pages;
mod realm;
mod throttle;
