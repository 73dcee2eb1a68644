//! Loom models of the ring alone, all searched whole.

use super::{Bucket, CALL, FAILURE, Ring, TOP, add, read, sum};
use crate::models::whole;
use loom::{sync::Arc, thread};

/// One adds to a bucket at the end of its time while another begins the
/// same slot a lap later, and a third reads. The late one counts for its own
/// bucket or not at all; the new bucket holds what was added to it, exactly. Turns
/// red when `add_to_own` does not take out what it added to a stranger, and when
/// `is_before` is not asked.
#[test]
fn a_late_addition_to_the_ring_neither_wipes_nor_joins_the_next_lap() {
    whole(|| {
        let ring = Arc::new(Ring::default());
        let old = Bucket { generation: 0, epoch: 2 };
        let new = Bucket { generation: 0, epoch: 4 };
        add(&ring, None, old, CALL, || true);
        let add = |bucket, one| {
            let ring = Arc::clone(&ring);
            thread::spawn(move || add(&ring, None, bucket, one, || true))
        };
        let (late, early) = (add(old, CALL + FAILURE), add(new, CALL));
        let (calls, failures) = read(&ring, old);
        assert!((failures, calls) <= (1, 2));
        late.join().unwrap();
        assert!(early.join().unwrap());
        assert_eq!(read(&ring, new), (1, 0));
    });
}

/// Two add to a new bucket at once: one begins it, and neither is lost. Turns red
/// when `begin` stores in place of the exchange.
#[test]
fn two_that_begin_a_bucket_are_both_in_it() {
    whole(|| {
        let ring = Arc::new(Ring::default());
        let (old, new) = (Bucket { generation: 0, epoch: 1 }, Bucket { generation: 1, epoch: 3 });
        add(&ring, None, old, CALL + FAILURE, || true);
        let add = |one| {
            let ring = Arc::clone(&ring);
            thread::spawn(move || add(&ring, None, new, one, || true))
        };
        let (one, other) = (add(CALL + FAILURE), add(CALL));
        one.join().unwrap();
        other.join().unwrap();
        assert_eq!(sum(&ring, new), (2, 1));
    });
}

/// Two add to a bucket that is full: it is halved once, and both are in it. Turns red
/// when `halve` stores in place of the exchange (one is lost), when it reads the slot
/// anew for it (it is halved twice), and when nobody calls it.
#[test]
fn a_full_bucket_is_halved_once_and_loses_nobody_who_comes_meanwhile() {
    whole(|| {
        let ring = Arc::new(Ring::default());
        let bucket = Bucket { generation: 1, epoch: 3 };
        (0..TOP).for_each(|_| assert!(add(&ring, None, bucket, CALL, || true)));
        let adds = || {
            let ring = Arc::clone(&ring);
            thread::spawn(move || add(&ring, None, bucket, CALL + FAILURE, || true))
        };
        let (one, other) = (adds(), adds());
        assert!(one.join().unwrap() && other.join().unwrap());
        assert_eq!(read(&ring, bucket), (TOP / 2 + 2, 2));
    });
}

/// The same where all but one were slow, which is counted beside, and those who come
/// are: halved before them or between them, it comes to three. Turns red when `halve`
/// stores there in place of the exchange, when whoever was slower halves there too, and
/// when nobody does.
#[test]
fn a_full_bucket_is_halved_beside_as_well_and_loses_nobody_there() {
    whole(|| {
        let (ring, beside) = (Arc::new(Ring::default()), Arc::new(Ring::default()));
        let bucket = Bucket { generation: 1, epoch: 3 };
        (0..TOP).for_each(|_| assert!(add(&ring, None, bucket, CALL, || true)));
        (1..TOP).for_each(|_| assert!(add(&beside, None, bucket, CALL, || true)));
        let adds = || {
            let (ring, beside) = (Arc::clone(&ring), Arc::clone(&beside));
            thread::spawn(move || {
                add(&ring, Some(&beside), bucket, CALL, || true)
                    && add(&beside, None, bucket, CALL, || true)
            })
        };
        let (one, other) = (adds(), adds());
        assert!(one.join().unwrap() && other.join().unwrap());
        assert_eq!((read(&ring, bucket).0, read(&beside, bucket).0), (TOP / 2 + 2, 3));
    });
}
