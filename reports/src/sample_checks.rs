//! A run of checks with something of everything in it, for tests.

use imis_checks::outcome::{
    About, CheckResult, Example, Kahn, Outcome, PackUsed, PartResult, Severity, Status, SwitchedOff, TableRead,
};

use crate::checks::{Change, CheckChange, Comparison, ExplainedCheck, ExplainedPart};

pub(crate) fn about(id: &str, title: &str, severity: Severity, kahn: Kahn) -> About {
    About {
        id: id.into(),
        pack: "openimis/core".into(),
        title: title.into(),
        severity,
        kahn,
        why: String::new(),
        fix: String::new(),
        source: String::new(),
        tags: Vec::new(),
    }
}

pub(crate) fn part(
    what: &str,
    table: &str,
    column: &str,
    severity: Severity,
    broken: (u64, Option<u64>),
) -> PartResult {
    PartResult {
        what: what.into(),
        severity,
        table: table.into(),
        column: column.into(),
        status: if broken.0 > 0 { Status::Failed } else { Status::Passed },
        violations: broken.0,
        groups: None,
        rows: broken.1,
        reason: None,
    }
}

pub(crate) fn example(table: &str, key: &[(&str, &str)], column: &str, value: Option<&str>) -> Example {
    Example {
        table: table.into(),
        key: key.iter().map(|(column, value)| ((*column).into(), (*value).into())).collect(),
        column: column.into(),
        value: value.map(str::to_owned),
        what: String::new(),
    }
}

/// A result of these parts.
pub(crate) fn result(about: About, parts: Vec<PartResult>, examples: Vec<Example>) -> CheckResult {
    let of = |status| parts.iter().any(|part: &PartResult| part.status == status);
    let status = [Status::Errored, Status::Failed, Status::Passed].into_iter().find(|status| of(*status));
    CheckResult {
        about,
        status: status.unwrap_or(Status::NotApplicable),
        violations: parts.iter().map(|part| part.violations).sum(),
        groups: parts.iter().filter_map(|part| part.groups).reduce(|a, b| a + b),
        rows: parts.iter().filter_map(|part| part.rows).sum(),
        reason: parts.iter().find_map(|part| part.reason.clone()),
        parts,
        examples,
    }
}

