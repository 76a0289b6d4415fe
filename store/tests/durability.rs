//! What was acknowledged is there: after `kill -9`, around a full disk, and in the system calls.
//!
//! A child process, this same binary, writes and says on its standard output what was acknowledged.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Lines, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use offhook_store::{Document, Kind, Store, StoreOptions};
use serde_json::json;
use uuid::Uuid;

const FOLDER: &str = "OFFHOOK_TEST_STORE_FOLDER";
/// Number of the first document that the child writes.
const FIRST: &str = "OFFHOOK_TEST_STORE_FIRST";
/// How many writers the child runs at the same time.
const WRITERS: &str = "OFFHOOK_TEST_STORE_WRITERS";

/// Every so many documents, one outgrows the engine's pages.
const LARGE_EVERY: u128 = 16;
const LARGE_BYTES: usize = 200_000;

/// Life of a child that nobody kills, so that no failing test waits for ever.
const CHILD_LIFE: Duration = Duration::from_secs(60);

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = HashSet::new();
    for round in 0..6_u128 {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child = Writing::start(&mut command, folder.path(), round * 1_000_000, 4);
        acknowledged.extend(child.acknowledgements().take(40 + 17 * round as usize));
        child.kill();
        acknowledged.extend(child.acknowledgements());
        check(folder.path(), &acknowledged);
    }
    assert!(acknowledged.len() > 300);
}

#[test]
fn a_full_disk_is_an_error_until_there_is_room_again_and_costs_nothing_acknowledged() {
    if let Err(missing) = Command::new("prlimit").arg("--version").output() {
        eprintln!("SKIPPED: `prlimit` is needed to limit the size of files: {missing}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -S -f 4096; exec \"$0\" \"$@\""]);
    command.arg(std::env::current_exe().unwrap());
    let mut child = Writing::start(&mut command, folder.path(), 0, 1);
    let mut acknowledged = HashSet::new();

    let full = child.lines().find(|line| {
        acknowledged.extend(acknowledgement(line));
        line.starts_with("error")
    });
    let full = full.expect("the file size limit is reached");
    assert!(full.contains("free space"), "{full}");
    child.lines().find(|line| line.starts_with("lost")).expect("losses of the journal are counted");

    let pid = child.process.id().to_string();
    let freed = Command::new("prlimit").args(["--fsize=unlimited", "--pid", &pid]).status();
    assert!(freed.unwrap().success());
    acknowledged.extend(child.acknowledgements().take(20));
    child.kill();
    check(folder.path(), &acknowledged);
}

#[test]
fn a_document_is_synced_through_to_the_disk_before_it_is_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-e", "trace=write,fsync,fdatasync", "-o"]).arg(&trace);
    command.arg(std::env::current_exe().unwrap());
    if let Err(missing) = Command::new("strace").args(["-o", "/dev/null", "true"]).output() {
        eprintln!("SKIPPED: `strace` is needed to see system calls: {missing}");
        return;
    }
    let mut child = Writing::start(&mut command, &folder.path().join("store"), 0, 1);
    let acknowledged = child.acknowledgements().take(LARGE_EVERY as usize * 2).count();
    if acknowledged == 0 {
        eprintln!("SKIPPED: `strace` may not trace processes here");
        return;
    }
    // The traced process is the grandchild; without readers of its output it ends by itself.
    drop(child);

    let trace = std::fs::read_to_string(&trace).unwrap();
    let (mut log_synced, mut checked) = (false, 0);
    for line in trace.lines() {
        if line.contains("fdatasync(") && line.contains("/store/db>") {
            log_synced = true;
        } else if line.contains("write(1") && line.contains("acknowledged") {
            assert!(std::mem::take(&mut log_synced), "acknowledged without a sync: {line}");
            checked += 1;
        }
    }
    assert!(checked >= acknowledged, "{checked} of {acknowledged} acknowledgements seen");
}

