//! The stages that a pipeline can have.

use crate::{
    Pipeline,
    batched::Batches,
    error::BoxError,
    flow::{Flow, Settings, Step},
    function::{Async, Blocking, Keep, Look, Plain, Sure},
    policy::Stop,
    retry::Once,
    shape::{Maybe, One, Several},
    split::{Merge, Split},
    work::Stage,
};
use plimsoll_core::ConfigError;
use std::{hash::Hash, marker::PhantomData, sync::Arc, thread, time::Duration};

/// A stage behind another part. Before anything is set for it, its first error
/// stops the run, and nothing is tried again.
pub(crate) type Staged<P, F, S, O = Stop, R = Once> = Step<P, Stage<F, S, O, R>>;

/// # Stages
impl<L: Flow> Pipeline<L> {
    /// A stage that calls an async function for each item.
    pub fn stage<F, Fut, U, E>(
        self,
        name: impl Into<Arc<str>>,
        function: F,
    ) -> Pipeline<Staged<L, Async<F>, One>>
    where
        F: Fn(L::Item) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<U, E>> + Send,
        U: Send + 'static,
        E: Into<BoxError> + Send,
    {
        self.step(name, Async(function))
    }

    /// A stage that calls a plain function for each item, one that neither
    /// blocks nor computes for long: see [`blocking`](Self::blocking).
    pub fn stage_sync<F, U, E>(
        self,
        name: impl Into<Arc<str>>,
        function: F,
    ) -> Pipeline<Staged<L, Plain<F>, One>>
    where
        F: Fn(L::Item) -> Result<U, E> + Send + Sync + 'static,
        U: Send + 'static,
        E: Into<BoxError> + Send,
    {
        self.step(name, Plain(function))
    }

    /// A stage that calls a plain function for each item on tokio's threads for
    /// blocking work: for files, and for what computes for longer than some
    /// tens of microseconds (the way to such a thread and back costs several).
    ///
    /// One that gives `()` is a sink.
    ///
    /// As many calls at once as the machine has processors, unless
    /// [`workers`](Pipeline::workers) says otherwise. A call that has begun
    /// cannot be cut off: it ends in the background, and its result is dropped.
    /// One that waits for a thread never begins then.
    pub fn blocking<F, U, E>(
        self,
        name: impl Into<Arc<str>>,
        function: F,
    ) -> Pipeline<Staged<L, Blocking<F>, One>>
    where
        F: Fn(L::Item) -> Result<U, E> + Send + Sync + 'static,
        U: Send + 'static,
        E: Into<BoxError> + Send + 'static,
    {
        let mut new = self.step(name, Blocking(Arc::new(function)));
        new.last.settings.workers = thread::available_parallelism().map_or(1, usize::from);
        new
    }

    /// A stage that calls a plain function that cannot fail:
    /// [`stage_sync`](Self::stage_sync) without `Ok`.
    pub fn map<F, U>(
        self,
        name: impl Into<Arc<str>>,
        function: F,
    ) -> Pipeline<Staged<L, Sure<F>, One>>
    where
        F: Fn(L::Item) -> U + Send + Sync + 'static,
        U: Send + 'static,
    {
        self.step(name, Sure(function))
    }

    /// A stage that leaves out the items for which its function says no.
    pub fn filter<F>(
        self,
        name: impl Into<Arc<str>>,
        keep: F,
    ) -> Pipeline<Staged<L, Keep<F>, Maybe>>
    where
        F: Fn(&L::Item) -> bool + Send + Sync + 'static,
    {
        self.step(name, Keep(keep))
    }

    /// A stage that leaves out the items for which its function gives `None`.
    pub fn filter_map<F, U, E>(
        self,
        name: impl Into<Arc<str>>,
        function: F,
    ) -> Pipeline<Staged<L, Plain<F>, Maybe>>
    where
        F: Fn(L::Item) -> Result<Option<U>, E> + Send + Sync + 'static,
        U: Send + 'static,
        E: Into<BoxError> + Send,
    {
        self.step(name, Plain(function))
    }

    /// A stage that makes any number of items of one. They are taken from what
    /// the function gives as there is room for them, and go on while the rest is
    /// made: an endless iterator is no trouble.
    ///
    /// The source item ends with the last of them.
    pub fn flat_map<F, G, E>(
        self,
        name: impl Into<Arc<str>>,
        function: F,
    ) -> Pipeline<Staged<L, Plain<F>, Several>>
    where
        F: Fn(L::Item) -> Result<G, E> + Send + Sync + 'static,
        G: IntoIterator<Item: Send + 'static, IntoIter: Send> + Send,
        E: Into<BoxError> + Send,
    {
        self.step(name, Plain(function))
    }

    /// A stage that looks at each item. Next to another stage it need not have a
    /// task of its own: see [`fuse`](Pipeline::fuse).
    pub fn inspect<F>(self, name: impl Into<Arc<str>>, look: F) -> Pipeline<Staged<L, Look<F>, One>>
    where
        F: Fn(&L::Item) + Send + Sync + 'static,
    {
        self.step(name, Look(look))
    }