pub(crate) fn outcome() -> Outcome {
    use Kahn::{Completeness, Conformance, Plausibility};
    use Severity::{Blocker, Error, Info, Warning};
    let feedback = About {
        pack: "openimis/migration".into(),
        why: "The modular key on feedback refuses 0, and the load stops.".into(),
        fix: "Nothing to do by hand: the mapping turns 0 into no feedback. Elsewhere set it to NULL.".into(),
        source: "official demo: 25 of 25 claims".into(),
        tags: vec!["sentinel".into()],
        ..about("X8", "Feedback 0 stands for none", Blocker, Conformance)
    };
    let number = About {
        why: "Claims and renewals find the insuree by this number.".into(),
        fix: "Decide which record is the person; close the other with its history.".into(),
        source: "uspAPIEnterFamily, code 2".into(),
        tags: vec!["uniqueness".into()],
        ..about("I1", "Two live insurees share an insurance number", Error, Conformance)
    };
    let shared = PartResult { groups: Some(2), ..part("", "tblInsuree", "CHFID", Error, (4, Some(1_234))) };
    let premium = vec![
        PartResult { groups: Some(1), ..part("receipt used twice", "tblPremium", "Receipt", Error, (2, Some(300))) },
        part("unknown way of paying", "tblPremium", "PayType", Warning, (1, None)),
        part("without a policy", "tblPremium", "PolicyID", Error, (0, Some(300))),
    ];
    let unknown = vec![part("", "imis.unknown", "", Warning, (2, None))];
    let overlap = vec![
        part("tblPolicy", "tblPolicy", "ValidityFrom", Warning, (1, Some(98_765))),
        PartResult {
            status: Status::Errored,
            reason: Some("division by zero in tblInsuree".into()),
            rows: None,
            ..part("tblInsuree", "tblInsuree", "ValidityFrom", Warning, (0, None))
        },
    ];
    let absent = |reason: &str, table: &str| PartResult {
        status: Status::NotApplicable,
        reason: Some(reason.into()),
        rows: None,
        ..part("", table, "", Warning, (0, None))
    };
    let errored = About {
        pack: "openimis/core".into(),
        ..about("V6", "Versions of a row overlap in time", Warning, Plausibility)
    };
    Outcome {
        run: "20260131120000_abcdef".into(),
        location: "mssql://db.example.org:1433/IMIS".into(),
        engine: "SQL Server".into(),
        as_of: jiff::civil::date(2026, 1, 31),
        started: "2026-01-31T12:00:00Z".parse().unwrap(),
        seconds: 12.3456,
        packs: vec![
            PackUsed {
                name: "openimis/core".into(),
                title: "What every openIMIS database should hold".into(),
                hash: "ab".repeat(32),
            },
            PackUsed {
                name: "openimis/migration".into(),
                title: "What would block the move, or be lost".into(),
                hash: "cd".repeat(32),
            },
        ],
        parameters: vec![("insurance_number_length".into(), "9".into()), ("scheme_start".into(), "1990-01-01".into())],
        off: vec![SwitchedOff { id: "I19".into(), why: "no photos are kept in this country".into() }],
        results: vec![
            result(
                number,
                vec![shared],
                vec![
                    example("tblInsuree", &[("InsureeID", "12")], "CHFID", Some("070707070")),
                    example("tblInsuree", &[("InsureeID", "77")], "CHFID", Some("070707070")),
                ],
            ),
            result(
                about("I2", "An insuree has no insurance number", Error, Completeness),
                vec![part("", "tblInsuree", "CHFID", Error, (0, Some(1_234)))],
                Vec::new(),
            ),
            result(
                About {
                    why: "Money that nobody can trace.".into(),
                    ..about(
                        "P11",
                        "Contribution without policy, with a used receipt or an unknown way of paying",
                        Error,
                        Conformance,
                    )
                },
                premium,
                vec![
                    Example {
                        what: "receipt used twice".into(),
                        ..example("tblPremium", &[("PremiumId", "4")], "Receipt", Some("R-1"))
                    },
                    Example {
                        what: "unknown way of paying".into(),
                        ..example("tblPremium", &[("PremiumId", "9")], "PayType", Some("Z"))
                    },
                ],
            ),
            result(
                errored,
                overlap,
                vec![example("tblPolicy", &[("PolicyID", "5")], "ValidityFrom", Some("2020-01-01"))],
            ),
            result(
                about("X15", "A table or column that no release knows", Warning, Conformance),
                unknown,
                vec![example("tblInsuree", &[], "CountryExtra", None), example("tblCountry", &[], "", None)],
            ),
            result(
                about("V2", "A closed row is no version of another: it was deleted", Info, Plausibility),
                vec![part("", "tblICDCodes", "ICDCode", Info, (9, Some(123_456)))],
                vec![example("tblICDCodes", &[("ICDCode", "A00.1")], "ICDCode", Some("A00.1"))],
            ),
            result(
                about("U2", "Only the old password is there", Error, Completeness),
                vec![part("", "tblUsers", "StoredPassword", Error, (0, Some(7)))],
                Vec::new(),
            ),
            result(
                about("P14", "A control number is used twice", Error, Conformance),
                vec![absent("the database has no tblControlNumber", "tblControlNumber")],
                Vec::new(),
            ),
            result(
                feedback,
                vec![part("", "tblClaim", "FeedbackID", Blocker, (25, Some(25)))],
                (1..=5)
                    .map(|id| example("tblClaim", &[("ClaimID", &id.to_string())], "FeedbackID", Some("0")))
                    .collect(),
            ),
        ],
        tables: vec![
            TableRead { table: "tblInsuree".into(), rows: 1_500, refused: 0 },
            TableRead { table: "tblPremium".into(), rows: 300, refused: 0 },
            TableRead { table: "tblPolicy".into(), rows: 98_765, refused: 2 },
            TableRead { table: "tblClaim".into(), rows: 25, refused: 0 },
            TableRead { table: "tblICDCodes".into(), rows: 123_456, refused: 0 },
        ],
        notes: vec!["tblPhotos could not be read: permission denied".into()],
    }
}

