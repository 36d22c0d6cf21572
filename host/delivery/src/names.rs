//! Names of agreements, tenants and environments.

use std::fmt;

/// The name of an agreement in the configuration. It becomes a directory of the dataset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgreementName(String);

impl AgreementName {
    /// Returns `default`, the name of the agreement of a run without a configuration file.
    pub fn default_name() -> Self {
        Self("default".to_owned())
    }

    /// Checks a name. Returns `None` unless it has 1 to 64 characters, all of them small letters, digits, `-` or `_`.
    pub fn new(name: &str) -> Option<Self> {
        let is_plain =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        let is_name = (1..=64).contains(&name.len()) && name.chars().all(is_plain);
        is_name.then(|| Self(name.to_owned()))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AgreementName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The environment of Serviceplatformen for which an agreement is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Environment {
    /// The test environment (exttest). It sends no initial loads.
    Test,
    /// Production, with data of real persons.
    Production,
}

impl Environment {
    /// Returns the name in the configuration: `test` or `production`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Production => "production",
        }
    }
}

/// The name of a tenant in the configuration. It becomes a directory of the state, and is written to logs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantName(AgreementName);

impl TenantName {
    /// Checks a name. Returns `None` unless it has 1 to 64 characters, all of them small letters, digits, `-` or `_`.
    pub fn new(name: &str) -> Option<Self> {
        AgreementName::new(name).map(Self)
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_names_are_safe_directory_names() {
        for good in ["default", "0265-roskilde", "a", "a_b"] {
            assert_eq!(AgreementName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "..", "A", "a/b", "a b", "å", "a=b", &"a".repeat(65)] {
            assert!(AgreementName::new(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn tenant_names_are_safe_directory_names() {
        assert_eq!(
            TenantName::new("social-0265").unwrap().as_str(),
            "social-0265"
        );
        for bad in ["", "..", "a/b", "A", "å"] {
            assert!(TenantName::new(bad).is_none(), "{bad}");
        }
    }
}
