//! Whole catalogues against each other.

use std::collections::BTreeSet;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::catalog::{Check, ForeignKey, Index, Key, Known, Routine, Table, Unique, UserType, View};
use crate::release;

fn compared(a: &Catalog, b: &Catalog) -> Comparison {
    compare(("a", a), ("b", b), &Filter::default())
}

/// Kind, change, object and part of each difference.
fn told(found: &Comparison) -> Vec<(Kind, Change, String)> {
    let place = |d: &Difference| match &d.part {
        Some(part) => format!("{}.{part}", d.object),
        None => d.object.clone(),
    };
    found.differences.iter().map(|d| (d.kind, d.change, place(d))).collect()
}

fn legacy() -> Catalog {
    release("legacy/24.04").unwrap()
}

fn modular() -> Catalog {
    release("modular/1.11").unwrap()
}

fn table<'a>(catalog: &'a mut Catalog, name: &str) -> &'a mut Table {
    catalog.tables.iter_mut().find(|t| t.name == name).unwrap()
}

/// The facts about columns: legacy table and column, modular column, class, whether each side takes NULL.
fn facts() -> Option<Vec<Vec<String>>> {
    let shared = std::env::var_os("IMIS_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")));
    let path = shared.join("facts/legacy_vs_modular_columns.tsv");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("{} is missing: the comparison is not held against the facts", path.display());
        return None;
    };
    Some(text.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect())
}

#[test]
fn the_two_worlds_differ_as_the_facts_say() {
    let Some(facts) = facts() else { return };
    let found = compared(&legacy(), &modular());
    let places = |wanted: &dyn Fn(&Difference) -> bool| -> BTreeSet<String> {
        let of = |d: &Difference| format!("{}.{}", d.object, d.part.clone().unwrap_or_default());
        found.differences.iter().filter(|d| wanted(d)).map(of).collect()
    };
    let of_legacy: BTreeSet<&str> = facts.iter().map(|f| f[0].as_str()).collect();
    let fact = |wanted: &dyn Fn(&[String]) -> bool, at: usize| -> BTreeSet<String> {
        facts.iter().filter(|f| wanted(f)).map(|f| format!("{}.{}", f[0], f[at])).collect()
    };
    let class = |name: &'static str| move |f: &[String]| f[14] == name;

    let lost = places(&|d| d.kind == Kind::Columns && d.change == Change::OnlyA);
    assert_eq!(lost, fact(&class("dropped"), 1));
    let new =
        places(&|d| d.kind == Kind::Columns && d.change == Change::OnlyB && of_legacy.contains(d.object.as_str()));
    let expected: BTreeSet<String> =
        facts.iter().filter(|f| f[14] == "new").map(|f| format!("{}.{}", f[7], f[8])).collect();
    assert_eq!(new, expected);

    let renamed = places(&|d| d.kind == Kind::Columns && d.change == Change::Renamed);
    assert_eq!(renamed, ["tblUsers.UserID", "tblUsers.UserUUID"].map(str::to_owned).into());
    assert!(found.differences.iter().filter(|d| d.change == Change::Renamed).all(|d| d.guessed && d.sure >= Some(80)));

    let narrower = places(&|d| d.kind == Kind::Types && d.fit == Some(Fit::Narrower));
    assert_eq!(narrower, fact(&class("narrow"), 1));
    let wider = places(&|d| d.kind == Kind::Types && d.fit == Some(Fit::Wider));
    assert_eq!(wider, fact(&class("widen"), 1));
    let other = places(&|d| d.kind == Kind::Types && d.fit == Some(Fit::Other));
    assert_eq!(other, fact(&class("semantic"), 1));
    // Not one alarm about the columns that are the same or equivalent.
    let all = places(&|d| d.kind == Kind::Types);
    assert_eq!(all.len(), narrower.len() + wider.len() + other.len());
    let equal = fact(&|f| f[14] == "same" || f[14] == "equiv", 1);
    assert!(equal.len() > 860 && all.is_disjoint(&equal));

    let nulls = fact(&|f| !f[1].is_empty() && !f[8].is_empty() && f[3] != f[10], 1);
    assert_eq!(places(&|d| d.kind == Kind::Nulls), nulls);
    assert_eq!(found.summary[&Kind::Tables].only_a, 0);
    assert_eq!(found.summary[&Kind::Tables].equal, 65);
}

