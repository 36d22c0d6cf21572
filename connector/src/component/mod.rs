//! The WASI component: implements the interfaces of `wit/`, one module for each.

mod catalog;
mod delivery;
mod policy;
mod source;
mod subscription;

#[expect(unsafe_code, reason = "wit-bindgen generates the bindings")]
mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "connector" });
    export!(Component with_types_in self);

    use super::Component;
}

struct Component;
