#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[cfg(feature = "gates")]
mod gates;
mod hash;
mod ip;
mod key;
mod keyed;
#[cfg(all(test, plimsoll_loom))]
mod models;
mod sync;
mod table;

#[cfg(feature = "gates")]
pub use crate::gates::{KeyedGates, KeyedGatesTicket};
pub use crate::{
    ip::{IpPrefix, IpPrefixes},
    key::{ByReference, ByValue, KeyOf},
    keyed::{DEFAULT_MAX_KEYS, Keyed, KeyedTicket, PerKeyExt},
};
