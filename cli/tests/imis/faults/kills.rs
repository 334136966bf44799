//! The process is killed at every place that matters, in all phases.

use std::sync::Arc;

use futures::{StreamExt, stream};

use super::Stage;
use crate::harness::Desk;

/// How many cases go on at once.
const AT_ONCE: usize = 3;

/// Places, and at which visits the process is killed there.
const IN_A_RUN: &[(&str, &[u32])] = &[
    ("lock-taken", &[1]),
    ("prepare-noted", &[1]),
    ("prepare-images", &[1]),
    ("prepare-keys", &[1]),
    ("prepare-indexes", &[1]),
    ("prepare-committed", &[1]),
    ("load-begun", &[1, 5, 9]),
    ("load-written", &[1, 6]),
    ("load-copied", &[2, 7]),
    ("load-noted", &[3, 8]),
    ("load-committed", &[1, 4, 10]),
    ("update-done", &[1]),
    ("update-committed", &[1]),
    ("settle-done", &[1, 2]),
    ("settle-committed", &[1, 2]),
    ("keys-begun", &[1, 2]),
    ("keys-held", &[1, 3, 5]),
    ("keys-noted", &[1, 2]),
    ("keys-committed", &[1, 2]),
    ("finish-put-back", &[1, 3, 6]),
    ("finish-piece-committed", &[1, 3, 6]),
    ("finish-generators", &[1]),
    ("finish-noted", &[1]),
    ("finish-committed", &[1]),
    ("finish-analyzed", &[1, 3]),
    ("account-counted", &[1]),
    ("account-written", &[1]),
    ("account-committed", &[1]),
];

const IN_AN_UNDO: &[(&str, &[u32])] = &[
    ("lock-taken", &[]),
    ("undo-dropped", &[1]),
    ("undo-emptied", &[1, 3]),
    ("finish-put-back", &[1, 4]),
    ("undo-noted", &[1]),
    ("undo-committed", &[1]),
];

fn all(places: &'static [(&'static str, &'static [u32])]) -> impl Iterator<Item = (&'static str, u32)> {
    places.iter().flat_map(|(place, visits)| visits.iter().map(|visit| (*place, *visit)))
}

/// A desk at which the process dies there.
fn deadly(place: &str, visit: u32) -> Desk {
    let points = format!("{place}={}*off->return", visit - 1);
    let desk = Desk::new().with("IMIS_MSSQL_PASSWORD", super::PASSWORD).with("FAILPOINTS", &points);
    desk.write("faults.yaml", super::MAPPING);
    desk
}

impl Stage {
    #[track_caller]
    fn killed(&self, database: &str, place: &str, visit: u32, more: &[&str]) {
        let url = imis_fixtures::postgres::Cluster::shared().url(database);
        let said = self.imis_at(&url, &deadly(place, visit), more);
        assert_eq!(said.signal, Some(9), "{place} {visit}: {} {}{}", said.code, said.stdout, said.stderr);
    }

    /// Killed and taken back, killed again and gone on with.
    async fn survives(&self, place: &str, visit: u32) {
        let what = format!("{place} {visit}");
        let database = self.target().await;
        self.killed(&database, place, visit, &["migrate"]);
        let undone = self.undo(&database);
        if undone.code != 0 {
            // The run was not there yet.
            undone.failed(2, "there is no run to undo", &[]);
        }
        self.is_untouched(&database, &what);

        self.killed(&database, place, visit, &["migrate"]);
        let resumed = self.imis(&database, &["migrate", "--resume", "--json"]);
        // A run that was over before it died has nothing more to say.
        if place != "account-committed" {
            assert_eq!(resumed.code, 3, "{what}: {}{}", resumed.stdout, resumed.stderr);
            assert_eq!(resumed.json()["balances"], true, "{what}");
        }
        self.is_well(&database, &what);
    }

    /// An undo that is killed has happened or not, and can be done again.
    async fn undo_survives(&self, place: &str, visit: u32) {
        let what = format!("undo, {place} {visit}");
        let database = self.target().await;
        self.imis(&database, &["migrate"]).failed(3, "rejected", &[]);
        let url = imis_fixtures::postgres::Cluster::shared().url(&database);
        let said = deadly(place, visit).imis(&["migrate", "--undo", "--to", &url]);
        assert_eq!(said.signal, Some(9), "{what}: {} {}{}", said.code, said.stdout, said.stderr);
        let again = self.undo(&database);
        if place == "undo-committed" {
            again.failed(2, "there is no run to undo", &[]);
        } else {
            again.done();
        }
        self.is_untouched(&database, &what);
        self.imis(&database, &["migrate"]).failed(3, "rejected", &[]);
        self.is_well(&database, &what);
    }
}