#[test]
fn keys_are_known_by_what_they_hold_across_engines() {
    let found = compared(&legacy(), &modular());
    let keys: BTreeSet<String> = found
        .differences
        .iter()
        .filter(|d| d.kind == Kind::ForeignKeys && d.change == Change::OnlyB && d.object.starts_with("tblClaim"))
        .map(|d| format!("{}.{}", d.object, d.part.clone().unwrap_or_default()))
        .collect();
    // What facts/legacy-and-modular.md lists as "only in modular" for these tables.
    let expected = [
        "tblClaim.ICDID1",
        "tblClaim.ICDID2",
        "tblClaim.ICDID3",
        "tblClaim.ICDID4",
        "tblClaim.ReferFrom",
        "tblClaim.ReferTo",
        "tblClaim.RestoredClaim",
        "tblClaimDedRem.ClaimID",
        "tblClaimItems.PolicyID",
        "tblClaimServices.PolicyID",
    ];
    assert_eq!(keys, expected.map(str::to_owned).into());
    // The key to tblUsers is the same although its column is called id there.
    assert!(found.remarks.iter().any(|r| r.kind == Kind::ForeignKeys && r.a == "FK_tblClaim_tblUsers"));
    let unchecked = |d: &&Difference| d.kind == Kind::ForeignKeys && d.change == Change::Changed;
    let unchecked: Vec<_> = found.differences.iter().filter(unchecked).map(|d| d.object.as_str()).collect();
    assert_eq!(unchecked, ["tblClaim", "tblFamilies", "tblOfficer"]);
    // What the release does not know is not missing.
    let unknown: Vec<_> = found.not_compared.iter().map(|n| (n.kind, n.why.as_str(), n.objects.len())).collect();
    assert!(unknown.contains(&(Kind::Indexes, "not known of A", 0)), "{unknown:?}");
    assert!(unknown.contains(&(Kind::Views, "not known of B", 0)), "{unknown:?}");
    assert!(!found.summary.contains_key(&Kind::Indexes));
}

#[test]
fn older_releases_do_not_know_defaults_and_so_lack_none() {
    let found = compared(&release("legacy/1.4.2").unwrap(), &legacy());
    assert!(!found.summary.contains_key(&Kind::Defaults) && !found.summary.contains_key(&Kind::PrimaryKeys));
    assert!(found.not_compared.iter().any(|n| n.kind == Kind::Defaults && n.why == "not known of A"));
    assert!(told(&found).contains(&(Kind::Tables, Change::OnlyB, "tblFamilySMS".into())));
    // The other way round is the mirror image.
    let back = compared(&legacy(), &release("legacy/1.4.2").unwrap());
    assert_eq!(back.differences.len(), found.differences.len());
}

#[test]
fn every_release_is_equal_to_itself() {
    for name in crate::release_names() {
        let catalog = release(name).unwrap();
        let found = compared(&catalog, &catalog);
        assert!(!found.differs && found.remarks.is_empty(), "{name}: {:?}", found.differences.first());
    }
}

