//! The interfaces of `wit/` as Rust types, generated at compile time.
//!
//! These types cross the border of the sandbox. `convert` makes the checked types of this crate of them.

mod generated {
    // `PartialOrd`, `Ord` and `Hash` are for the types that are part of the public API.
    wasmtime::component::bindgen!({
        path: "wit",
        world: "connector",
        additional_derives: [PartialEq, Eq, PartialOrd, Ord, Hash],
    });
}

pub(crate) use generated::exports::cprflow::connector::{catalog, delivery, source, subscription};
pub(crate) use generated::{Connector, ConnectorPre};
