//! The forged tokens, by what they bend. Each is a good token in which one thing is wrong.

mod algorithm;
mod audience;
mod bytes;
mod claims;
mod header;
mod issuer;
mod key;
mod kind;
mod time;

use crate::attack::Attack;

pub(crate) fn rows() -> Vec<Attack> {
    [
        algorithm::rows(),
        key::rows(),
        header::rows(),
        time::rows(),
        issuer::rows(),
        audience::rows(),
        claims::rows(),
        kind::rows(),
        bytes::rows(),
    ]
    .concat()
}