/// A catalogue with one of everything, everything known.
fn small(engine: Engine) -> Catalog {
    let is_legacy = engine == Engine::Mssql;
    let pick = |legacy: &str, modular: &str| if is_legacy { legacy.to_owned() } else { modular.to_owned() };
    let column = |name: &str, data_type: String, nullable: bool, default: Option<String>| crate::catalog::Column {
        name: name.into(),
        data_type,
        nullable,
        identity: false,
        default,
        computed: None,
        collation: None,
    };
    let schema = engine.default_schema().to_owned();
    let mut id = column("FamilyID", pick("int", "integer"), false, None);
    if is_legacy {
        id.identity = true;
    } else {
        id.default = Some("nextval('\"a_seq\"'::regclass)".into());
    }
    let families = Table {
        schema: schema.clone(),
        name: "tblFamilies".into(),
        columns: vec![
            id,
            column("FamilyUUID", pick("uniqueidentifier", "uuid"), false, Some(pick("(newid())", "gen_random_uuid()"))),
            column("Poverty", pick("bit", "boolean"), true, Some(pick("((0))", "false"))),
            column(
                "Kind",
                pick("nvarchar(2)", "character varying(2)"),
                true,
                Some(pick("(N'A')", "'A'::character varying")),
            ),
        ],
        primary_key: Known::Yes(Some(Key {
            name: Some(pick("PK__tblFam__3B7", "tblFamilies_pkey")),
            columns: vec!["FamilyID".into()],
        })),
        foreign_keys: Known::Yes(vec![]),
        uniques: Known::Yes(vec![Unique {
            name: pick("UQ__1", "families_uuid_key"),
            columns: vec!["FamilyUUID".into()],
        }]),
        indexes: Known::Yes(vec![Index {
            name: pick("IX_Kind", "families_kind_8f"),
            columns: vec!["Kind".into()],
            include: vec![],
            unique: false,
            filter: Some(pick("([Poverty]=(1))", "(\"Poverty\" = 1)")),
        }]),
        checks: Known::Yes(vec![Check {
            name: pick("CK__1", "kind_check"),
            definition: Some(pick("([FamilyID]>(0))", "CHECK ((\"FamilyID\" > 0))")),
        }]),
    };
    let mut members = families.clone();
    members.name = "tblInsuree".into();
    members.columns.push(column("Head", pick("int", "integer"), true, None));
    members.foreign_keys = Known::Yes(vec![ForeignKey {
        name: pick("FK_1", "insuree_head_fk"),
        columns: vec!["Head".into()],
        references: TableName::new(&schema, "tblFamilies"),
        referenced_columns: vec!["FamilyID".into()],
        trusted: true,
        enabled: true,
        deferrable: !is_legacy,
    }]);
    let mut catalog = Catalog::new(engine);
    catalog.tables = vec![families, members];
    catalog.views = Known::Yes(vec![View {
        schema: schema.clone(),
        name: "uvwX".into(),
        definition: Some("create view uvwX as select 1".into()),
    }]);
    catalog.routines = Known::Yes(vec![Routine {
        schema: schema.clone(),
        name: "uspX".into(),
        kind: "function".into(),
        definition: Some("create function uspX() as\nselect 1\nfrom t".into()),
    }]);
    catalog.types = Known::Yes(vec![UserType {
        schema,
        name: "xFamily".into(),
        base: Some(pick("nvarchar(12)", "character varying(12)")),
        columns: vec![],
    }]);
    catalog
}

#[test]
fn one_schema_in_two_engines_is_equal() {
    let found = compared(&small(Engine::Mssql), &small(Engine::Postgres));
    assert_eq!(told(&found), []);
    assert_eq!(found.summary[&Kind::Checks].equal, 2);
    assert!(found.not_compared.iter().any(|n| n.kind == Kind::Routines));
    assert!(found.remarks.iter().any(|r| r.a == "FK_1" && r.b == "insuree_head_fk"));
}

