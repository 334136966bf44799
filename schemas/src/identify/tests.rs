//! Each release, what a country did to it, and what cannot be seen.

use proptest::prelude::*;

use super::*;
use crate::catalog::{Catalog, Column, Known, Routine, Table};
use crate::legacy::legacy_releases;
use crate::release;

fn of(name: &str) -> Catalog {
    release(&format!("legacy/{name}")).unwrap()
}

fn found(catalog: &Catalog) -> (String, usize) {
    let found = identify(catalog).unwrap();
    (found.release, found.distance)
}

fn table<'a>(catalog: &'a mut Catalog, name: &str) -> &'a mut Table {
    catalog.tables.iter_mut().find(|t| t.name == name).unwrap()
}

#[test]
fn every_release_is_itself_or_a_twin() {
    for release in legacy_releases() {
        let found = identify(&release.catalog).unwrap();
        let names: Vec<&String> = std::iter::once(&found.release).chain(&found.twins).collect();
        assert_eq!(found.distance, 0, "{}: {found:?}", release.name);
        assert!(names.contains(&&release.name), "{}: {names:?}", release.name);
        assert!(!found.decided.is_empty() && found.is_legacy(), "{}", release.name);
        // Without its routines only those are added to its twins that differ in routines alone.
        let bare = Catalog { routines: Known::No, ..release.catalog.clone() };
        let bare = identify(&bare).unwrap();
        assert_eq!(bare.distance, 0);
        assert!(
            bare.twins.len() >= found.twins.len() && bare.unknown == ["procedures and functions", "user-defined types"]
        );
    }
    let label = identify(&of("24.04")).unwrap().label();
    // The full catalogue shows no routines, so a release that differs in a routine only is a twin, too.
    assert_eq!(label, "24.04 (or 1.7.3, 1.7.4, 23.10, develop)");
    assert_eq!(identify(&of("1.2.0")).unwrap().label(), "1.2.1 (or 1.2.0)");
}

#[test]
fn bodies_tell_apart_what_tables_do_not() {
    // A routine whose text has the fingerprint of one release and not of the next.
    let (older, newer) =
        (legacy_releases().iter().find(|r| r.name == "1.4.1"), legacy_releases().iter().find(|r| r.name == "1.4.2"));
    let (older, newer) = (older.unwrap(), newer.unwrap());
    let differ = older.fingerprints.iter().filter(|(name, print)| newer.fingerprints.get(*name) != Some(*print));
    assert_eq!(differ.count(), 2);
    assert_eq!(identify(&older.catalog).unwrap().twins, ["1.4.1"]);
}

#[test]
fn what_a_country_did_changes_the_distance_and_not_the_release() {
    for name in ["1.2.1", "1.4.2", "1.5.1", "1.6.0", "1.7.2.1", "24.04"] {
        let mut catalog = of(name);
        for column in ["nmcNumber", "CareType", "ReferFrom"] {
            let own =
                Column { name: column.into(), nullable: true, ..table(&mut catalog, "tblClaim").columns[0].clone() };
            table(&mut catalog, "tblClaim").columns.push(own);
        }
        table(&mut catalog, "tblHF").columns.retain(|c| c.name != "Fax");
        table(&mut catalog, "tblItems").columns.iter_mut().find(|c| c.name == "ItemCode").unwrap().data_type =
            "nvarchar(12)".into();
        let own = Table { name: "tblReceipt".into(), ..table(&mut catalog, "tblGender").clone() };
        catalog.tables.push(own);
        assert_eq!(found(&catalog), (name.to_owned(), 6));
        let told = identify(&catalog).unwrap();
        let name_of = |list: &[Difference]| list.iter().map(|d| d.name.clone()).collect::<Vec<_>>();
        assert_eq!(name_of(&told.removed), ["tblHF.Fax"]);
        assert_eq!(name_of(&told.changed), ["tblItems.ItemCode"]);
        assert_eq!(told.changed[0].found.as_deref(), Some("nvarchar(12) NOT NULL"));
        assert_eq!(told.added.len(), 4);
    }
}

