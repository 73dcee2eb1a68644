//! Who is asking: the address of a client, behind proxies too.

use http::{Extensions, HeaderMap, request::Parts};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str,
};

/// Finds the address of the client that sent a request: what a gate per client
/// takes for its key.
///
/// The connection knows its peer. Behind proxies that is the nearest proxy, and
/// the client's address is in `X-Forwarded-For`, to which each proxy appends the
/// address that it was called from. Whatever stands left of what *your* proxies
/// wrote, the client may have made up, to dodge its limit or to use up another's.
/// So say how many proxies of yours a request passes, and no more is believed.
///
/// IPv4 addresses written as IPv6 come out as IPv4. One client may own a whole
/// IPv6 prefix: key by that rather than by the address.
///
/// # Example
///
/// ```
/// use http::Request;
/// use plimsoll_tower::ClientAddr;
/// use std::net::SocketAddr;
///
/// let client = ClientAddr::from_extension(|peer: &SocketAddr| peer.ip()).behind_proxies(1);
///
/// let request = Request::builder()
///     .extension(SocketAddr::from(([10, 0, 0, 1], 40_000))) // our proxy
///     .header("x-forwarded-for", "6.6.6.6, 203.0.113.7") // it wrote the second
///     .body(())
///     .unwrap();
/// let (parts, ()) = request.into_parts();
/// assert_eq!(client.of(&parts), Some([203, 0, 113, 7].into()));
/// ```
#[derive(Clone, Copy)]
pub struct ClientAddr<F> {
    peer: F,
    proxies: usize,
}

impl<F: Fn(&Extensions) -> Option<IpAddr>> ClientAddr<F> {
    /// Finds the connection's peer in the extensions of a request by a function
    /// of your own.
    pub fn from_extensions(peer: F) -> Self {
        Self { peer, proxies: 0 }
    }

    /// The requests pass `proxies` proxies of yours, each of which appends to
    /// `X-Forwarded-For`: the client's address is that many places from its
    /// right end. By default 0: the client is the peer of the connection.
    ///
    /// **Nothing but your proxies may be able to connect.** Whoever comes round
    /// one of them writes its entry himself, and is believed.
    ///
    /// Several lines of the header are one list. Where the list is too short or
    /// what stands in that place is no address, the peer of the connection
    /// counts as the client: requests of unknown origin share one limit.
    #[must_use]
    pub fn behind_proxies(self, proxies: usize) -> Self {
        Self { proxies, ..self }
    }

    /// The address of the client that sent this request, `None` if not even the
    /// connection's peer is known.
    pub fn of(&self, parts: &Parts) -> Option<IpAddr> {
        let forwarded = self.proxies.checked_sub(1).and_then(|n| forwarded(&parts.headers, n));
        forwarded.or_else(|| (self.peer)(&parts.extensions)).map(|address| address.to_canonical())
    }
}

impl ClientAddr<()> {
    /// Finds the connection's peer in an extension of type `T`, which whoever
    /// accepts the connections puts there.
    pub fn from_extension<T: Send + Sync + 'static>(
        peer: impl Fn(&T) -> IpAddr + Clone,
    ) -> ClientAddr<impl Fn(&Extensions) -> Option<IpAddr> + Clone> {
        ClientAddr::from_extensions(move |extensions: &Extensions| extensions.get().map(&peer))
    }

    /// Finds the connection's peer where axum puts it:
    /// `app.into_make_service_with_connect_info::<SocketAddr>()`.
    #[cfg(feature = "axum")]
    #[must_use]
    pub fn connect_info() -> ClientAddr<impl Fn(&Extensions) -> Option<IpAddr> + Copy> {
        use axum::extract::ConnectInfo;
        ClientAddr::from_extensions(|extensions: &Extensions| {
            extensions.get().map(|ConnectInfo(peer): &ConnectInfo<SocketAddr>| peer.ip())
        })
    }
}

impl<F> fmt::Debug for ClientAddr<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAddr").field("proxies", &self.proxies).finish_non_exhaustive()
    }
}

