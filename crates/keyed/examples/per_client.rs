//! A limit per client, with one greedy client among many and one who sends from
//! all over his IPv6 network: `cargo run -p plimsoll-keyed --example per_client`.
//!
//! Ten simulated seconds, for which the clock is moved by hand; a service leaves
//! `.clock(…)` out.

use plimsoll_core::{GateExt, ManualClock};
use plimsoll_keyed::{IpPrefix, PerKeyExt};
use plimsoll_ratelimit::TokenBucket;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

struct Request {
    peer: IpAddr,
}

struct Sender {
    name: &'static str,
    /// One request every so many milliseconds.
    every_ms: u64,
    /// Where the nth request comes from.
    address: fn(u64) -> IpAddr,
}

const SENDERS: [Sender; 3] = [
    Sender {
        name: "100 polite clients, 5/s each",
        every_ms: 2,
        address: |n| Ipv4Addr::from_bits(0xc000_0200 + (n % 100) as u32).into(),
    },
    Sender {
        name: "one greedy client, 1,000/s",
        every_ms: 1,
        address: |_| Ipv4Addr::new(198, 51, 100, 7).into(),
    },
    Sender {
        name: "one IPv6 network, 1,000/s, each from a new address",
        every_ms: 1,
        address: |n| Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(n)).into(),
    },
];

fn main() {
    let clock = ManualClock::new();
    let bucket = || TokenBucket::per_second(10).burst(20).clock(clock.clone());
    let per_client = bucket().keyed(|r: &Request| IpPrefix::of(r.peer));
    // What not to do.
    let per_address = bucket().keyed(|r: &Request| r.peer);

    let mut counts = [[0_u64; 3]; SENDERS.len()];
    for ms in 0..10_000 {
        for (sender, [sent, by_client, by_address]) in SENDERS.iter().zip(&mut counts) {
            if ms % sender.every_ms == 0 {
                let request = Request { peer: (sender.address)(*sent) };
                *sent += 1;
                *by_client += u64::from(per_client.try_admit_for(&request).is_ok());
                *by_address += u64::from(per_address.try_admit_for(&request).is_ok());
            }
        }
        clock.advance(Duration::from_millis(1));
    }

    println!("{:60} {:>7}", "", "admitted");
    println!("{:50} {:>6} {:>10} {:>11}", "10/s, burst 20", "sent", "per client", "per address");
    for (sender, [sent, by_client, by_address]) in SENDERS.iter().zip(counts) {
        println!("{:50} {sent:>6} {by_client:>10} {by_address:>11}", sender.name);
    }
}
