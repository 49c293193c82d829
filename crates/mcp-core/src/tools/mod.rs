//! The tools every step can offer, one file each.

mod add;
mod echo;
mod get_time;
mod multiply;
mod number;
mod server_stats;
mod whoami;

pub use self::{
    add::Add, echo::Echo, get_time::GetTime, multiply::Multiply, server_stats::ServerStats, whoami::WhoAmI,
};
