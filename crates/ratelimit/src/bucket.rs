//! Token bucket and leaky bucket: one word of state, decided by `scale`, shared
//! by `meter`, waited for in `line`, asked through `limiter`.

mod dial;
mod gate;
mod leaky;
mod leased;
mod limiter;
mod line;
mod meter;
#[cfg(all(test, plimsoll_loom))]
mod models;
mod purse;
mod reservation;
mod scale;
mod state;
mod token;

pub use self::{
    leaky::LeakyBucket,
    leased::{Leased, LeasedTicket},
    reservation::Reservation,
    state::{BucketState, BucketTicket},
    token::TokenBucket,
};