    /// The last stage: an async function that puts each item where it belongs.
    /// It is a [`stage`](Self::stage) that gives nothing, with all that can be set
    /// for one; an item is written when it returns `Ok`.
    pub fn sink<F, Fut, E>(
        self,
        name: impl Into<Arc<str>>,
        function: F,
    ) -> Pipeline<Staged<L, Async<F>, One>>
    where
        F: Fn(L::Item) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send,
        E: Into<BoxError> + Send,
    {
        self.step(name, Async(function))
    }

    /// [`sink`](Self::sink) with a plain function.
    pub fn sink_sync<F, E>(
        self,
        name: impl Into<Arc<str>>,
        function: F,
    ) -> Pipeline<Staged<L, Plain<F>, One>>
    where
        F: Fn(L::Item) -> Result<(), E> + Send + Sync + 'static,
        E: Into<BoxError> + Send,
    {
        self.step(name, Plain(function))
    }

    fn step<F, S>(self, name: impl Into<Arc<str>>, function: F) -> Pipeline<Staged<L, F, S>> {
        let name = name.into();
        let work = Stage { name, function, shape: PhantomData, on_error: Stop, attempts: Once };
        self.with_last(|before| Step { before, work, settings: Settings::new() })
    }

    /// Items in groups of at most `size`, each emitted when it is full, when its
    /// first item has waited for `linger`, or when there are no more.
    ///
    /// The items of a group end together, as it ends.
    ///
    /// # Panics
    ///
    /// When `size` is 0; [`try_batched`](Self::try_batched) returns the error.
    #[track_caller]
    pub fn batched(self, size: usize, linger: Duration) -> Pipeline<Batches<L>> {
        match self.try_batched(size, linger) {
            Ok(pipeline) => pipeline,
            Err(error) => error.panic(),
        }
    }

    /// [`batched`](Self::batched), for a size that comes from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `size` is 0.
    pub fn try_batched(
        self,
        size: usize,
        linger: Duration,
    ) -> Result<Pipeline<Batches<L>>, ConfigError> {
        let size = at_least_one("size", size)?;
        let settings = Settings::new();
        Ok(self.with_last(|before| Batches { before, size, linger, settings }))
    }

    /// Lanes side by side: every stage behind this stands in each of them, with
    /// its own workers and queues. Items for which `key` gives the same take the
    /// same lane, and so keep their order where each stage in it does.
    ///
    /// Lanes end in the sink, or in [`merge`](Self::merge). A lane that is full
    /// holds up the items behind it for the others too.
    ///
    /// # Panics
    ///
    /// When `lanes` is not 1 to 4,096; [`try_split`](Self::try_split) returns the error.
    #[track_caller]
    pub fn split<K: Hash + 'static, F>(self, lanes: usize, key: F) -> Pipeline<Split<L, F>>
    where
        F: Fn(&L::Item) -> K + Send + Sync + 'static,
    {
        match self.try_split(lanes, key) {
            Ok(pipeline) => pipeline,
            Err(error) => error.panic(),
        }
    }

    /// [`split`](Self::split), for a number that comes from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `lanes` is not 1 to 4,096.
    pub fn try_split<K: Hash + 'static, F>(
        self,
        lanes: usize,
        key: F,
    ) -> Result<Pipeline<Split<L, F>>, ConfigError>
    where
        F: Fn(&L::Item) -> K + Send + Sync + 'static,
    {
        if !(1..=4_096).contains(&lanes) {
            return Err(ConfigError::new("lanes", lanes, "1 to 4096"));
        }
        let settings = Settings::new();
        Ok(self.with_last(|before| Split { before, lanes, key, settings }))
    }

    /// The items of another pipeline among those of this one, as they come. They
    /// run as one: what was set around the other's run counts no more, and its
    /// handles tell nothing. If a stage of one fails, the source of the other
    /// stops too, and what is inside there is finished.
    pub fn merge_with<B>(self, other: Pipeline<B>) -> Pipeline<Merge<L, B>>
    where
        B: Flow<Item = L::Item, Mark = L::Mark>,
    {
        let settings = Settings::new();
        let Pipeline { last: other, life, .. } = other;
        self.life.0.expect_also(life.0.expected());
        self.with_last(|one| Merge { one, other, settings })
    }

    /// Ends the lanes of a [`split`](Self::split): what comes behind stands there
    /// once, and takes what comes out of them as it comes.
    pub fn merge(mut self) -> Self {
        self.last.settings().merged = true;
        self
    }

    /// How many finished items may wait behind this part for the next, from 1.
    /// The default is 256.
    ///
    /// # Panics
    ///
    /// When `n` is 0; [`try_buffer`](Self::try_buffer) returns the error.
    #[track_caller]
    pub fn buffer(self, n: usize) -> Self {
        match self.try_buffer(n) {
            Ok(pipeline) => pipeline,
            Err(error) => error.panic(),
        }
    }

    /// [`buffer`](Self::buffer), for a number that comes from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `n` is 0.
    pub fn try_buffer(mut self, n: usize) -> Result<Self, ConfigError> {
        self.last.settings().buffer = at_least_one("buffer", n)?;
        Ok(self)
    }
}

fn at_least_one(field: &'static str, n: usize) -> Result<usize, ConfigError> {
    if n == 0 { Err(ConfigError::new(field, n, "at least 1")) } else { Ok(n) }
}