#[test]
fn what_cannot_be_seen_does_not_make_a_database_older() {
    let mut catalog = of("1.6.0");
    // A login that sees only some routines, no columns of a table, and not a table that came late.
    if let Known::Yes(routines) = &mut catalog.routines {
        routines.truncate(20);
    }
    table(&mut catalog, "tblInsuree").columns.clear();
    catalog.tables.retain(|t| t.name != "tblFamilySMS");
    let told = identify(&catalog).unwrap();
    assert_eq!((told.release.as_str(), told.distance), ("1.6.0", 1));
    assert_eq!(told.unknown, ["the columns of tblInsuree", "procedures and functions", "user-defined types"]);
    // Each table that a release brought, hidden: still that release.
    for (name, hidden) in
        [("1.3.0", "tblRole"), ("1.4.0", "tblPayment"), ("1.2.1", "tblGender"), ("1.7.0", "tblIMISDefaults")]
    {
        let mut catalog = of(name);
        catalog.tables.retain(|t| t.name != hidden);
        assert_eq!(found(&catalog).0, if name == "1.7.0" { "1.7.2" } else { name }.to_owned());
    }
}

#[test]
fn what_an_upgrade_left_is_no_difference_and_what_is_no_legacy_says_so() {
    let upgraded = release("legacy/24.04").unwrap();
    assert!(upgraded.table("tblEmailSettings").unwrap().column("SenderDisplayName").is_some());
    assert_eq!(found(&upgraded), ("24.04".to_owned(), 0));
    assert!(identify(&Catalog::new(Engine::Postgres)).is_none());
    let mut other = Catalog::new(Engine::Mssql);
    other.tables.push(of("24.04").table("tblGender").unwrap().clone());
    assert!(!identify(&other).unwrap().is_legacy());
}

#[test]
fn a_modular_database_is_told_and_what_is_different_in_it() {
    let mut catalog = release("modular/1.11").unwrap();
    let found = identify(&catalog).unwrap();
    assert_eq!((found.release.as_str(), found.family, found.distance), ("1.11", Family::Modular, 0));
    assert!(found.known().is_none() && found.keys.is_empty() && found.is_legacy());
    table(&mut catalog, "tblInsuree").columns.push(Column { name: "NIN".into(), ..own("text") });
    catalog.tables.retain(|t| t.name != "tblBill");
    let found = identify(&catalog).unwrap();
    let name_of = |list: &[Difference]| list.iter().map(|d| d.name.clone()).collect::<Vec<_>>();
    assert_eq!(
        (name_of(&found.added), name_of(&found.removed)),
        (vec!["tblInsuree.NIN".into()], vec!["tblBill".into()])
    );
    assert_eq!(identify(&release("modular/baseline-upstream").unwrap()).unwrap().release, "baseline-upstream");
}

#[test]
fn twins_say_why_they_cannot_be_told_apart() {
    let found = identify(&of("24.04")).unwrap();
    let because = |name: &str| found.twins_because.iter().find(|t| t.release == name).unwrap().because.clone();
    assert_eq!(because("23.10"), "nothing that is known of the two differs");
    assert!(because("1.7.3").starts_with("they differ in the bodies of "), "{}", because("1.7.3"));
    assert_eq!((found.confidence.level, found.confidence.percent), (Level::Certain, 100), "{:?}", found.confidence);
    assert!(found.runner_up.is_some_and(|next| next.distance > 0) && !found.decided.is_empty());
}

#[test]
fn types_and_views_are_evidence_where_they_are_known() {
    let newer = legacy_releases().iter().find(|r| r.name == "1.4.0").unwrap();
    let mut catalog = newer.catalog.clone();
    let user_type =
        |name: &String| crate::UserType { schema: "dbo".into(), name: name.clone(), base: None, columns: Vec::new() };
    catalog.types = Known::Yes(newer.types.iter().map(user_type).collect());
    assert_eq!(found(&catalog), ("1.4.0".to_owned(), 0));
    if let (Known::Yes(types), Known::Yes(views)) = (&mut catalog.types, &mut catalog.views) {
        types.retain(|t| !t.name.contains("xGender"));
        types.push(user_type(&"xReceipt".to_owned()));
        views.retain(|v| v.name != "uvwVisit");
    }
    let told = identify(&catalog).unwrap();
    assert_eq!((told.release.as_str(), told.distance), ("1.4.0", 3));
    assert_eq!(told.added, [Difference::presence(Thing::Type, "xReceipt")]);
    assert!(told.removed.contains(&Difference::presence(Thing::View, "uvwVisit")), "{:?}", told.removed);
    // A login that sees hardly any type.
    if let Known::Yes(types) = &mut catalog.types {
        types.truncate(3);
    }
    assert_eq!(identify(&catalog).unwrap().distance, 1);
}

