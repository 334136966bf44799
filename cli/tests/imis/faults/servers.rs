//! PostgreSQL as a target that misbehaves: it restarts, its disk is full, it has time limits and locks.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use imis_fixtures::postgres::Cluster;
use imis_fixtures::sqlserver::{Fault, FaultKind};

use super::{Stage, TARGET, ranges_are_in};

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_target_is_restarted_in_the_middle() {
    let stage = Stage::new("restarts").await;
    let cluster = Arc::new(tokio::task::spawn_blocking(|| Cluster::start().unwrap()).await.unwrap());
    let slow = Fault { statement: "[Story]".into(), kind: FaultKind::Delay(Duration::from_millis(250)), times: None };
    stage.server.fault(slow);
    for how in ["fast", "immediate"] {
        cluster.create_database(how).await.unwrap();
        cluster.connect(how).await.unwrap().batch_execute(TARGET).await.unwrap();
        let restarting = Arc::clone(&cluster);
        let restart = tokio::spawn(async move {
            ranges_are_in(&restarting, how, 3).await;
            tokio::task::block_in_place(|| restarting.restart(how, Duration::from_millis(800)).unwrap());
        });
        let migrate = || stage.imis_at(&cluster.url(how), &stage.desk, &["migrate", "--rows-a-range", "20"]);
        let said = tokio::task::block_in_place(migrate);
        restart.await.unwrap();
        assert_eq!(said.code, 3, "{how}: {}{}", said.stdout, said.stderr);
        assert!(said.stderr.contains("trying again"), "{how}: {}", said.stderr);
        let verified = stage.imis_at(&cluster.url(how), &stage.desk, &["verify"]);
        assert_eq!(verified.code, 0, "{how}: {}{}", verified.stdout, verified.stderr);
    }
}

/// A disk of a few megabytes that goes when the test ends.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: PathBuf) -> Option<Self> {
        std::fs::create_dir(&folder).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m,mode=0777", "tmpfs"]).arg(&folder).output();
        mounted.is_ok_and(|done| done.status.success()).then_some(SmallDisk(folder))
    }

    fn grow(&self) {
        let done = Command::new("mount").args(["-o", "remount,size=64m"]).arg(&self.0).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_targets_disk_is_full() {
    let stage = Stage::new("disks").await;
    // A cluster of its own: the tablespace must be gone before the folder goes.
    let cluster = tokio::task::spawn_blocking(|| Cluster::start().unwrap()).await.unwrap();
    let Some(disk) = SmallDisk::mount(cluster.socket_folder().join("small")) else {
        eprintln!("SKIPPED: no disk can be mounted here, so a full one cannot be tried (it takes root)");
        return;
    };
    let owned = Command::new("chown").arg("--reference").arg(cluster.socket_folder()).arg(&disk.0).status().unwrap();
    assert!(owned.success());
    let admin = cluster.connect("postgres").await.unwrap();
    admin.batch_execute(&format!("CREATE TABLESPACE small LOCATION '{}'", disk.0.display())).await.unwrap();
    cluster.create_database("full").await.unwrap();
    let client = cluster.connect("full").await.unwrap();
    client.batch_execute(TARGET).await.unwrap();
    client
        .batch_execute(
            "ALTER TABLE rows SET TABLESPACE small; CREATE TABLE ballast (x text) TABLESPACE small; \
             DO $$ BEGIN FOR i IN 1..1000 LOOP \
                 BEGIN INSERT INTO ballast SELECT repeat('x', 1000) FROM generate_series(1, 7); \
                 EXCEPTION WHEN disk_full THEN EXIT; END; \
             END LOOP; END $$",
        )
        .await
        .unwrap();
    drop(client);
    let url = cluster.url("full");
    let said = stage.imis_at(&url, &stage.desk, &["migrate"]);
    assert!(said.stderr.contains("disk is full") && said.stderr.contains("--resume"), "{} {}", said.code, said.stderr);
    assert_eq!(said.code, 1, "{}", said.stderr);
    // Still full: the same again, and what is there can be taken back.
    let said = stage.imis_at(&url, &stage.desk, &["migrate", "--resume"]);
    assert!(said.code == 1 && said.stderr.contains("disk is full"), "{} {}", said.code, said.stderr);
    disk.grow();
    stage.imis_at(&url, &stage.desk, &["migrate", "--resume"]).failed(3, "rejected", &[]);
    let verified = stage.imis_at(&url, &stage.desk, &["verify"]);
    assert_eq!(verified.code, 0, "{}{}", verified.stdout, verified.stderr);
    drop(admin);
    drop(cluster);
}

#[tokio::test(flavor = "multi_thread")]
async fn time_limits_and_locks_of_the_target() {
    let stage = Stage::new("locks").await;
    let database = stage.target().await;
    let admin = Cluster::shared().connect("postgres").await.unwrap();
    // Limits that suit a web server must not end a load.
    admin
        .batch_execute(&format!(
            "ALTER DATABASE {database} SET statement_timeout = '1ms'; \
             ALTER DATABASE {database} SET idle_in_transaction_session_timeout = '1ms'; \
             ALTER DATABASE {database} SET lock_timeout = '1ms'"
        ))
        .await
        .unwrap();
    stage.imis(&database, &["migrate"]).failed(3, "rejected", &[]);
    stage.is_well(&database, "time limits");

    // Somebody holds a lock for a while.
    let database = stage.target().await;
    let other = Cluster::shared().connect(&database).await.unwrap();
    other.batch_execute("BEGIN; LOCK TABLE rows IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let release = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        other.batch_execute("COMMIT").await.unwrap();
    });
    let said = tokio::task::block_in_place(|| stage.imis(&database, &["migrate"]));
    release.await.unwrap();
    said.failed(3, "rejected", &[]);
    stage.is_well(&database, "a lock");

    // Two runs at once: the second is told so and touches nothing.
    let database = stage.target().await;
    let first = Cluster::shared().connect(&database).await.unwrap();
    first.batch_execute(&format!("SELECT pg_advisory_lock({})", 0x696d_6973)).await.unwrap();
    stage.imis(&database, &["migrate"]).failed(1, "another imis is at work", &[]);
    stage.is_untouched(&database, "locked out");
    drop(first);
}
