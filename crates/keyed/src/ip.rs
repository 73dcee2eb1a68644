//! Addresses as keys.

use plimsoll_core::ConfigError;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// The network that an address belongs to, as a key.
///
/// One IPv6 subscriber has at least 2^64 addresses (RFC 4291, section 2.5.4;
/// RIPE-690 advises /56 or /48 per site), so a limit per whole address is none.
///
/// # Example
///
/// ```
/// use plimsoll_keyed::IpPrefix;
///
/// let [a, b, c] = ["2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1"].map(|a| a.parse().unwrap());
/// assert_eq!(IpPrefix::of(a), IpPrefix::of(b));
/// assert_ne!(IpPrefix::of(a), IpPrefix::of(c));
/// assert_eq!(IpPrefix::of(a).to_string(), "2001:db8::/64");
///
/// let mapped = "::ffff:192.0.2.7".parse().unwrap();
/// assert_eq!(IpPrefix::of(mapped).to_string(), "192.0.2.7/32");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpPrefix {
    /// An IPv4 address stands here as `::ffff:a.b.c.d`.
    bits: u128,
    /// How many of the 128 bits count.
    len: u8,
}

/// The first 96 bits of an IPv4 address written as an IPv6 one.
const MAPPED: u8 = 96;

impl IpPrefix {
    /// The whole of an IPv4 address (also of one mapped into IPv6), and the
    /// first 64 bits of an IPv6 address. [`IpPrefixes`] has other lengths.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        IpPrefixes::new().of(address)
    }

    /// The first address of the network.
    #[must_use]
    pub const fn address(self) -> IpAddr {
        Ipv6Addr::from_bits(self.bits).to_canonical()
    }

    /// How many bits of the address count: 0 to 32, or 0 to 128 for IPv6.
    #[must_use]
    pub const fn prefix_len(self) -> u8 {
        match self.address() {
            IpAddr::V4(_) => self.len - MAPPED,
            IpAddr::V6(_) => self.len,
        }
    }
}

impl fmt::Display for IpPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address(), self.prefix_len())
    }
}

impl fmt::Debug for IpPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IpPrefix({self})")
    }
}

/// How much of an address makes an [`IpPrefix`].
///
/// # Example
///
/// ```
/// use plimsoll_keyed::IpPrefixes;
///
/// let sites = IpPrefixes::new().v4(24).v6(48);
/// assert_eq!(sites.of("192.0.2.7".parse().unwrap()).to_string(), "192.0.2.0/24");
/// assert_eq!(sites.of("2001:db8:1:2::3".parse().unwrap()).to_string(), "2001:db8:1::/48");
/// assert!(sites.try_v4(33).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpPrefixes {
    v4: u8,
    v6: u8,
}

impl IpPrefixes {
    /// /32 for IPv4, /64 for IPv6.
    #[must_use]
    pub const fn new() -> Self {
        Self { v4: 32, v6: 64 }
    }

    /// The first `len` bits of an IPv4 address, 0 to 32. By default 32.
    ///
    /// # Panics
    ///
    /// When `len` is over 32. [`try_v4`](Self::try_v4) returns the error.
    #[track_caller]
    #[must_use]
    pub fn v4(self, len: u8) -> Self {
        self.try_v4(len).unwrap_or_else(|error| error.panic())
    }

    /// [`v4`](Self::v4), for values from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `len` is over 32.
    pub fn try_v4(self, len: u8) -> Result<Self, ConfigError> {
        if len > 32 {
            return Err(ConfigError::new("v4", len, "0 to 32"));
        }
        Ok(Self { v4: len, ..self })
    }

    /// The first `len` bits of an IPv6 address, 0 to 128. By default 64.
    ///
    /// # Panics
    ///
    /// When `len` is over 128. [`try_v6`](Self::try_v6) returns the error.
    #[track_caller]
    #[must_use]
    pub fn v6(self, len: u8) -> Self {
        self.try_v6(len).unwrap_or_else(|error| error.panic())
    }

    /// [`v6`](Self::v6), for values from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `len` is over 128.
    pub fn try_v6(self, len: u8) -> Result<Self, ConfigError> {
        if len > 128 {
            return Err(ConfigError::new("v6", len, "0 to 128"));
        }
        Ok(Self { v6: len, ..self })
    }

    /// The prefix of `address`. An IPv4 address mapped into IPv6 counts as IPv4.
    #[must_use]
    pub const fn of(self, address: IpAddr) -> IpPrefix {
        let (bits, len) = match address.to_canonical() {
            IpAddr::V4(v4) => (mapped(v4), MAPPED + self.v4),
            IpAddr::V6(v6) => (v6.to_bits(), self.v6),
        };
        let past = 128 - len as u32;
        // A shift by all 128 bits has no value; it leaves nothing.
        let mask = match u128::MAX.checked_shl(past) {
            Some(mask) => mask,
            None => 0,
        };
        IpPrefix { bits: bits & mask, len }
    }
}

const fn mapped(v4: Ipv4Addr) -> u128 {
    v4.to_ipv6_mapped().to_bits()
}

impl Default for IpPrefixes {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;

    fn v6(text: &str) -> IpAddr {
        IpAddr::V6(text.parse().expect("an address"))
    }

    #[test]
    fn every_length_keeps_that_many_bits_and_no_more() {
        let all = IpAddr::V6(Ipv6Addr::from_bits(u128::MAX));
        for len in 0..=128 {
            let prefix = IpPrefixes::new().v6(len).of(all);
            assert_eq!(prefix.bits.leading_ones(), u32::from(len));
            assert_eq!(prefix.prefix_len(), len);
        }
        for len in 0..=32 {
            let prefix = IpPrefixes::new().v4(len).of(IpAddr::V4(Ipv4Addr::BROADCAST));
            let IpAddr::V4(address) = prefix.address() else { panic!("{prefix} is IPv4") };
            assert_eq!(address.to_bits().leading_ones(), u32::from(len));
            assert_eq!(prefix.prefix_len(), len);
        }
    }

    #[test]
    fn the_mapped_form_of_an_address_is_the_same_client() {
        let plain = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
        assert_eq!(IpPrefix::of(plain), IpPrefix::of(v6("::ffff:192.0.2.7")));
        assert_ne!(IpPrefix::of(plain), IpPrefix::of(v6("::192.0.2.7")));
    }

    #[test]
    fn an_ipv6_network_is_never_an_ipv4_one() {
        let everything = IpPrefixes::new().v4(0).v6(96);
        let near = everything.of(v6("::fffe:0:1"));
        assert_ne!(near, everything.of(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
        assert_eq!(near.to_string(), "::fffe:0:0/96");
        assert_ne!(IpPrefixes::new().v6(0).of(v6("::1")), everything.of(v6("::ffff:1.2.3.4")));
    }

    #[test]
    fn a_length_that_no_address_has_is_an_error() {
        let error = IpPrefixes::new().try_v6(129).expect_err("too long");
        assert_eq!(error.to_string(), "v6 must be 0 to 128, but is 129");
        let error = IpPrefixes::new().try_v4(33).expect_err("too long");
        assert_eq!(error.to_string(), "v4 must be 0 to 32, but is 33");
    }
}
