//! Lines that break, on either side, wherever they can: the run tries again from its last whole range.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use imis_fixtures::line::{Cut, Line};
use imis_fixtures::postgres::Cluster;
use imis_fixtures::sqlserver::{Fault, FaultKind, SqlError};

use super::{Stage, ranges_are_in};
use crate::harness::Said;

/// Packets of the longest answer, as the server cuts it; one more cuts nothing.
const PACKETS: u64 = 16;

#[tokio::test(flavor = "multi_thread")]
async fn the_source_breaks_off_after_every_packet() {
    let stage = Stage::new("packets").await;
    let mut broke = 0;
    for packets in 0..=PACKETS {
        let database = stage.target().await;
        stage.server.fault(Fault::once("[Story]", FaultKind::Cut { after_packets: packets }));
        // Everything in one range, so that the answer has many packets.
        let said = stage.imis(&database, &["migrate", "--rows-a-range", "1000"]);
        assert_eq!(said.code, 3, "after {packets} packets: {}{}", said.stdout, said.stderr);
        broke += u64::from(said.stderr.contains("trying again"));
        stage.server.clear_faults();
        stage.is_well(&database, &format!("cut after {packets} packets"));
    }
    assert!(broke >= 10, "only {broke} of the cuts were met");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_target_breaks_off_anywhere() {
    let stage = Arc::new(Stage::new("lines").await);
    let mut cuts: Vec<Cut> = [0, 100, 1_000, 4_000, 12_000, 20_000, 24_000].map(Cut::Sent).to_vec();
    cuts.extend([0, 300, 1_200, 5_000].map(Cut::Answered));
    // The range, the keys, the end: done, and nobody heard of it.
    cuts.extend(
        ["COMMIT\0", "imis_migration.range ", "DELETE FROM imis_broken", "ADD CONSTRAINT"]
            .map(|words| Cut::InsteadOfAnswerTo(words.as_bytes().to_vec())),
    );
    stream::iter(cuts)
        .map(|cut| {
            let stage = Arc::clone(&stage);
            tokio::spawn(async move {
                let database = stage.target().await;
                let line = Line::to(Cluster::shared().port()).unwrap();
                let url = Cluster::shared()
                    .url(&database)
                    .replace(&format!(":{}/", Cluster::shared().port()), &format!(":{}/", line.port()));
                line.cut(cut.clone());
                let said = stage.imis_at(&url, &stage.desk, &["migrate"]);
                assert!(line.is_cut(), "{cut:?} was not met");
                if said.code == 5 {
                    // It broke before there was anything to go on with.
                    let what = format!("{cut:?}: {}", said.stderr);
                    assert!(said.stderr.contains("PostgreSQL"), "{what}");
                    stage.is_untouched(&database, &what);
                    stage.imis_at(&url, &stage.desk, &["migrate"]).failed(3, "rejected", &[]);
                } else {
                    assert_eq!(said.code, 3, "{cut:?}: {}{}", said.stdout, said.stderr);
                    assert!(said.stderr.contains("trying again"), "{cut:?}: {}", said.stderr);
                }
                stage.is_well(&database, &format!("{cut:?}"));
            })
        })
        .buffer_unordered(3)
        .for_each(|done| async { done.unwrap() })
        .await;
}

/// What a source may say in the middle of an answer, and whether it is worth another try.
#[tokio::test(flavor = "multi_thread")]
async fn the_source_has_troubles_that_pass_and_others() {
    let stage = Stage::new("troubles").await;
    let passing = [(1205, 13), (1222, 16), (701, 17), (40197, 17), (6005, 21), (21, 24)];
    let lasting = [(229, 14, 5, "permission denied"), (208, 16, 4, "does not have it"), (605, 16, 1, "error 605")];
    for (number, class) in passing {
        let database = stage.target().await;
        let error = SqlError::new(number, "the server has a bad moment").class(class);
        stage.server.fault(Fault::once("[Story]", FaultKind::Error { after_rows: 33, error }));
        let said = stage.imis(&database, &["migrate"]);
        assert_eq!(said.code, 3, "{number}: {}{}", said.stdout, said.stderr);
        assert!(said.stderr.contains("trying again"), "{number}: {}", said.stderr);
        stage.is_well(&database, &format!("error {number}"));
    }
    for (number, class, code, says) in lasting {
        let database = stage.target().await;
        let error = SqlError::new(number, "the server says no").class(class);
        let fault =
            Fault { statement: "[Story]".into(), kind: FaultKind::Error { after_rows: 33, error }, times: None };
        stage.server.fault(fault);
        let began = Instant::now();
        let said = stage.imis(&database, &["migrate"]).failed(code, says, &[]);
        assert!(!said.stderr.contains("trying again"), "{number}: {}", said.stderr);
        assert!(began.elapsed() < Duration::from_secs(30), "{number}");
        stage.server.clear_faults();
        stage.imis(&database, &["migrate", "--resume"]).failed(3, "rejected", &[]);
        stage.is_well(&database, &format!("error {number}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_interrupted_says_so_and_is_taken_up() {
    let stage = Stage::new("interrupted").await;
    let database = stage.target().await;
    let slow = Fault { statement: "[Story]".into(), kind: FaultKind::Delay(Duration::from_millis(700)), times: None };
    stage.server.fault(slow);
    let arguments = stage.arguments(&Cluster::shared().url(&database), &["migrate"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let child = stage.desk.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Interrupted when the first ranges are in and others are on their way.
    ranges_are_in(Cluster::shared(), &database, 4).await;
    let process = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &process]).status().unwrap().success());
    let said = Said::of(child.wait_with_output().unwrap());
    let said = said.failed(130, "broken off", &[]);
    assert!(said.stderr.contains("--resume") && said.stderr.contains("--undo"), "{}", said.stderr);
    stage.server.clear_faults();

    stage.imis(&database, &["migrate"]).failed(3, "is not finished", &[]);
    stage.imis(&database, &["migrate", "--resume"]).failed(3, "rejected", &[]);
    stage.is_well(&database, "interrupted");
}
