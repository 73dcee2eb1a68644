//! What gates are tested with: a conformance suite and two plain gates.
//!
//! [`Conformance`] holds any gate, yours included, to what the traits promise.
//! Every gate of the workspace passes it.
//!
//! # Example
//!
//! ```
//! use plimsoll_core::testing::{Conformance, Places};
//!
//! Conformance::new("places", |_clock| Places::new(3)).capacity(3).holds().check();
//! ```

mod conformance;
mod gates;

pub use self::{
    conformance::Conformance,
    gates::{AtLeast, Places},
};
