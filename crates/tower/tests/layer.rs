//! What `GateLayer` promises, at once and waiting.

#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

mod support;

use plimsoll_core::{
    AnyGate, AsRejected, Error, GateExt, Outcome, Priority, Reason, Rejected,
    testing::{AtLeast, Places},
    verdict,
};
use plimsoll_tower::{BoxError, GateLayer, into_box_error};
use std::{
    future::{pending, ready as now},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};
use support::{Recorder, poll, ready, strict};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

type Answer = Result<u32, io::Error>;

async fn double(n: u32) -> Answer {
    Ok(n * 2)
}

async fn fail(_: u32) -> Answer {
    Err(io::Error::other("down"))
}

#[tokio::test]
async fn results_are_judged_ok_success_and_err_failure() {
    let (gate, heard) = Recorder::new(Places::new(1));
    let layer = GateLayer::of(gate);
    let ok = layer.layer(service_fn(double)).oneshot(2).await;
    assert_eq!(ok.unwrap(), 4);
    let error = layer.layer(service_fn(fail)).oneshot(2).await.unwrap_err();
    assert!(matches!(error, Error::Inner(_)));
    assert_eq!(heard.take(), [Outcome::Success, Outcome::Failure]);
}

#[tokio::test]
async fn a_refusal_is_an_error_and_the_service_is_not_called() {
    let called = |_: u32| -> std::future::Ready<Answer> { unreachable!("it was refused") };
    for wait in [false, true] {
        let gate = GateLayer::new(Places::new(0));
        let result = if wait {
            gate.wait().layer(service_fn(called)).oneshot(1).await
        } else {
            gate.layer(service_fn(called)).oneshot(1).await
        };
        let refusal = *result.unwrap_err().rejected().unwrap();
        assert_eq!((refusal.gate(), refusal.reason()), ("places", Reason::Concurrency));
    }
}

#[tokio::test]
async fn the_gate_decides_about_the_request_whatever_its_type() {
    struct Request {
        priority: Priority,
    }
    let gate = AtLeast(Priority::NORMAL).by(|request: &Request| request.priority);
    let served = service_fn(async |_: Request| Ok::<_, io::Error>("served"));
    let service = GateLayer::leaked(gate).layer(served);
    assert!(service.clone().oneshot(Request { priority: Priority::HIGHEST }).await.is_ok());
    assert!(service.oneshot(Request { priority: Priority::LOWEST }).await.is_err());
}

#[tokio::test]
async fn any_cheap_handle_serves() {
    let shared = Arc::new(Places::new(1));
    let held = shared.try_admit().unwrap();
    let service = GateLayer::of(Arc::clone(&shared)).layer(service_fn(double));
    assert!(service.clone().oneshot(1).await.is_err(), "the place is taken elsewhere");
    drop(held);
    assert!(service.oneshot(1).await.is_ok());
    let erased = GateLayer::of(AnyGate::<u32>::new(shared)).layer(service_fn(double));
    assert!(erased.oneshot(1).await.is_ok());
}

#[test]
fn dropped_before_its_first_poll_work_was_never_started() {
    let (gate, heard) = Recorder::new(Places::new(1));
    let mut service = GateLayer::of(gate.clone()).layer(service_fn(double));
    drop(ready(&mut service).call(1));
    assert_eq!(heard.take(), [Outcome::Unused]);
    let mut service = GateLayer::of(gate).wait().layer(service_fn(double));
    drop(ready(&mut service).call(1));
    assert_eq!(heard.take(), [Outcome::Unused]);
}

#[test]
fn dropped_while_it_runs_work_tells_nothing() {
    let (gate, heard) = Recorder::new(Places::new(1));
    let mut service = GateLayer::of(gate).layer(service_fn(|_: u32| pending::<Answer>()));
    {
        let mut answer = pin!(ready(&mut service).call(1));
        assert!(poll(answer.as_mut()).is_pending());
    }
    assert_eq!(heard.take(), [Outcome::Ignored]);
}

/// Caught outside the future, as a server does that outlives its handlers.
fn panics<F: Future>(future: F) -> bool {
    let mut future = Box::pin(future);
    catch_unwind(AssertUnwindSafe(|| poll(future.as_mut()).is_ready())).is_err()
}

