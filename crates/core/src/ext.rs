//! What people call on a gate.

use crate::{Admit, By, ByRef, Error, Gate, Named, Outcome, Permit, Rejected, Weigh, Weighted};
use std::{future::poll_fn, pin::pin};

/// The methods of every gate.
///
/// | | decides now | waits if the gate does |
/// |---|---|---|
/// | borrowed permit | [`try_admit`](Self::try_admit) | [`admit`](Self::admit) |
/// | `'static` permit | [`try_admit_owned`](Self::try_admit_owned) | [`admit_owned`](Self::admit_owned) |
/// | knowing the request | [`try_admit_for`](Self::try_admit_for) | [`admit_for`](Self::admit_for) |
/// | around a future | | [`run`](Self::run), [`run_for`](Self::run_for), [`run_with`](Self::run_with) |
///
/// The futures of `run` and its kin are `Send` when the work is, and serve a
/// `LocalSet` when it is not.
pub trait GateExt: Gate {
    /// Asks to start now.
    ///
    /// # Errors
    ///
    /// [`Rejected`] when the gate refuses.
    #[inline]
    fn try_admit(&self) -> Result<Permit<&Self>, Rejected>
    where
        Self: Admit,
    {
        self.try_admit_for(&())
    }

    /// Asks to start now, telling the gate about the work.
    ///
    /// # Errors
    ///
    /// [`Rejected`] when the gate refuses.
    #[inline]
    fn try_admit_for<C: ?Sized>(&self, cx: &C) -> Result<Permit<&Self>, Rejected>
    where
        Self: Admit<C>,
    {
        self.try_enter(cx).map(|ticket| Permit::new(self, ticket))
    }

    /// Asks to start now; the permit owns a clone of the handle, so it is
    /// `'static` where the handle is: call it on an `Arc` of a gate.
    ///
    /// # Errors
    ///
    /// [`Rejected`] when the gate refuses.
    #[inline]
    fn try_admit_owned(&self) -> Result<Permit<Self>, Rejected>
    where
        Self: Admit + Clone,
    {
        self.try_enter(&()).map(|ticket| Permit::new(self.clone(), ticket))
    }

    /// Asks to start, waiting if the gate lets work wait.
    ///
    /// # Errors
    ///
    /// [`Rejected`] when the gate refuses, at once or after waiting.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the future leaves no trace in the gate.
    #[inline]
    fn admit(&self) -> impl Future<Output = Result<Permit<&Self>, Rejected>> + Send
    where
        Self: Admit,
    {
        self.enter_as(&(), move |ticket| Permit::new(self, ticket))
    }

