use super::*;
use crate::{catalogue::Product, database::Database};

fn store() -> Store {
    let database = Database::temporary().unwrap();
    let lamp = Product {
        name: "lamp".into(),
        version: "1.0.0".into(),
        description: None,
        keywords: vec![],
        categories: vec![],
        licence: None,
        dependencies: vec![],
        repository: None,
    };
    database.fill(&[lamp]).unwrap();
    Store::open(database, 1, 1).unwrap()
}

fn order(product: i64) -> Order {
    Order { product, quantity: 1, note: None }
}

fn count(store: &Store) -> i64 {
    let connection = store.connect().unwrap();
    connection.query_row("SELECT count(*) FROM orders", [], |row| row.get(0)).unwrap()
}

#[test]
fn an_order_of_nothing_fails_alone_and_the_rest_of_its_transaction_is_written() {
    let store = store();
    let mut connection = connect(&store).unwrap();
    let results = write(&mut connection, &[order(1), order(99), order(1)]);
    let ids: Vec<_> = results.iter().filter_map(|it| it.as_ref().ok().copied()).collect();
    assert_eq!(ids, [1, 2]);
    assert!(matches!(results[1], Err(OrderError::NoSuchProduct(99))));
    assert_eq!(count(&store), 2);
}

#[test]
fn any_other_error_writes_none_and_is_told_to_all() {
    let store = store();
    let mut connection = connect(&store).unwrap();
    // What only the database forbids.
    let vast = Order { quantity: MAX_QUANTITY + 1, ..order(1) };
    let results = write(&mut connection, &[order(1), vast, order(1)]);
    assert!(results.iter().all(|it| matches!(it, Err(OrderError::Sqlite(_)))), "{results:?}");
    assert_eq!(count(&store), 0);
    assert!(write(&mut connection, &[order(1)])[0].is_ok(), "the connection lives");
}

#[test]
fn a_commit_is_on_the_disk_when_it_returns() {
    let connection = connect(&store()).unwrap();
    let get = |name| {
        let value = connection
            .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
        value.unwrap()
    };
    assert_eq!(get("journal_mode"), rusqlite::types::Value::Text("wal".into()));
    assert_eq!(get("synchronous"), rusqlite::types::Value::Integer(2)); // FULL
}

#[tokio::test]
async fn what_was_accepted_is_written_though_its_caller_went_away() {
    let store = store();
    for orders in [Orders::together(&store).unwrap(), Orders::one_by_one(&store).unwrap()] {
        let before = count(&store);
        for _ in 0..10 {
            let placing = orders.place(order(1));
            let mut placing = std::pin::pin!(placing);
            let once = std::future::poll_fn(|cx| {
                let _ = placing.as_mut().poll(cx);
                std::task::Poll::Ready(())
            });
            once.await;
        }
        let _ = orders.place(order(1)).await.unwrap();
        orders.close().await.unwrap();
        let written = count(&store) - before;
        // One by one, those in line had not begun.
        assert!((2..=11).contains(&written), "{written}");
        if let Some(stats) = orders.stats() {
            assert_eq!((written, stats.items()), (11, 11));
        }
        assert!(matches!(orders.place(order(1)).await, Err(OrderError::Busy)));
    }
    store.close().await;
}
