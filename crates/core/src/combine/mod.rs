//! Gates made of gates. Each forwards `enter` as well as `try_enter`.

mod any;
mod by;
mod handle;
mod named;
mod tuple;
mod weighted;

pub use self::{
    any::AnyGate,
    by::{By, ByRef},
    named::Named,
    weighted::Weighted,
};
