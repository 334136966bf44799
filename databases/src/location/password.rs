//! Where a password comes from when the address has none: the environment, and PostgreSQL's own password file.

use std::path::{Path, PathBuf};

use super::{Location, MssqlAddress, PostgresAddress};
use crate::secret::Secret;

/// Looks up an environment variable.
type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

fn first(environment: Environment<'_>, names: &[&str]) -> Option<Secret> {
    names.iter().find_map(|name| environment(name).filter(|v| !v.is_empty())).map(Secret::new)
}

impl Location {
    /// The same place with its password, if it has none yet and one is found: for a SQL Server in `IMIS_MSSQL_PASSWORD`
    /// or `IMIS_PASSWORD`, for a PostgreSQL in `IMIS_POSTGRES_PASSWORD`, `PGPASSWORD` or the password file
    /// (`PGPASSFILE`, `~/.pgpass`), which counts only if nobody else may read it.
    #[must_use]
    pub fn resolve_password(&self, environment: &dyn Fn(&str) -> Option<String>) -> Location {
        match self {
            Location::Mssql(address) => Location::Mssql(address.with_password_from(environment)),
            Location::Postgres(address) => Location::Postgres(address.with_password_from(environment)),
            other => other.clone(),
        }
    }

    /// Whether a password is still to be asked for.
    pub fn wants_password(&self) -> bool {
        match self {
            Location::Mssql(address) => address.password.is_none(),
            Location::Postgres(address) => address.password.is_none() && !address.host.starts_with('/'),
            _ => false,
        }
    }

    /// The same place with this password.
    #[must_use]
    pub fn with_password(&self, password: Secret) -> Location {
        let mut location = self.clone();
        match &mut location {
            Location::Mssql(address) => address.password = Some(password),
            Location::Postgres(address) => address.password = Some(password),
            _ => {}
        }
        location
    }
}

impl MssqlAddress {
    /// The same address with its password from `IMIS_MSSQL_PASSWORD` or `IMIS_PASSWORD`, if it has none yet.
    #[must_use]
    pub fn with_password_from(&self, environment: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut address = self.clone();
        address.password = address.password.or_else(|| first(environment, &["IMIS_MSSQL_PASSWORD", "IMIS_PASSWORD"]));
        address
    }
}

impl PostgresAddress {
    /// The same address with its password from `IMIS_POSTGRES_PASSWORD`, `PGPASSWORD` or the password file, if it has
    /// none yet.
    #[must_use]
    pub fn with_password_from(&self, environment: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut address = self.clone();
        address.password = address
            .password
            .or_else(|| first(environment, &["IMIS_POSTGRES_PASSWORD", "PGPASSWORD"]))
            .or_else(|| from_file(self, &password_file(environment)?));
        address
    }
}

fn password_file(environment: Environment<'_>) -> Option<PathBuf> {
    let named = environment("PGPASSFILE").filter(|f| !f.is_empty()).map(PathBuf::from);
    named.or_else(|| Some(Path::new(&environment("HOME").filter(|h| !h.is_empty())?).join(".pgpass")))
}

/// The password of the first line that fits. As with libpq, a file that others may read does not count.
fn from_file(address: &PostgresAddress, file: &Path) -> Option<Secret> {
    let metadata = std::fs::metadata(file).ok().filter(|m| m.is_file())?;
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0 {
        return None;
    }
    #[cfg(not(unix))]
    let _ = metadata;
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| of_line(line, address)).map(Secret::new)
}

/// The password of a line `host:port:database:user:password`, if the line fits. `*` fits everything, `\:` and `\\` are
/// the signs themselves, and a socket's folder is called localhost when it is the usual one.
fn of_line(line: &str, address: &PostgresAddress) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut chars = line.trim_end_matches('\r').chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => field.extend(chars.next()),
            ':' if fields.len() < 4 => fields.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    fields.push(field);
    let [host, port, database, user, password] = fields.as_slice() else { return None };
    let is = |field: &str, value: &str| field == "*" || field == value;
    let local = address.host == "/var/run/postgresql" || address.host == "/tmp";
    let fits = (is(host, &address.host) || local && host == "localhost")
        && is(port, &address.port.to_string())
        && is(database, &address.database)
        && is(user, address.user.as_deref().unwrap_or_default());
    (fits && !password.is_empty()).then(|| password.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Location {
        text.parse().unwrap()
    }

    fn revealed(location: &Location) -> Option<&str> {
        match location {
            Location::Mssql(a) => a.password.as_ref().map(Secret::reveal),
            Location::Postgres(a) => a.password.as_ref().map(Secret::reveal),
            _ => None,
        }
    }

    #[test]
    fn the_environment_fills_what_the_address_leaves_out() {
        let cases = [
            ("mssql://sa@h/db", &["IMIS_PASSWORD", "IMIS_MSSQL_PASSWORD"][..], Some("of IMIS_MSSQL_PASSWORD")),
            ("mssql://sa@h/db", &["IMIS_PASSWORD", "PGPASSWORD"], Some("of IMIS_PASSWORD")),
            ("mssql://sa:own@h/db", &["IMIS_MSSQL_PASSWORD"], Some("own")),
            ("mssql://sa@h/db", &["PGPASSWORD"], None),
            ("postgres://u@h/db", &["PGPASSWORD", "IMIS_POSTGRES_PASSWORD"], Some("of IMIS_POSTGRES_PASSWORD")),
            ("postgres://u@h/db", &["PGPASSWORD"], Some("of PGPASSWORD")),
            ("postgres://u@h/db", &["IMIS_PASSWORD"], None),
        ];
        for (text, set, expected) in cases {
            let environment = |name: &str| set.contains(&name).then(|| format!("of {name}"));
            assert_eq!(revealed(&address(text).resolve_password(&environment)), expected, "{text} {set:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_password_file_counts_only_if_it_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pgpass");
        std::fs::write(
            &file,
            "# comment\nother:*:*:*:no\nh:5432:*:u:a\\:b\\\\c\nlocalhost:*:*:u:local\n*:*:db:*:any\n",
        )
        .unwrap();
        let name = file.display().to_string();
        let environment = |wanted: &str| (wanted == "PGPASSFILE").then(|| name.clone());
        let of = |text: &str| revealed(&address(text).resolve_password(&environment)).map(str::to_owned);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(of("postgres://u@h/x"), None);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(of("postgres://u@h/x").as_deref(), Some("a:b\\c"));
        assert_eq!(of("postgres://u@/x").as_deref(), Some("local"));
        assert_eq!(of("postgres://v@h/db").as_deref(), Some("any"));
        assert_eq!(of("postgres://v@h/x"), None);
    }
}
