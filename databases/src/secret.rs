//! Passwords, and the list of columns whose values are never shown.

use std::fmt;

/// A password. It prints as stars, whatever prints it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Takes a password.
    pub fn new(password: impl Into<String>) -> Self {
        Secret(password.into())
    }

    /// The password itself, for the driver only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Columns whose values are never shown, whatever is asked for.
const SECRET_COLUMNS: &[&str] = &[
    "storedpassword",
    "privatekey",
    "password",
    "dummypwd",
    "emailpassword",
    "apikey",
    "api_key",
    "secret",
    "token",
    "imuser",
    "impassword",
    "ftppassword",
    "smspassword",
    "smsapikey",
];

/// Whether a column holds a secret: it is on the list, or its name says so.
pub fn is_secret_column(column: &str) -> bool {
    let column = column.to_lowercase();
    SECRET_COLUMNS.contains(&column.as_str())
        || column.ends_with("password")
        || column.ends_with("pwd")
        || column.ends_with("passwd")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_stars() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "***");
        assert!(is_secret_column("StoredPassword") && is_secret_column("APIKey") && !is_secret_column("CHFID"));
    }
}
