//! A peer whose channel has a call for batches.

use super::{Item, Seen, one_by_one::result};
use crate::rounds::Subject;

/// tokio's channel with what its receiver offers for batches; it has nothing of
/// the kind for its sender.
pub(super) fn recv_many<T: Item>(name: &str, capacity: usize) -> Subject {
    use tokio::sync::mpsc::{Receiver, Sender, channel};
    const MOST: usize = 64;
    async fn stage<T: Item>(mut rx: Receiver<T>, tx: Sender<T>) {
        let mut items = Vec::with_capacity(MOST);
        while rx.recv_many(&mut items, MOST).await > 0 {
            for item in items.drain(..) {
                if tx.send(item.changed()).await.is_err() {
                    return;
                }
            }
        }
    }
    async fn sink<T: Item>(mut rx: Receiver<T>) -> u64 {
        let (mut items, mut seen) = (Vec::with_capacity(MOST), Seen::default());
        while rx.recv_many(&mut items, MOST).await > 0 {
            items.drain(..).for_each(|item| seen.add(&item));
        }
        seen.arrived()
    }
    Subject::flow(name, move |items| async move {
        let [(a, b), (c, d), (e, f)] = [(); 3].map(|()| channel::<T>(capacity));
        tokio::spawn(async move {
            for n in 0..items {
                if a.send(T::new(n)).await.is_err() {
                    return;
                }
            }
        });
        tokio::spawn(stage(b, c));
        tokio::spawn(stage(d, e));
        result(tokio::spawn(sink(f))).await
    })
}
