use proptest::prelude::*;

use super::*;

fn plain(host: &str, database: &str) -> MssqlAddress {
    MssqlAddress {
        host: host.into(),
        port: None,
        instance: None,
        database: database.into(),
        user: None,
        password: None,
        encrypt: Encrypt::Required,
        trust: Trust::System,
        old_tls: false,
        read_only_intent: false,
        connect_timeout: 15,
        silence: 900,
        driver: Driver::Own,
        accepts_veiled: false,
    }
}

fn login(address: MssqlAddress, user: &str, password: &str) -> MssqlAddress {
    let password = (!password.is_empty()).then(|| Secret::new(password));
    MssqlAddress { user: Some(user.into()), password, ..address }
}

#[test]
fn addresses_of_sql_server() {
    let cases = [
        ("mssql://h/IMIS", plain("h", "IMIS")),
        ("sqlserver://sa@h:1433/IMIS", MssqlAddress { port: Some(1433), ..login(plain("h", "IMIS"), "sa", "") }),
        ("mssql://sa:p%40ss%2Fw%20d@h/My%20Db", login(plain("h", "My Db"), "sa", "p@ss/w d")),
        ("mssql://sa:p@s/s:#%w@h/IMIS", login(plain("h", "IMIS"), "sa", "p@s/s:#%w")),
        ("mssql://[::1]:1444/IMIS", MssqlAddress { port: Some(1444), ..plain("::1", "IMIS") }),
        (
            "mssql://h/IMIS?encrypt=off&instance=EXPRESS&intent=readonly&timeout=3&tls=old&silence=60&driver=tiberius&veiled=accept",
            MssqlAddress {
                encrypt: Encrypt::Off,
                instance: Some("EXPRESS".into()),
                read_only_intent: true,
                connect_timeout: 3,
                silence: 60,
                driver: Driver::Tiberius,
                accepts_veiled: true,
                old_tls: true,
                ..plain("h", "IMIS")
            },
        ),
        ("mssql://h/IMIS?trust=any", MssqlAddress { trust: Trust::Any, ..plain("h", "IMIS") }),
        (
            "mssql://h/IMIS?trust=system&ca=/a@b.pem",
            MssqlAddress { trust: Trust::CaFile("/a@b.pem".into()), ..plain("h", "IMIS") },
        ),
        ("SRV\\SQLEXPRESS", MssqlAddress { instance: Some("SQLEXPRESS".into()), ..plain("SRV", "") }),
        (".\\SQLEXPRESS/IMIS", MssqlAddress { instance: Some("SQLEXPRESS".into()), ..plain("localhost", "IMIS") }),
        (
            "Server=tcp:h,1433;Database=IMIS;User Id=sa;Password=x;Encrypt=True;TrustServerCertificate=True;\
             Connection Timeout=30;ApplicationIntent=ReadOnly;",
            MssqlAddress {
                port: Some(1433),
                trust: Trust::Any,
                connect_timeout: 30,
                read_only_intent: true,
                ..login(plain("h", "IMIS"), "sa", "x")
            },
        ),
        (
            " data source = h\\I ; INITIAL CATALOG=IMIS;uid=sa;PWD=\"a;b\"\"c\" ; encrypt=no; Pooling=true",
            MssqlAddress {
                instance: Some("I".into()),
                encrypt: Encrypt::Off,
                ..login(plain("h", "IMIS"), "sa", "a;b\"c")
            },
        ),
        (
            "Driver={ODBC Driver 17 for SQL Server};Server=(local);Port=1500;Database=IMIS;UID=sa;PWD={a}};b=c}",
            MssqlAddress { port: Some(1500), ..login(plain("localhost", "IMIS"), "sa", "a};b=c") },
        ),
        ("server=h;password=a://b", MssqlAddress { password: Some(Secret::new("a://b")), ..plain("h", "") }),
        (
            "server=h:1501;database=d;user=u;password='it''s'",
            MssqlAddress { port: Some(1501), ..login(plain("h", "d"), "u", "it's") },
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<Location>(), Ok(Location::Mssql(expected)), "{text}");
    }
}

#[test]
fn addresses_of_postgres() {
    let plain = |host: &str, database: &str| PostgresAddress {
        host: host.into(),
        port: 5432,
        database: database.into(),
        user: None,
        password: None,
        sslmode: "prefer".into(),
        sslrootcert: None,
        connect_timeout: 15,
        silence: 6 * 3600,
    };
    let user = |a: PostgresAddress| PostgresAddress { user: Some("u".into()), ..a };
    let cases = [
        ("postgres://h/db", plain("h", "db")),
        ("postgresql://u@h:5433/db", PostgresAddress { port: 5433, ..user(plain("h", "db")) }),
        ("postgres://u:p%3Fw@h", PostgresAddress { password: Some(Secret::new("p?w")), ..user(plain("h", "u")) }),
        ("postgres:///db", plain("/var/run/postgresql", "db")),
        ("postgres://%2Ftmp%2Fpg/db", plain("/tmp/pg", "db")),
        (
            "postgres:///db?host=/tmp/pg&port=5999&user=u&connect_timeout=2&application_name=x&silence=99",
            PostgresAddress { port: 5999, connect_timeout: 2, silence: 99, ..user(plain("/tmp/pg", "db")) },
        ),
        (
            "postgres://h/db?sslmode=Verify-Full&sslrootcert=/ca.pem",
            PostgresAddress { sslmode: "verify-full".into(), sslrootcert: Some("/ca.pem".into()), ..plain("h", "db") },
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<Location>(), Ok(Location::Postgres(expected)), "{text}");
    }
}