#[test]
fn keys_are_compared_where_they_are_known() {
    let mut catalog = of("24.04");
    let claim = table(&mut catalog, "tblClaim");
    if let Known::Yes(keys) = &mut claim.foreign_keys {
        keys.retain(|key| !key.columns.contains(&"HFID".to_owned()));
    }
    catalog.tables.retain(|t| t.name != "tblBatchRun");
    let found = identify(&catalog).unwrap();
    let names: Vec<&str> = found.keys.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(names, ["tblClaim: foreign key (HFID) to tblHF (HfID)"]);
    assert_eq!(found.distance, 1);
}

#[test]
fn a_hybrid_is_its_legacy_release_and_what_django_did() {
    let modular = release("modular/1.11").unwrap();
    let mut catalog = of("1.7.3");
    for name in ["django_migrations", "core_User", "claim_ClaimMutation"] {
        let mut table = modular.table(name).unwrap().clone();
        table.schema = "dbo".into();
        for column in &mut table.columns {
            column.data_type = django::on_sql_server(&column.data_type(Engine::Postgres)).sql(Engine::Mssql);
        }
        catalog.tables.push(table);
    }
    table(&mut catalog, "tblClaim").columns.push(Column { name: "JsonExt".into(), ..own("nvarchar(max)") });
    table(&mut catalog, "tblClaim").columns.push(Column { name: "nmcNumber".into(), ..own("nvarchar(20)") });
    let day = table(&mut catalog, "tblClaim").columns.iter_mut().find(|c| c.name == "DateFrom").unwrap();
    day.data_type = "date".into();
    let found = identify(&catalog).unwrap();
    assert_eq!((found.release.as_str(), found.distance), ("1.7.3", 1));
    assert_eq!(found.added[0].name, "tblClaim.nmcNumber");
    assert_eq!(found.by_django.len(), 5, "{:?}", found.by_django);
}

#[test]
fn names_of_later_releases_collide() {
    let mut catalog = of("1.5.1");
    let insuree = table(&mut catalog, "tblInsuree");
    insuree.columns.push(Column { name: "Vulnerability".into(), ..own("nvarchar(10)") });
    insuree.columns.push(Column { name: "Source".into(), ..own("nvarchar(50)") });
    table(&mut catalog, "tblClaim").columns.push(Column { name: "CareType".into(), ..own("int") });
    let receipts = table(&mut catalog, "tblGender").clone();
    catalog.tables.push(Table { name: "tblInvoice".into(), ..receipts });
    let found = identify(&catalog).unwrap();
    let told: Vec<_> = found.collisions.iter().map(|c| (c.name.as_str(), c.release.as_str(), c.alike)).collect();
    assert_eq!(
        told,
        [
            ("tblInvoice", "modular/1.11", false),
            ("tblClaim.CareType", "modular/1.11", false),
            ("tblInsuree.Source", "legacy/1.7.2.1", true),
            ("tblInsuree.Vulnerability", "legacy/1.6.0", false),
        ]
    );
    let one = &found.collisions[3];
    assert_eq!((one.found.as_str(), one.theirs.as_str()), ("nvarchar(10)", "bit"));
}

#[test]
fn countries_are_known_by_their_marks() {
    let mut catalog = of("1.5.1");
    for name in ["nmcNumber", "CareType", "ReferFrom", "ReferTo", "SampleAmount"] {
        table(&mut catalog, "tblClaim").columns.push(Column { name: name.into(), ..own("nvarchar(20)") });
    }
    table(&mut catalog, "tblClaim").columns.iter_mut().find(|c| c.name == "ClaimCode").unwrap().data_type =
        "nvarchar(20)".into();
    let named = |catalog: &Catalog| {
        let found = identify(catalog).unwrap();
        found.countries.iter().map(|c| (c.name.clone(), c.score())).collect::<Vec<_>>()
    };
    assert_eq!(named(&catalog), [("nepal-ssf".to_owned(), "2 of 2 marks".to_owned())]);
    table(&mut catalog, "tblHF").columns.push(Column { name: "IsCopay".into(), ..own("bit") });
    table(&mut catalog, "tblInsuree").columns.push(Column { name: "NIN".into(), ..own("bit") });
    assert_eq!(named(&catalog)[1], ("nepal-hib".to_owned(), "6 of 24 marks".to_owned()));
    assert!(named(&of("24.04")).is_empty());
}

fn own(data_type: &str) -> Column {
    Column {
        name: String::new(),
        data_type: data_type.into(),
        nullable: true,
        identity: false,
        default: None,
        computed: None,
        collation: None,
    }
}

