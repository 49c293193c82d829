//! The prompts every step can offer, one file each.

mod greeting;
mod help;

pub use self::{greeting::Greeting, help::Help};