#[test]
#[ignore = "the child process of the other tests"]
fn child_process() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let number = |name| std::env::var(name).unwrap().parse::<u128>().unwrap();
    let (first, writers) = (number(FIRST), number(WRITERS));
    let options =
        StoreOptions { reopen_every: Duration::from_millis(200), ..StoreOptions::default() };
    let store = Store::open(Path::new(&folder), options).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for writer in 0..writers {
            tasks
                .spawn(write_until_killed(store.clone(), (first + writer..).step_by(writers as _)));
        }
        // The tests see that it ended; it does not matter to it why.
        let _ended = tokio::time::timeout(CHILD_LIFE, tasks.join_all()).await;
    });
}

/// Ends when nobody reads what it says.
async fn write_until_killed(store: Store, numbers: impl Iterator<Item = u128>) {
    let journal = store.journal(Uuid::max());
    for number in numbers {
        journal.append(number.to_string().into());
        let line = match write_all_kinds(&store, number).await {
            Ok(()) => format!("acknowledged {number}\n"),
            Err(error) if journal.lost() == 0 => format!("error {error}\n"),
            Err(error) => format!("error {error}\nlost {}\n", journal.lost()),
        };
        if std::io::stdout().write_all(line.as_bytes()).is_err() {
            return;
        }
    }
}

async fn write_all_kinds(store: &Store, number: u128) -> Result<(), offhook_store::StoreError> {
    let id = Uuid::from_u128(number);
    store.outbox_add(id, number.to_string().into()).await?;
    store.journal(id).append_durable(number.to_string().into()).await?;
    store.put(document(number)).await
}

fn document(number: u128) -> Document {
    let length = if number.is_multiple_of(LARGE_EVERY) { LARGE_BYTES } else { 1_000 };
    Document {
        org: "org".into(),
        kind: Kind::Call,
        id: Uuid::from_u128(number),
        created_at_ms: number as i64,
        updated_at_ms: number as i64,
        body: json!({"text": "x".repeat(length)}),
    }
}

#[tokio::main]
async fn check(folder: &Path, acknowledged: &HashSet<u128>) {
    let stray = std::fs::read_dir(folder.join("blobs")).unwrap().count();
    assert_eq!(stray, 0, "the engine keeps values in files that nobody syncs");
    let store = Store::open(folder, StoreOptions::default()).unwrap();
    let pending = store.outbox_pending().await.unwrap();
    assert!(pending.is_sorted_by(|a, b| a.sequence < b.sequence));
    let pending: HashSet<u128> = pending.iter().map(|row| row.call.as_u128()).collect();
    for &number in acknowledged {
        let id = Uuid::from_u128(number);
        let found = store.get("org", Kind::Call, id).await.unwrap();
        assert_eq!(found, Some(document(number)), "document {number}");
        assert!(pending.contains(&number), "event {number}");
        let journal = store.read_journal(id).await.unwrap();
        assert_eq!(journal, [number.to_string().into_bytes()], "journal {number}");
    }
    store.close().await.unwrap();
}

/// The child process; killed when dropped.
struct Writing {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Writing {
    fn start(command: &mut Command, folder: &Path, first: u128, writers: u128) -> Self {
        let mut process = command
            .args(["--exact", "child_process", "--ignored", "--nocapture"])
            .env(FOLDER, folder)
            .env(FIRST, first.to_string())
            .env(WRITERS, writers.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    fn lines(&mut self) -> impl Iterator<Item = String> {
        self.lines.by_ref().map_while(Result::ok)
    }

    fn acknowledgements(&mut self) -> impl Iterator<Item = u128> {
        self.lines().filter_map(|line| acknowledgement(&line))
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        // Already gone in most tests.
        let _killed = self.process.kill();
        let _waited = self.process.wait();
    }
}

fn acknowledgement(line: &str) -> Option<u128> {
    line.strip_prefix("acknowledged ")?.parse().ok()
}
