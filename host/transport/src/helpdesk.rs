//! The address of the platform's helpdesk.

/// The address of the helpdesk of Serviceplatformen, which texts name wherever they say to ask it.
pub const HELPDESK: &str = "helpdesk@serviceplatformen.dk";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_glossary_has_the_address() {
        let glossary = include_str!("../../../docs/glossary.md");
        assert!(glossary.contains(HELPDESK));
    }
}