#[test]
fn a_panic_of_the_work_is_a_failure_though_it_is_caught_further_out() {
    let (gate, heard) = Recorder::new(Places::new(1));
    let broken = service_fn(async |_: u32| -> Answer { panic!("in the future") });
    let mut service = GateLayer::of(gate.clone()).layer(broken);
    assert!(panics(ready(&mut service).call(1)));
    let mut service = GateLayer::of(gate).wait().layer(broken);
    assert!(panics(ready(&mut service).call(1)));
    assert_eq!(heard.take(), [Outcome::Failure, Outcome::Failure]);
}

#[test]
fn a_panic_in_the_services_call_is_a_failure_and_keeps_no_place() {
    let (gate, heard) = Recorder::new(Places::new(1).waiting());
    let broken = |_: u32| -> std::future::Ready<Answer> { panic!("in call") };
    let mut service = GateLayer::of(gate.clone()).layer(service_fn(broken));
    assert!(catch_unwind(AssertUnwindSafe(|| drop(service.call(1)))).is_err());
    assert_eq!(heard.take(), [Outcome::Failure]);

    let held = gate.try_admit().unwrap();
    let mut service = GateLayer::of(gate.clone()).wait().layer(service_fn(broken));
    let mut waiting = Box::pin(service.call(1));
    assert!(poll(waiting.as_mut()).is_pending());
    drop(held);
    assert!(catch_unwind(AssertUnwindSafe(|| poll(waiting.as_mut()).is_ready())).is_err());
    assert_eq!(heard.take(), [Outcome::Ignored, Outcome::Failure]);
    assert_eq!(gate.places.used(), 0);
}

#[test]
fn the_place_is_free_as_soon_as_the_answer_is_there() {
    let (gate, _) = Recorder::new(Places::new(1));
    let mut service = GateLayer::of(gate.clone()).layer(service_fn(|n: u32| now(Answer::Ok(n))));
    let mut answer = pin!(ready(&mut service).call(1));
    assert!(poll(answer.as_mut()).is_ready());
    assert_eq!(gate.places.used(), 0, "though the future is still there");
}

#[test]
fn the_services_readiness_is_forwarded_and_takes_nothing_from_the_gate() {
    #[derive(Clone)]
    struct Busy;
    impl Service<u32> for Busy {
        type Response = u32;
        type Error = io::Error;
        type Future = std::future::Ready<Answer>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
            Poll::Pending
        }
        fn call(&mut self, n: u32) -> Self::Future {
            now(Ok(n))
        }
    }
    let (gate, heard) = Recorder::new(Places::new(1));
    let mut cx = Context::from_waker(Waker::noop());
    let mut at_once = GateLayer::of(gate.clone()).layer(Busy);
    assert!(Service::<u32>::poll_ready(&mut at_once, &mut cx).is_pending());
    let mut waiting = GateLayer::of(gate.clone()).wait().layer(Busy);
    assert!(Service::<u32>::poll_ready(&mut waiting, &mut cx).is_pending());
    assert_eq!((heard.take().len(), gate.refusals()), (0, 0), "it was not even asked");
}

#[tokio::test]
async fn the_clone_that_was_made_ready_is_the_one_that_is_called() {
    let (gate, _) = Recorder::new(Places::new(1).waiting());
    let mut at_once = GateLayer::of(gate.clone()).layer(strict(double));
    assert_eq!(ready(&mut at_once).call(1).await.unwrap(), 2);

    let mut service = GateLayer::of(gate.clone()).wait().layer(strict(double));
    let held = gate.try_admit().unwrap();
    let mut first = pin!(ready(&mut service).call(1));
    let mut second = pin!(ready(&mut service).call(2));
    assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
    drop(held);
    assert_eq!(first.await.unwrap(), 2);
    assert_eq!(second.await.unwrap(), 4);
}

