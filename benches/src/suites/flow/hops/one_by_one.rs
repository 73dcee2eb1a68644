//! One by one through any channel: the same code for ours and every peer.

use super::{Item, Seen};
use crate::rounds::Subject;
use tokio::task::JoinHandle;

pub(super) async fn result(sink: JoinHandle<u64>) -> u64 {
    sink.await.expect("the sink does not panic")
}

/// Writes both arrangements out for one channel. A trait over channels would wrap
/// each call in a future of its own, which takes half as long again as the fastest
/// of them does.
macro_rules! one_by_one {
    ($name:ident, $tx:ty, $rx:ty, $send:ident, $recv:ident, $some:ident) => {
        pub(super) mod $name {
            #![allow(unused_mut, reason = "some receive through a shared reference")]

            use super::{Item, Seen, Subject, result};

            async fn source<T: Item>(tx: $tx, items: u64) {
                for n in 0..items {
                    if tx.$send(T::new(n)).await.is_err() {
                        return;
                    }
                }
            }

            async fn stage<T: Item>(mut rx: $rx, tx: $tx) {
                while let $some(item) = rx.$recv().await {
                    if tx.$send(item.changed()).await.is_err() {
                        return;
                    }
                }
            }

            async fn sink<T: Item>(mut rx: $rx) -> u64 {
                let mut seen = Seen::default();
                while let $some(item) = rx.$recv().await {
                    seen.add(&item);
                }
                seen.arrived()
            }

            /// The next item goes in when the last has come out.
            pub(in super::super) async fn ping<T: Item>(tx: $tx, mut rx: $rx, items: u64) -> u64 {
                let mut seen = Seen::default();
                for n in 0..items {
                    if tx.$send(T::new(n)).await.is_err() {
                        break;
                    }
                    let $some(item) = rx.$recv().await else { break };
                    seen.add(&item);
                }
                seen.arrived()
            }

            /// Three hops, with as many items on the way as there is room for.
            pub(in super::super) fn hops<T: Item>(
                name: &str,
                channel: impl Fn() -> ($tx, $rx) + Send + 'static,
            ) -> Subject {
                Subject::flow(name, move |items| {
                    let [(a, b), (c, d), (e, f)] = [(); 3].map(|()| channel());
                    async move {
                        tokio::spawn(source(a, items));
                        tokio::spawn(stage(b, c));
                        tokio::spawn(stage(d, e));
                        result(tokio::spawn(sink(f))).await
                    }
                })
            }

            /// Three hops, with one item on the way.
            pub(in super::super) fn lone<T: Item>(
                name: &str,
                channel: impl Fn() -> ($tx, $rx) + Send + 'static,
            ) -> Subject {
                Subject::flow(name, move |items| {
                    let [(a, b), (c, d), (e, f)] = [(); 3].map(|()| channel());
                    async move {
                        tokio::spawn(stage(b, c));
                        tokio::spawn(stage(d, e));
                        result(tokio::spawn(ping(a, f, items))).await
                    }
                })
            }
        }
    };
}

one_by_one!(ours, plimsoll_channel::Sender<T>, plimsoll_channel::Receiver<T>, send, recv, Some);
one_by_one!(mpsc, tokio::sync::mpsc::Sender<T>, tokio::sync::mpsc::Receiver<T>, send, recv, Some);
one_by_one!(kanal, kanal::AsyncSender<T>, kanal::AsyncReceiver<T>, send, recv, Ok);
one_by_one!(flume, flume::Sender<T>, flume::Receiver<T>, send_async, recv_async, Ok);
one_by_one!(async_channel, async_channel::Sender<T>, async_channel::Receiver<T>, send, recv, Ok);
one_by_one!(thingbuf, thingbuf::mpsc::Sender<T>, thingbuf::mpsc::Receiver<T>, send, recv, Some);