    /// Asks to start, telling the gate about the work, waiting if the gate lets
    /// work wait.
    ///
    /// # Errors
    ///
    /// [`Rejected`] when the gate refuses, at once or after waiting.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the future leaves no trace in the gate.
    #[inline]
    fn admit_for<'a, C: ?Sized + Sync>(
        &'a self,
        cx: &'a C,
    ) -> impl Future<Output = Result<Permit<&'a Self>, Rejected>> + Send + 'a
    where
        Self: Admit<C>,
    {
        self.enter_as(cx, move |ticket| Permit::new(self, ticket))
    }

    /// As [`admit`](Self::admit), with a permit that owns a clone of the
    /// handle: call it on an `Arc` of a gate.
    ///
    /// # Errors
    ///
    /// [`Rejected`] when the gate refuses, at once or after waiting.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the future leaves no trace in the gate.
    #[inline]
    fn admit_owned(&self) -> impl Future<Output = Result<Permit<Self>, Rejected>> + Send
    where
        Self: Admit + Clone,
    {
        self.enter_as(&(), move |ticket| Permit::new(self.clone(), ticket))
    }

    /// Runs `work` if it is admitted: `Ok` counts as a success, `Err` as a
    /// failure.
    ///
    /// Where `work` passes further gates, its error may itself be a refusal,
    /// and a full limit further in would count as a failure here and open a
    /// breaker. Use [`run_with`](Self::run_with) and
    /// [`verdict::of`](crate::verdict::of) there, or one tuple of gates.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] when the gate refuses, [`Error::Inner`] when the
    /// work fails.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it leaves no trace; dropped while the work runs,
    /// the gate hears [`Outcome::Ignored`]; a panic of the work counts as
    /// [`Outcome::Failure`].
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_core::{Error, GateExt, testing::Places};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let gate = Places::new(1);
    /// let answer = gate.run(async { Ok::<_, std::io::Error>(42) }).await;
    /// assert_eq!(answer.unwrap(), 42);
    ///
    /// let _held = gate.try_admit().unwrap();
    /// let answer = gate.run(async { Ok::<_, std::io::Error>(42) }).await;
    /// assert!(matches!(answer, Err(Error::Rejected(_))));
    /// # }
    /// ```
    fn run<T, E, F>(&self, work: F) -> impl Future<Output = Result<T, Error<E>>>
    where
        Self: Admit,
        F: Future<Output = Result<T, E>>,
    {
        run_judged(self, &(), work, ok_or_failure)
    }

    /// Runs `work` if it is admitted, telling the gate about it.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    ///
    /// # Cancel safety
    ///
    /// As [`run`](Self::run).
    fn run_for<C, T, E, F>(&self, cx: &C, work: F) -> impl Future<Output = Result<T, Error<E>>>
    where
        C: ?Sized + Sync,
        Self: Admit<C>,
        F: Future<Output = Result<T, E>>,
    {
        run_judged(self, cx, work, ok_or_failure)
    }

    /// Runs `work` if it is admitted; `judge` says what its result means.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    ///
    /// # Cancel safety
    ///
    /// As [`run`](Self::run).
    ///
    /// # Example
    ///
    /// A caller's mistake is no failure of the dependency:
    ///
    /// ```
    /// use plimsoll_core::{GateExt, Outcome, testing::Places};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let gate = Places::new(1);
    /// let not_found = async { Err::<(), u16>(404) };
    /// let answer = gate
    ///     .run_with(not_found, |result| match result {
    ///         Ok(_) => Outcome::Success,
    ///         Err(400..500) => Outcome::Ignored,
    ///         Err(_) => Outcome::Failure,
    ///     })
    ///     .await;
    /// assert!(answer.is_err());
    /// # }
    /// ```
    fn run_with<T, E, F, V>(&self, work: F, judge: V) -> impl Future<Output = Result<T, Error<E>>>
    where
        Self: Admit,
        F: Future<Output = Result<T, E>>,
        V: FnOnce(&Result<T, E>) -> Outcome,
    {
        run_judged(self, &(), work, judge)
    }

    /// Makes a gate over `P` a gate over whatever has a `P`, by value.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_core::{GateExt, Priority, testing::AtLeast};
    ///
    /// struct Request { priority: Priority }
    ///
    /// let gate = AtLeast(Priority::NORMAL).by(|request: &Request| request.priority);
    /// assert!(gate.try_admit_for(&Request { priority: Priority::HIGHEST }).is_ok());
    /// assert!(gate.try_admit_for(&Request { priority: Priority::LOWEST }).is_err());
    /// ```
    fn by<C: ?Sized, P, F>(self, part: F) -> By<Self, F>
    where
        Self: Admit<P> + Sized,
        F: Fn(&C) -> P + Send + Sync,
    {
        By::new(self, part)
    }

    /// Makes a gate over `P` a gate over whatever has a `P`, by reference.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_core::{Admit, Gate, GateExt, Outcome, Reason, Rejected};
    ///
    /// struct Request { tenant: String }
    /// struct NoGuests;
    /// impl Gate for NoGuests {
    ///     type Ticket = ();
    ///     fn leave(&self, _: (), _: Outcome) {}
    /// }
    /// impl Admit<str> for NoGuests {
    ///     fn try_enter(&self, tenant: &str) -> Result<(), Rejected> {
    ///         if tenant == "guest" { Err(Rejected::new(Reason::Closed, "no guests")) } else { Ok(()) }
    ///     }
    /// }
    ///
    /// let gate = NoGuests.by_ref(|request: &Request| request.tenant.as_str());
    /// assert!(gate.try_admit_for(&Request { tenant: "guest".into() }).is_err());
    /// ```
    fn by_ref<C: ?Sized, P: ?Sized, F>(self, part: F) -> ByRef<Self, F>
    where
        Self: Admit<P> + Sized,
        F: Fn(&C) -> &P + Send + Sync,
    {
        ByRef::new(self, part)
    }

    /// Makes each request count for its own weight.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_core::{GateExt, testing::Places};
    ///
    /// struct Upload { bytes: u64 }
    ///
    /// let gate = Places::new(1_000).weighted(|upload: &Upload| upload.bytes);
    /// let _first = gate.try_admit_for(&Upload { bytes: 800 })?;
    /// assert!(gate.try_admit_for(&Upload { bytes: 300 }).is_err());
    /// # Ok::<(), plimsoll_core::Rejected>(())
    /// ```
    fn weighted<C: ?Sized, F>(self, weight: F) -> Weighted<Self, F>
    where
        Self: Weigh + Sized,
        F: Fn(&C) -> u64 + Send + Sync,
    {
        Weighted::new(self, weight)
    }

    /// Gives the gate a name of its own, which its refusals then carry.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_core::{GateExt, testing::Places};
    ///
    /// let gate = (Places::new(1).named("tenant"), Places::new(0).named("global"));
    /// assert_eq!(gate.try_admit().unwrap_err().gate(), "global");
    /// ```
    fn named(self, name: &'static str) -> Named<Self>
    where
        Self: Sized,
    {
        Named::new(self, name)
    }
}

impl<G: Gate + ?Sized> GateExt for G {}

fn ok_or_failure<T, E>(result: &Result<T, E>) -> Outcome {
    if result.is_ok() { Outcome::Success } else { Outcome::Failure }
}

/// Admission and the first poll of the work happen in one poll, so there is no
/// moment in which a permit is held for work that never started.
async fn run_judged<G, C, T, E, F, V>(gate: &G, cx: &C, work: F, judge: V) -> Result<T, Error<E>>
where
    G: Admit<C> + ?Sized,
    C: ?Sized + Sync,
    F: Future<Output = Result<T, E>>,
    V: FnOnce(&Result<T, E>) -> Outcome,
{
    // Polled where it is made: to move what has just been written costs as much
    // as most gates do.
    let entered = {
        let mut entering = pin!(gate.enter(cx));
        poll_fn(|cx| entering.as_mut().poll(cx)).await
    };
    let mut permit = Permit::new(gate, entered.map_err(Error::Rejected)?);
    let result = work.await;
    permit.end(judge(&result));
    result.map_err(Error::Inner)
}
