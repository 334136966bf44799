//! A profile with something of everything in it, for tests.

use imis_checks::profile::{
    ColumnProfile, Distinct, Frequent, KeyRole, Kind, Lengths, Numbers, Profile, Shape, TableProfile,
};
use imis_databases::Consistency;
use imis_schemas::TableName;

/// A column of 1,000 rows without anything in it but what every column has.
pub(crate) fn column(name: &str, data_type: &str, kind: Kind) -> ColumnProfile {
    ColumnProfile {
        column: name.into(),
        data_type: data_type.into(),
        kind,
        roles: Vec::new(),
        rows: 1_000,
        nulls: 0,
        blank: None,
        distinct: Distinct { number: 1_000, exact: true },
        min: None,
        max: None,
        lengths: None,
        numbers: None,
        with_time: None,
        shapes: Vec::new(),
        shape_count: 0,
        top: Vec::new(),
        most: 1,
        counts_off_by: 0,
    }
}

/// A column of texts, with its most frequent values.
pub(crate) fn text(name: &str, distinct: u64, top: &[(&str, u64)], shapes: &[(&str, u64)]) -> ColumnProfile {
    ColumnProfile {
        blank: Some(0),
        distinct: Distinct { number: distinct, exact: true },
        min: top.iter().map(|(value, _)| (*value).to_owned()).min(),
        max: top.iter().map(|(value, _)| (*value).to_owned()).max(),
        lengths: Some(Lengths { min: 1, mean: 5.25, max: 12 }),
        shapes: shapes.iter().map(|(shape, count)| Shape { shape: (*shape).into(), count: *count }).collect(),
        shape_count: shapes.len() as u64,
        top: top.iter().map(|(value, count)| Frequent { value: (*value).into(), count: *count }).collect(),
        most: top.first().map_or(1, |(_, count)| *count),
        ..column(name, "nvarchar(50)", Kind::Text)
    }
}

pub(crate) fn number(name: &str, distinct: u64, ends: (&str, &str), top: &[(&str, u64)]) -> ColumnProfile {
    ColumnProfile {
        distinct: Distinct { number: distinct, exact: true },
        min: Some(ends.0.into()),
        max: Some(ends.1.into()),
        numbers: Some(Numbers {
            zero: 12,
            negative: 0,
            not_a_number: 0,
            quartiles: Some(["250".into(), "500".into(), "750".into()]),
        }),
        top: top.iter().map(|(value, count)| Frequent { value: (*value).into(), count: *count }).collect(),
        most: top.first().map_or(1, |(_, count)| *count),
        ..column(name, "int", Kind::Number)
    }
}

pub(crate) fn table(name: &str, columns: Vec<ColumnProfile>) -> TableProfile {
    TableProfile {
        table: TableName::new("dbo", name),
        rows: Some(1_000),
        read: 1_000,
        refused: 0,
        columns,
        unread_columns: Vec::new(),
        unread: None,
    }
}

pub(crate) fn profile() -> Profile {
    let id = ColumnProfile { roles: vec![KeyRole::Primary], ..number("InsureeID", 1_000, ("1", "1000"), &[]) };
    let family = ColumnProfile {
        roles: vec![KeyRole::Foreign("tblFamilies.FamilyID".into())],
        ..number("FamilyID", 240, ("0", "241"), &[("0", 25), ("17", 9)])
    };
    let mut number_of_insuree =
        text("CHFID", 994, &[("105000001", 4), ("105000002", 2)], &[("9{9}", 985), ("", 10), ("9{8}A", 5)]);
    number_of_insuree.blank = Some(10);
    let name = text("LastName", 18, &[("Adhikari-Ochieng", 400), ("Ba", 300)], &[("Aa{7}", 400), ("Aa", 300)]);
    let gender = text("Gender", 3, &[("F", 512), ("M", 487), ("O", 1)], &[("A", 1_000)]);
    let level = text("Level", 3, &[("Dispensary", 600), ("Hospital", 398), ("Madame X", 2)], &[("Aa{9}", 600)]);
    let secret = text("StoredPassword", 7, &[("hunter-hash", 400), ("other-hash", 100)], &[("a{6}-a{4}", 500)]);
    let born = ColumnProfile {
        min: Some("1893-02-01".into()),
        max: Some("2026-01-19".into()),
        distinct: Distinct { number: 812, exact: true },
        ..column("DOB", "date", Kind::Day)
    };
    let since = ColumnProfile {
        min: Some("2024-01-31 08:00:26".into()),
        max: Some("2026-01-30 16:44:06.25".into()),
        distinct: Distinct { number: 120_345, exact: false },
        with_time: Some(12),
        ..column("ValidityFrom", "datetime", Kind::Moment)
    };
    let closed = ColumnProfile { nulls: 914, min: Some("2024-03-11 08:32:45".into()), ..since.clone() };
    let closed =
        ColumnProfile { column: "ValidityTo".into(), distinct: Distinct { number: 86, exact: true }, ..closed };
    let bytes = ColumnProfile {
        lengths: Some(Lengths { min: 8, mean: 8.0, max: 8 }),
        ..column("RowID", "timestamp", Kind::Bytes)
    };
    let truth = ColumnProfile {
        distinct: Distinct { number: 2, exact: true },
        top: vec![Frequent { value: "false".into(), count: 740 }, Frequent { value: "true".into(), count: 260 }],
        most: 740,
        ..column("IsHead", "bit", Kind::Truth)
    };
    let nothing = ColumnProfile {
        nulls: 1_000,
        distinct: Distinct { number: 0, exact: true },
        most: 0,
        ..column("Source", "nvarchar(50)", Kind::Text)
    };
    let mut insurees = table(
        "tblInsuree",
        vec![id, family, number_of_insuree, name, gender, level, secret, born, since, closed, bytes, truth, nothing],
    );
    insurees.refused = 2;
    insurees.unread_columns.push(("Photo".into(), "the login may not read it".into()));
    let amount = number("Claimed", 20, ("-5.00", "1000.00"), &[("100.00", 800), ("17.35", 4)]);
    let mut claims = table("tblClaim", vec![amount]);
    claims.rows = Some(250_000);
    let empty = TableProfile { rows: Some(0), read: 0, ..table("tblFamilySMS", Vec::new()) };
    let unread = "it cannot be read: permission denied for table tblUsers".to_owned();
    let unread = TableProfile { rows: None, read: 0, unread: Some(unread), ..table("tblUsers", Vec::new()) };
    Profile {
        location: "mssql://old-server/IMIS".into(),
        engine: "SQL Server".into(),
        started: "2026-11-22T18:21:00Z".parse().unwrap_or_default(),
        seconds: 3.25,
        consistency: Consistency::Fuzzy,
        exact: 100_000,
        sample: None,
        tables: vec![claims, empty, insurees, unread],
        notes: vec!["Somebody wrote to the database while it was read.".into()],
    }
}