/// The address `n` places left of the last one.
fn forwarded(headers: &HeaderMap, n: usize) -> Option<IpAddr> {
    let lines = headers.get_all("x-forwarded-for");
    // From the right: what a client puts in front can't shift the places.
    let mut from_the_right =
        lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    from_the_right.nth(n).and_then(|place| address(str::from_utf8(place).ok()?.trim()))
}

/// `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]` or `[::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let parsed = bare.unwrap_or(text).parse::<IpAddr>().ok();
    parsed.or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, Request};

    fn parts(lines: &[&[u8]]) -> Parts {
        let (mut parts, ()) = Request::new(()).into_parts();
        for line in lines {
            let value = HeaderValue::from_bytes(line).unwrap();
            parts.headers.append("x-forwarded-for", value);
        }
        parts.extensions.insert(SocketAddr::from(([10, 0, 0, 1], 40_000)));
        parts
    }

    fn client(proxies: usize, lines: &[&[u8]]) -> String {
        let client = ClientAddr::from_extension(|peer: &SocketAddr| peer.ip());
        client.behind_proxies(proxies).of(&parts(lines)).unwrap().to_string()
    }

    const PEER: &str = "10.0.0.1";

    #[test]
    fn without_proxies_the_header_is_not_believed() {
        assert_eq!(client(0, &[b"6.6.6.6"]), PEER);
    }

    #[test]
    fn the_client_stands_as_many_places_from_the_right_as_there_are_proxies() {
        let chain: &[&[u8]] = &[b"6.6.6.6, 1.1.1.1 ,2.2.2.2,3.3.3.3"];
        assert_eq!(client(1, chain), "3.3.3.3");
        assert_eq!(client(2, chain), "2.2.2.2");
        assert_eq!(client(3, chain), "1.1.1.1");
    }

    #[test]
    fn several_lines_are_one_list() {
        let lines: &[&[u8]] = &[b"6.6.6.6", b"1.1.1.1, 2.2.2.2", b"3.3.3.3"];
        assert_eq!(client(1, lines), "3.3.3.3");
        assert_eq!(client(3, lines), "1.1.1.1");
        assert_eq!(client(4, lines), "6.6.6.6");
    }

    #[test]
    fn a_list_that_is_too_short_leaves_the_connection() {
        assert_eq!(client(1, &[]), PEER);
        assert_eq!(client(3, &[b"1.1.1.1, 2.2.2.2"]), PEER);
        assert_eq!(client(usize::MAX, &[b"1.1.1.1"]), PEER);
    }

    #[test]
    fn a_place_that_holds_no_address_leaves_the_connection() {
        let places: [&[u8]; 8] = [
            b"unknown",
            b"_hidden",
            b"",
            b" ",
            b"1.2.3.4.5",
            b"[::1",
            b"\xff\xfe",
            b"1.1.1.1:99999",
        ];
        for place in places {
            assert_eq!(client(1, &[b"1.1.1.1", place]), PEER, "{place:?}");
            let text = String::from_utf8_lossy(place);
            assert_eq!(client(2, &[b"1.1.1.1", place, b"2.2.2.2"]), PEER, "{text:?}");
        }
    }

    #[test]
    fn what_the_client_made_up_on_the_left_does_no_harm() {
        assert_eq!(client(1, &[b"\xff,,unknown,[[[,", b"1.1.1.1"]), "1.1.1.1");
        let long = [b"9.9.9.9,".repeat(100_000), b"1.1.1.1".to_vec()].concat();
        assert_eq!(client(1, &[&long]), "1.1.1.1");
    }

    #[test]
    fn ports_and_brackets_come_off_and_mapped_addresses_come_out_as_ipv4() {
        for (written, meant) in [
            ("192.0.2.1:8080", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(client(1, &[written.as_bytes()]), meant);
        }
    }

    #[test]
    fn without_a_peer_and_a_list_there_is_no_address() {
        let client = ClientAddr::from_extension(|peer: &SocketAddr| peer.ip());
        let (bare, ()) = Request::new(()).into_parts();
        assert_eq!(client.of(&bare), None);
        let mut listed = bare;
        listed.headers.insert("x-forwarded-for", HeaderValue::from_static("1.1.1.1"));
        assert_eq!(client.of(&listed), None);
        assert_eq!(client.behind_proxies(1).of(&listed), Some([1, 1, 1, 1].into()));
    }
}