#[test]
fn files_folders_and_releases() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::create_dir(folder.path().join("scripts")).unwrap();
    std::fs::write(folder.path().join("scripts/A.SQL"), "").unwrap();
    std::fs::create_dir(folder.path().join("snap")).unwrap();
    std::fs::write(folder.path().join("snap/manifest.json"), "{}").unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    // A folder of scripts, one of folders of scripts, and a script.
    for scripts in ["scripts", "", "scripts/A.SQL"] {
        assert_eq!(at(scripts).parse(), Ok(Location::Scripts(at(scripts).into())));
    }
    assert_eq!(at("snap").parse(), Ok(Location::Snapshot(at("snap").into())));
    assert_eq!(at("x.yaml").parse(), Ok(Location::Catalog(at("x.yaml").into())));
    assert_eq!("release:legacy/24.04".parse(), Ok(Location::Release("legacy/24.04".into())));
    for (text, message, help) in [
        (at("a.sql"), "no file or folder", "T-SQL script"),
        (at("empty"), "no manifest.json", "imis snapshot"),
        (at("nothing"), "nothing", "mssql://"),
        ("release:legacy/24.4".into(), "no known release", "legacy/24.04"),
    ] {
        let error = text.parse::<Location>().unwrap_err();
        assert!(error.message.contains(message), "{}", error.message);
        assert!(error.help.as_deref().unwrap_or_default().contains(help), "{:?}", error.help);
    }
}

/// Texts that are wrong, with what the complaint must say. Each holds the word hunter2 where a password may be.
#[test]
fn what_is_wrong_is_said_without_the_password() {
    let cases = [
        ("mssql://sa:hunter2@h/db?encript=off", "encrypt"),
        ("mssql://sa:hunter2@h/db?encrypt=hunter2", "required or off"),
        ("mssql://sa:hunter2@h/db?trust=hunter2", "system or any"),
        ("mssql://sa:hunter2@h/db?timeout=hunter2", "timeout"),
        ("mssql://sa:hunter2@h/db?hunter2", "not known"),
        ("mssql://sa:a?hunter2@h/db", "%3F"),
        ("mssql://sa:hunter2?@h/db", "%3F"),
        ("mssql://sa:hunter2", "port"),
        ("mssql://sa:hunter2@", "no host"),
        ("mssql://sa:x@hunter2 h/db", "host"),
        ("mssql://sa:x@[hunter2/db", "closed"),
        ("msql://sa:hunter2@h/db", "names no database"),
        ("sa:hunter2@h/db", "names no database"),
        ("hunter2=1", "names no database"),
        ("Server=h;Password=a;hunter2;Database=d", "no ="),
        ("Server=h;Password=a;hunter2=b;Database=d", "not known"),
        ("Server=h;Password=\"hunter2", "closed"),
        ("Server=h;Password={hunter2}x", "closed"),
        ("Server=h;Pasword=hunter2", "Password"),
        ("Password=hunter2", "no server"),
        ("Server=h;Encrypt=hunter2", "required or off"),
        ("Server=h,hunter2", "port"),
        ("Server=np:hunter2", "TCP"),
        ("Server=h;Integrated Security=SSPI;Password=hunter2", "Windows"),
        ("postgres://u:hunter2@h/db?sslmod=require", "sslmode"),
        ("postgres://u:hunter2@h/db?sslmode=requir", "require"),
        ("postgres://u:hunter2@h:99999/db", "port"),
        ("postgres://:hunter2@h", "no database"),
        ("postgres://u:hunter2@a,b/db", "one host"),
    ];
    for (text, expected) in cases {
        let error = text.parse::<Location>().unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(said.contains(expected), "{text}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,60}") {
        let _ = text.parse::<Location>();
        let _ = format!("mssql://{text}").parse::<Location>();
        let _ = format!("Server={text}").parse::<Location>();
    }

    /// A password in its place never comes out, whatever is wrong around it.
    #[test]
    fn no_password_comes_out(
        before in "(mssql|sqlserver|postgres|msql|x)://[a-z\\\\;=%]{0,5}:[!-~]{0,4}",
        after in "[!-~]{0,4}@[a-z:/?&=%;\\\\\\[\\]0-9]{0,30}",
        ado in "(Server|server|Addr|x)=[a-z,0-9\\\\:]{0,6};(Password|PWD)=[\"'{]?",
        tail in "[\"'};= a-z]{0,12}",
    ) {
        for text in [format!("{before}Hunter2Secret{after}"), format!("{ado}Hunter2Secret{tail}")] {
            let said = match text.parse::<Location>() {
                Ok(location) => format!("{location} {location:?}"),
                Err(error) => format!("{error} {error:?}"),
            };
            prop_assert!(!said.contains("Hunter2Secret"), "{text} -> {said}");
        }
    }
}