/// A run that was killed when its rows were all there: somebody who worked with them since does not lose anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_finished_is_not_taken_back_under_others() {
    let stage = Stage::new("others").await;
    let database = stage.target().await;
    stage.killed(&database, "finish-committed", 1, &["migrate"]);
    let client = imis_fixtures::postgres::Cluster::shared().connect(&database).await.unwrap();
    client.batch_execute("INSERT INTO bystanders VALUES (77, 1)").await.unwrap();
    stage.undo(&database).failed(3, "rows of bystanders were added or changed", &[]);
    // Nor when the run was taken up in between.
    let resumed = stage.imis(&database, &["migrate", "--resume", "--json"]);
    assert_eq!((resumed.code, &resumed.json()["balances"]), (3, &true.into()), "{}", resumed.stderr);
    stage.undo(&database).failed(3, "rows of bystanders were added or changed", &[]);
    client.batch_execute("DELETE FROM bystanders WHERE id = 77").await.unwrap();
    stage.undo(&database).done();
    stage.is_untouched(&database, "taken back");

    // Rows that are gone leave no trace but their number.
    stage.killed(&database, "finish-committed", 1, &["migrate"]);
    client.batch_execute("DELETE FROM lines WHERE id = 1").await.unwrap();
    stage.undo(&database).failed(3, "lines had", &[]);
}

/// Keys and indexes come back piece by piece; some before the keys are held. What is back is known, whoever goes on.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_back_is_known() {
    let stage = Stage::new("pieces").await;
    let back = async |database: &str| {
        let client = imis_fixtures::postgres::Cluster::shared().connect(database).await.unwrap();
        let sql = "SELECT coalesce(string_agg(name, ' ' ORDER BY position) FILTER (WHERE back), ''), \
                   count(*) FILTER (WHERE NOT back) FROM imis_migration.dropped WHERE kind <> 'column'";
        let row = client.query_one(sql, &[]).await.unwrap();
        (row.get::<_, String>(0), row.get::<_, i64>(1))
    };
    // The primary key of the large table holds; its codes stand twice, so that their index waits until they do not.
    let database = stage.target().await;
    stage.killed(&database, "keys-begun", 1, &["migrate"]);
    let (there, left) = back(&database).await;
    assert_eq!(there, "public.rows_pkey");
    assert!(left > 10, "{left}");
    stage.undo(&database).done();
    stage.is_untouched(&database, "only the primary key was back");

    // In the middle; then with one connection and with more than there are tables.
    for jobs in ["1", "9"] {
        let database = stage.target().await;
        stage.killed(&database, "finish-piece-committed", 5, &["migrate", "--jobs", jobs]);
        let (there, left) = back(&database).await;
        assert!(there.contains("story_low") && left > 2, "{there}, {left} left");
        let resumed = stage.imis(&database, &["migrate", "--resume", "--json", "--jobs", jobs]);
        assert_eq!((resumed.code, &resumed.json()["balances"]), (3, &true.into()), "{}", resumed.stderr);
        assert_eq!(back(&database).await.0.matches("rows_pkey").count(), 2, "an index and what rests on it");
        stage.is_well(&database, "gone on with");
        stage.undo(&database).done();
        stage.is_untouched(&database, "taken back");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn killed_anywhere_a_run_is_taken_up_or_taken_back() {
    let stage = Arc::new(Stage::new("kills").await);
    let cases = all(IN_A_RUN).count() + all(IN_AN_UNDO).count();
    assert!(cases >= 40, "{cases}");
    let runs = all(IN_A_RUN).map(|case| (false, case)).chain(all(IN_AN_UNDO).map(|case| (true, case)));
    stream::iter(runs)
        .map(|(undo, (place, visit))| {
            let stage = Arc::clone(&stage);
            // The command blocks its thread.
            tokio::spawn(async move {
                match undo {
                    false => stage.survives(place, visit).await,
                    true => stage.undo_survives(place, visit).await,
                }
            })
        })
        .buffer_unordered(AT_ONCE)
        .for_each(|done| async { done.unwrap() })
        .await;
}
