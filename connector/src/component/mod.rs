//! The component: the library behind the interfaces of `wit/`, a module for each.

mod catalog;
mod delivery;
mod policy;
mod source;
mod subscription;

#[expect(unsafe_code, reason = "the bindings that wit-bindgen generates")]
mod bindings {
    wit_bindgen::generate!({ path: "../wit", world: "connector" });
    export!(Component with_types_in self);

    use super::Component;
}

struct Component;
