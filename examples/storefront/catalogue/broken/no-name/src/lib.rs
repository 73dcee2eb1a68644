//! A page of a package that has no product.
