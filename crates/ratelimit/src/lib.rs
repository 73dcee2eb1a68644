#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod bucket;
mod sync;
mod window;

pub use crate::{
    bucket::{
        BucketState, BucketTicket, LeakyBucket, Leased, LeasedTicket, Reservation, TokenBucket,
    },
    window::{ApproximateState, ApproximateWindow, SlidingWindow, WindowTicket},
};