#[test]
fn a_request_waits_without_a_refusal_and_goes_in_order() {
    let (gate, heard) = Recorder::new(Places::new(1).waiting());
    let mut service = GateLayer::of(gate.clone()).wait().layer(service_fn(double));
    let held = gate.try_admit().unwrap();
    let mut first = pin!(ready(&mut service).call(1));
    assert!(poll(first.as_mut()).is_pending());
    let mut second = pin!(ready(&mut service).call(2));
    assert!(poll(second.as_mut()).is_pending());
    drop(held);
    assert!(poll(second.as_mut()).is_pending(), "the first goes first");
    assert!(matches!(poll(first.as_mut()), Poll::Ready(Ok(2))));
    assert!(matches!(poll(second.as_mut()), Poll::Ready(Ok(4))));
    assert_eq!(gate.refusals(), 0);
    assert_eq!(heard.take(), [Outcome::Ignored, Outcome::Success, Outcome::Success]);
}

#[test]
fn a_wait_that_is_dropped_leaves_no_trace() {
    let (gate, heard) = Recorder::new(Places::new(1).waiting());
    let mut service = GateLayer::of(gate.clone()).wait().layer(service_fn(double));
    let held = gate.try_admit().unwrap();
    for polls in 0..3 {
        let mut waiting = Box::pin(ready(&mut service).call(1));
        for _ in 0..polls {
            assert!(poll(waiting.as_mut()).is_pending());
        }
    }
    held.finish(Outcome::Success);
    assert_eq!(heard.take(), [Outcome::Success]);
    assert_eq!((gate.places.used(), gate.refusals()), (0, 0));
    assert!(gate.try_admit().is_ok(), "nobody is in line");
}

#[tokio::test]
async fn a_refusal_further_in_counts_as_a_failure_unless_it_is_judged() {
    let (gate, heard) = Recorder::new(Places::new(8));
    let inner = || GateLayer::new(Places::new(0)).layer(service_fn(double));
    let plain = GateLayer::of(gate.clone()).layer(inner());
    assert!(plain.oneshot(1).await.is_err());
    let judged = GateLayer::of(gate.clone()).judged_by(verdict::of).layer(inner());
    assert!(judged.oneshot(1).await.unwrap_err().as_rejected().is_some());
    let judged = GateLayer::of(gate).wait().judged_by(verdict::of).layer(inner());
    assert!(judged.oneshot(1).await.is_err());
    assert_eq!(heard.take(), [Outcome::Failure, Outcome::Ignored, Outcome::Ignored]);
}

#[tokio::test]
async fn a_judge_of_ones_own_decides() {
    let (gate, heard) = Recorder::new(Places::new(1));
    let judge = |result: &Answer| match result {
        Err(error) if error.kind() == io::ErrorKind::Other => Outcome::Ignored,
        _ => Outcome::Success,
    };
    let service = GateLayer::of(gate).judged_by(judge).layer(service_fn(fail));
    assert!(service.oneshot(1).await.is_err());
    assert_eq!(heard.take(), [Outcome::Ignored]);
}

#[test]
fn boxed_errors_stay_boxed_and_refusals_are_found_in_them() {
    let refusal = Rejected::new(Reason::Rate, "bucket");
    let boxed: BoxError = into_box_error(Error::Rejected(refusal));
    assert_eq!(Rejected::find(&*boxed), Some(refusal));
    let inner: BoxError = "down".into();
    assert_eq!(into_box_error(Error::Inner(inner)).to_string(), "down");
}

#[tokio::test]
async fn it_stands_between_the_layers_of_tower() {
    let mut service = ServiceBuilder::new()
        .timeout(std::time::Duration::from_secs(1))
        .layer(GateLayer::new(Places::new(2)))
        .concurrency_limit(1)
        .service(service_fn(double));
    let first = service.ready().await.unwrap().call(1);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_pending(), "tower's limit is not an overload");
    assert_eq!(first.await.unwrap(), 2);
    assert_eq!(service.ready().await.unwrap().call(2).await.unwrap(), 4);
}

#[test]
fn futures_are_send_where_their_parts_are() {
    fn is_send<T: Send>(_: &T) {}
    let mut service = GateLayer::new(Places::new(1)).layer(service_fn(double));
    is_send(&service.call(1));
    let mut service = GateLayer::new(Places::new(1)).wait().layer(service_fn(double));
    is_send(&service.call(1));
}