/// One change, and what must be told of it.
type Case = (fn(&mut Catalog), Kind, Change, &'static str);

const CASES: &[Case] = &[
    (
        |c| {
            c.tables.remove(1);
        },
        Kind::Tables,
        Change::OnlyA,
        "tblInsuree",
    ),
    (
        |c| {
            table(c, "tblInsuree").name = "tblInsured".into();
        },
        Kind::Tables,
        Change::Renamed,
        "tblInsuree",
    ),
    (
        |c| {
            table(c, "tblInsuree").columns.remove(2);
        },
        Kind::Columns,
        Change::OnlyA,
        "tblInsuree.Poverty",
    ),
    (
        |c| {
            table(c, "tblFamilies").columns[3].name = "FamilyKind".into();
            table(c, "tblFamilies").indexes = Known::Yes(vec![Index {
                columns: vec!["FamilyKind".into()],
                ..table(c, "tblFamilies").indexes.items()[0].clone()
            }]);
        },
        Kind::Columns,
        Change::Renamed,
        "tblFamilies.Kind",
    ),
    (
        |c| {
            table(c, "tblFamilies").columns[3].data_type = "nvarchar(1)".into();
        },
        Kind::Types,
        Change::Changed,
        "tblFamilies.Kind",
    ),
    (
        |c| {
            table(c, "tblFamilies").columns[2].nullable = false;
        },
        Kind::Nulls,
        Change::Changed,
        "tblFamilies.Poverty",
    ),
    (
        |c| {
            table(c, "tblFamilies").columns[2].default = Some("((1))".into());
        },
        Kind::Defaults,
        Change::Changed,
        "tblFamilies.Poverty",
    ),
    (
        |c| {
            table(c, "tblFamilies").columns[0].identity = false;
        },
        Kind::Identity,
        Change::Changed,
        "tblFamilies.FamilyID",
    ),
    (
        |c| {
            table(c, "tblFamilies").columns[3].computed = Some("(1)".into());
        },
        Kind::Computed,
        Change::Changed,
        "tblFamilies.Kind",
    ),
    (
        |c| {
            table(c, "tblFamilies").primary_key = Known::Yes(None);
        },
        Kind::PrimaryKeys,
        Change::OnlyA,
        "tblFamilies.FamilyID",
    ),
    (
        |c| {
            table(c, "tblInsuree").foreign_keys = Known::Yes(vec![]);
        },
        Kind::ForeignKeys,
        Change::OnlyA,
        "tblInsuree.Head",
    ),
    (
        |c| {
            if let Known::Yes(k) = &mut table(c, "tblInsuree").foreign_keys {
                k[0].trusted = false;
            }
        },
        Kind::ForeignKeys,
        Change::Changed,
        "tblInsuree.Head",
    ),
    (
        |c| {
            if let Known::Yes(k) = &mut table(c, "tblInsuree").foreign_keys {
                k[0].references.name = "tblInsuree".into();
            }
        },
        Kind::ForeignKeys,
        Change::Changed,
        "tblInsuree.Head",
    ),
    (
        |c| {
            table(c, "tblFamilies").uniques = Known::Yes(vec![]);
        },
        Kind::Uniques,
        Change::OnlyA,
        "tblFamilies.FamilyUUID",
    ),
    (
        |c| {
            if let Known::Yes(i) = &mut table(c, "tblFamilies").indexes {
                i[0].filter = None;
            }
        },
        Kind::Indexes,
        Change::Changed,
        "tblFamilies.Kind",
    ),
    (
        |c| {
            if let Known::Yes(k) = &mut table(c, "tblFamilies").checks {
                k[0].definition = Some("([FamilyID]>(1))".into());
            }
        },
        Kind::Checks,
        Change::Changed,
        "tblFamilies.CK__1",
    ),
    (
        |c| {
            c.views = Known::Yes(vec![]);
        },
        Kind::Views,
        Change::OnlyA,
        "uvwX",
    ),
    (
        |c| {
            if let Known::Yes(r) = &mut c.routines {
                r[0].definition = Some("create function uspX() as\nselect 2\nfrom t".into());
            }
        },
        Kind::Routines,
        Change::Changed,
        "uspX",
    ),
    (
        |c| {
            if let Known::Yes(r) = &mut c.routines {
                r[0].kind = "procedure".into();
            }
        },
        Kind::Routines,
        Change::Changed,
        "uspX",
    ),
    (
        |c| {
            if let Known::Yes(t) = &mut c.types {
                t[0].base = Some("nvarchar(20)".into());
            }
        },
        Kind::UserTypes,
        Change::Changed,
        "xFamily",
    ),
];

#[test]
fn one_change_is_told_as_just_that_one_both_ways() {
    for (change, kind, how, place) in CASES {
        let before = small(Engine::Mssql);
        let mut after = before.clone();
        change(&mut after);
        assert_eq!(told(&compared(&before, &after)), [(*kind, *how, (*place).to_owned())]);
        let back = compared(&after, &before);
        assert_eq!(back.differences.len(), 1, "{kind:?}: {:?}", back.differences);
        let mirrored = match how {
            Change::OnlyA => Change::OnlyB,
            other => *other,
        };
        assert_eq!((back.differences[0].kind, back.differences[0].change), (*kind, mirrored));
        // And it is silent where nobody wants to know.
        let ignored = Filter::new(&[], &[kind.name().to_owned()]);
        assert!(!compare(("a", &before), ("b", &after), &ignored).differs);
        assert!(compare(("a", &before), ("b", &after), &Filter::new(&[kind.name().to_owned()], &[])).differs);
        assert!(!compare(("a", &before), ("b", &after), &Filter::new(&["tblNone".into()], &[])).differs);
    }
}

#[test]
fn a_body_that_changed_has_its_diff() {
    let before = small(Engine::Postgres);
    let mut after = before.clone();
    CASES[17].0(&mut after);
    let found = compared(&before, &after);
    let diff = found.differences[0].diff.clone().unwrap();
    assert!(diff.starts_with("--- a/uspX\n+++ b/uspX\n@@ ") && diff.contains("\n-select 1\n+select 2\n"), "{diff}");
}

#[test]
fn what_is_not_known_is_not_missing() {
    let known = small(Engine::Mssql);
    let mut blind = known.clone();
    for table in &mut blind.tables {
        table.primary_key = Known::No;
        (table.foreign_keys, table.uniques) = (Known::No, Known::No);
        (table.indexes, table.checks) = (Known::No, Known::No);
    }
    (blind.views, blind.routines, blind.types) = (Known::No, Known::No, Known::No);
    blind.tables[1].columns.clear();
    for (a, b) in [(&known, &blind), (&blind, &known)] {
        let found = compared(a, b);
        assert_eq!(told(&found), []);
        let kinds: BTreeSet<&str> = found.not_compared.iter().map(|n| n.kind.name()).collect();
        let expected = [
            "primary-keys",
            "foreign-keys",
            "uniques",
            "indexes",
            "checks",
            "views",
            "routines",
            "user-types",
            "columns",
        ];
        assert_eq!(kinds, expected.into());
    }
}

#[test]
fn case_counts_between_two_postgresql_databases_only() {
    for (engine, expected) in [
        (Engine::Mssql, vec![]),
        (Engine::Postgres, vec![(Kind::Columns, Change::Respelled, "tblInsuree.Head".to_owned())]),
    ] {
        let a = small(engine);
        let mut b = a.clone();
        table(&mut b, "tblInsuree").columns[4].name = "head".into();
        let found = compared(&a, &b);
        assert_eq!(told(&found), expected);
    }
}

#[test]
fn json_comes_back() {
    let found = compared(&legacy(), &modular());
    let again: Comparison = serde_json::from_str(&found.to_json()).unwrap();
    assert_eq!(again, found);
    assert!(found.to_json().starts_with("{\n  \"imis\": 1,"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_one_change_to_a_real_database_is_the_only_one_told(table in 0..157_usize, column in 0..1000_usize, what in 0..6_usize) {
        let before = modular();
        let mut after = before.clone();
        let own = &mut after.tables[table];
        let (name, at) = (own.table_name().to_string(), column % own.columns.len());
        let column = &mut own.columns[at];
        let place = format!("{name}.{}", column.name);
        let expected = match what {
            0 => { column.nullable = !column.nullable; (Kind::Nulls, Change::Changed, place) }
            1 => { column.data_type = "cidr".into(); (Kind::Types, Change::Changed, place) }
            2 => { column.default = Some("'x-y'::text".into()); (Kind::Defaults, Change::Changed, place) }
            3 => {
                let new = crate::catalog::Column { name: "QxzQxz".into(), data_type: "cidr".into(), ..column.clone() };
                own.columns.push(new);
                (Kind::Columns, Change::OnlyB, format!("{name}.QxzQxz"))
            }
            4 => {
                if let Known::Yes(uniques) = &mut own.uniques {
                    uniques.push(Unique { name: "q".into(), columns: vec!["a".into(), "b".into(), "c".into()] });
                }
                (Kind::Uniques, Change::OnlyB, format!("{name}.a, b, c"))
            }
            _ => {
                if let Known::Yes(checks) = &mut own.checks {
                    checks.push(Check { name: "q".into(), definition: Some("CHECK (1 = 1)".into()) });
                }
                (Kind::Checks, Change::OnlyB, format!("{name}.q"))
            }
        };
        let numbered = what == 2 && before.tables[table].columns[at].default.as_deref().is_some_and(|d| d.starts_with("nextval"));
        let found = told(&compared(&before, &after));
        // A default in the place of a sequence is two things: a default, and no number.
        prop_assert_eq!(found.len(), if numbered { 2 } else { 1 });
        prop_assert!(found.contains(&expected), "{:?} {:?}", found, expected);
    }
}