/// What a country does to one thing of a release.
#[derive(Clone, Copy, Debug)]
enum Change {
    AddTable,
    AddColumn,
    AddRoutine,
    DropTable,
    DropColumn,
    DropRoutine,
    Retype,
}

/// Things of which two releases differ in no other.
fn sole(release: &LegacyRelease) -> Vec<String> {
    let seen = Seen::of(&release.catalog, shape::legacy());
    let lists = shape::legacy().iter().map(|shape| seen.differences(shape));
    let lists = lists.filter(|d| d.count() == 1);
    lists.flat_map(|d| d.added.into_iter().chain(d.changed).chain(d.removed)).map(|d| d.name.to_lowercase()).collect()
}

/// Makes a change at a place that the number chooses; the name of what is different then, or none where it cannot be.
fn apply(
    catalog: &mut Catalog,
    change: Change,
    at: usize,
    touched: &mut Vec<String>,
    sole: &[String],
) -> Option<String> {
    let count = catalog.tables.len();
    let is_free = |name: &str, touched: &[String]| {
        let (lower, table) = (name.to_lowercase(), name.split('.').next().unwrap_or(name).to_lowercase());
        !sole.contains(&lower)
            && !touched.iter().any(|t| *t == lower || *t == table || t.split('.').next() == Some(lower.as_str()))
    };
    let routines = match &mut catalog.routines {
        Known::Yes(routines) => routines,
        Known::No => return None,
    };
    let name = match change {
        Change::AddTable => {
            let name = format!("tblOwn{at}");
            let like = catalog.tables[at % count].clone();
            is_free(&name, touched).then(|| catalog.tables.push(Table { name: name.clone(), ..like }))?;
            name
        }
        Change::AddRoutine => {
            let name = format!("uspOwn{at}");
            let routine =
                Routine { schema: "dbo".into(), name: name.clone(), kind: "procedure".into(), definition: None };
            is_free(&name, touched).then(|| routines.push(routine))?;
            name
        }
        Change::DropRoutine => {
            let place = at % routines.len();
            let name = routines[place].name.clone();
            is_free(&name, touched).then(|| routines.remove(place))?;
            name
        }
        Change::DropTable => {
            let name = catalog.tables[at % count].name.clone();
            let of_the_table = catalog.tables[at % count].columns.iter().map(|c| format!("{name}.{}", c.name));
            let all_free = of_the_table.chain([name.clone()]).all(|one| is_free(&one, touched));
            all_free.then(|| catalog.tables.remove(at % count))?;
            name
        }
        Change::AddColumn | Change::DropColumn | Change::Retype => {
            let table = &mut catalog.tables[at % count];
            let place = at / count % table.columns.len();
            let column = match change {
                Change::AddColumn => format!("Own{at}"),
                _ => table.columns[place].name.clone(),
            };
            let name = format!("{}.{column}", table.name);
            let alone = table.columns.len() < 2 || table.name.starts_with("tblOwn");
            if alone || !is_free(&name, touched) {
                return None;
            }
            match change {
                Change::AddColumn => table.columns.push(Column { name: column, ..own("int") }),
                Change::DropColumn => drop(table.columns.remove(place)),
                _ => table.columns[place].data_type = "decimal(17,7)".into(),
            }
            name
        }
    };
    touched.push(name.to_lowercase());
    Some(name)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn thirty_changes_leave_the_release_and_are_listed(
        rank in 0..legacy_releases().len(),
        draws in proptest::collection::vec((0..7_usize, 0..100_000_usize), 120),
    ) {
        const CHANGES: [Change; 7] = [
            Change::AddTable, Change::AddColumn, Change::AddRoutine, Change::DropTable, Change::DropColumn, Change::DropRoutine, Change::Retype,
        ];
        let release = &legacy_releases()[rank];
        let (mut catalog, sole, mut touched) = (release.catalog.clone(), sole(release), Vec::new());
        let mut names = Vec::new();
        for (change, at) in draws {
            if names.len() < 30 {
                names.extend(apply(&mut catalog, CHANGES[change], at, &mut touched, &sole));
            }
        }
        prop_assert_eq!(names.len(), 30);
        let found = identify(&catalog).unwrap();
        prop_assert!(found.release == release.name || found.twins.contains(&release.name), "{}: {:?}", release.name, found);
        let mut told: Vec<String> =
            found.added.iter().chain(&found.changed).chain(&found.removed).map(|d| d.name.clone()).collect();
        told.sort();
        names.sort();
        prop_assert_eq!(told, names);
        prop_assert_eq!(found.distance, 30);
    }
}