/// What became of them since an earlier run.
pub(crate) fn comparison() -> Comparison {
    let check = |id: &str, before, change| CheckChange { id: id.into(), before, change };
    let none = Change::default();
    Comparison {
        run: "20251231120000_fedcba".into(),
        location: "mssql://db.example.org:1433/IMIS".into(),
        as_of: "2025-12-31".into(),
        started: "2025-12-31T12:00:00Z".into(),
        total: Change { new: 3, still: 28, gone: 9, counted_before: 12, counted_now: 9, only_before: 0, only_now: 2 },
        checks: vec![
            check("I1", Some(Status::Failed), Change { new: 1, still: 3, gone: 2, ..none }),
            check("X8", Some(Status::Failed), Change { still: 25, ..none }),
            check("P11", Some(Status::Passed), Change { new: 2, ..none }),
            check("I2", Some(Status::Failed), Change { gone: 7, ..none }),
            check("V2", Some(Status::Failed), Change { counted_before: 12, counted_now: 9, ..none }),
            check("X15", None, Change { only_now: 2, ..none }),
        ],
        notes: vec!["openimis/core changed between the runs".into()],
    }
}

/// A check, explained.
pub(crate) fn explained() -> ExplainedCheck {
    let mut about = outcome().results[2].about.clone();
    about.fix = "Ask the officer for the receipt book.".into();
    let part = |what: &str, kind: &str, sql: &str| ExplainedPart {
        what: what.into(),
        severity: about.severity,
        table: "tblPremium".into(),
        kind: kind.into(),
        condition: Some("ValidityTo is null".into()),
        sql: sql.into(),
        example: vec!["PremiumId".into(), "Receipt".into()],
        reason: None,
    };
    let parts = vec![
        part(
            "receipt used twice",
            "no two rows have the same Receipt",
            "select \"PremiumId\"\n\tfrom \"tblPremium\"\u{1b}[2J\n where \"Receipt\" in (select 1)",
        ),
        ExplainedPart {
            sql: String::new(),
            example: Vec::new(),
            reason: Some("the database has no column PayType".into()),
            ..part("unknown way of paying", "PayType is one of C, B, M, F", "")
        },
    ];
    ExplainedCheck { about, parameters: vec![("receipt_length".into(), "8".into())], off: None, parts }
}

/// A run with `many` failed checks on as many tables, each with some parts, examples and a long text, and as many violations as
/// `each` says.
pub(crate) fn country(many: u64, each: u64) -> Outcome {
    let known = ["tblInsuree", "tblPolicy", "tblClaim", "tblPremium", "tblLocations", "tblHF", "country_table"];
    let severities = [Severity::Info, Severity::Warning, Severity::Error, Severity::Blocker];
    let kahn = [Kahn::Conformance, Kahn::Completeness, Kahn::Plausibility];
    let pick = |place: u64, all: usize| usize::try_from(place).unwrap() % all;
    let mut outcome = outcome();
    for place in 0..many {
        let table = known[pick(place, known.len())];
        let severity = severities[pick(place / 7, 4)];
        let text = "A sentence that says why this matters to the people who work with the database, at some length. ";
        let about = About {
            why: text.repeat(2),
            fix: text.repeat(2),
            source: "a procedure of legacy".into(),
            ..about(
                &format!("Z{place}"),
                &format!("Something is wrong with {table} in way {place}"),
                severity,
                kahn[pick(place, 3)],
            )
        };
        let parts = (0..=place % 4)
            .map(|at| part(&format!("part {at}"), table, "Column", severity, (each, Some(each * (place % 50 + 1)))));
        let examples =
            (1..=5).map(|key| example(table, &[("Id", &(place + key).to_string())], "Column", Some("planted-value")));
        outcome.results.push(result(about, parts.collect(), examples.collect()));
    }
    outcome
}
