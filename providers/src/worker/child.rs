//! The parent's side of a child process.

use std::{
    ffi::OsStr,
    io,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use offhook_core::FailureClass;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncReadExt, BufReader},
    process::{self, ChildStderr, ChildStdin, ChildStdout},
    task::JoinHandle,
    time::timeout,
};

use super::{
    Reply,
    frame::{self, Frame},
};
use crate::ProviderError;

/// Longest wait for a worker to load its library and model: 0.06 s measured, and half a second
/// with an open language model.
const READY_LIMIT: Duration = Duration::from_secs(10);

/// Longest wait for a worker to take a frame from its pipe. The pipe holds 64 KiB, two seconds of
/// audio, and a worker is ten times faster than real time: one that leaves it full is stuck.
const WRITE_LIMIT: Duration = Duration::from_secs(5);

/// Longest wait for the exit status of a child that closed its output.
const EXIT_LIMIT: Duration = Duration::from_millis(500);

/// What is kept of a child's standard error, in bytes: enough for its first line.
const STDERR_KEPT: usize = 1024;

/// A child process; dropping it kills it.
pub(crate) struct Child {
    name: String,
    process: process::Child,
    pub stdin: Option<ChildStdin>,
    pub stdout: BufReader<ChildStdout>,
    stderr: JoinHandle<String>,
}

impl Child {
    /// Starts a program, called `name` in errors.
    pub fn spawn<S: AsRef<OsStr>>(
        name: String,
        program: &Path,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Self, ProviderError> {
        let mut process = process::Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| {
                ProviderError::new(FailureClass::Unavailable, format!("starting {name}: {e}"))
            })?;
        let stdout = process.stdout.take().expect("stdout is piped");
        let stderr = process.stderr.take().expect("stderr is piped");
        Ok(Self {
            name,
            stdin: process.stdin.take(),
            stdout: BufReader::new(stdout),
            stderr: tokio::spawn(first_line(stderr)),
            process,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the child ended: its status and the first line of its standard error.
    pub async fn obituary(&mut self) -> String {
        let status = match timeout(EXIT_LIMIT, self.process.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(e)) => format!("unknown exit status ({e})"),
            Err(_) => "closed its output without exiting".into(),
        };
        match timeout(EXIT_LIMIT, &mut self.stderr).await {
            Ok(Ok(line)) if !line.is_empty() => format!("{}: {status}: {line}", self.name),
            Ok(_) | Err(_) => format!("{}: {status}", self.name),
        }
    }

    /// The exit status and the first line of standard error, after the output was read to its end.
    pub async fn exited(&mut self) -> Result<(ExitStatus, String), ProviderError> {
        match timeout(EXIT_LIMIT, self.process.wait()).await {
            Ok(Ok(status)) => Ok((status, self.obituary().await)),
            Ok(Err(_)) | Err(_) => {
                let obituary = self.obituary().await;
                Err(ProviderError::new(FailureClass::Stalled, obituary))
            }
        }
    }
}

/// A worker of ours, ready to work.
pub(crate) struct Worker {
    child: Child,
}

impl Worker {
    /// Starts a worker with its settings and waits until it is ready.
    pub async fn start(
        program: &Path,
        name: &str,
        settings: &impl Serialize,
    ) -> Result<Self, ProviderError> {
        let child = Child::spawn(format!("worker {name}"), program, ["worker", name])?;
        let mut worker = Self { child };
        worker.send(&Frame::json(settings)).await?;
        match timeout(READY_LIMIT, worker.receive_reply::<()>()).await {
            Ok(Ok(Reply::Ready)) => Ok(worker),
            Ok(Ok(Reply::Failed(failed))) => Err(ProviderError::new(failed.class, failed.detail)),
            Ok(Ok(Reply::Event(()))) => {
                Err(worker.failure(FailureClass::Protocol, "spoke before it was ready"))
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(worker.failure(
                FailureClass::Timeout,
                &format!("not ready within {} s", READY_LIMIT.as_secs()),
            )),
        }
    }

    pub fn child(&self) -> &Child {
        &self.child
    }

    /// Both directions, to be driven at the same time.
    pub fn split(self) -> (Child, ChildStdin) {
        let mut child = self.child;
        let stdin = child.stdin.take().expect("its input is taken once");
        (child, stdin)
    }

    pub async fn send(&mut self, frame: &Frame) -> Result<(), ProviderError> {
        let stdin = self.child.stdin.as_mut().expect("its input is open until it is split");
        let Err(error) = send(stdin, frame).await else { return Ok(()) };
        if error.class != FailureClass::Closed {
            return Err(error);
        }
        // The worker left: its own account of it is better than that of a broken pipe.
        match timeout(2 * EXIT_LIMIT, self.receive_reply::<()>()).await {
            Ok(Ok(Reply::Failed(failed))) => Err(ProviderError::new(failed.class, failed.detail)),
            Ok(Err(told)) => Err(told),
            Ok(Ok(Reply::Ready | Reply::Event(()))) | Err(_) => Err(error),
        }
    }

    /// The next frame; that the worker ended is an error that says how.
    pub async fn receive(&mut self) -> Result<Frame, ProviderError> {
        match receive(&mut self.child).await? {
            Some(frame) => Ok(frame),
            None => Err(ProviderError::new(FailureClass::Closed, self.child.obituary().await)),
        }
    }

    fn failure(&self, class: FailureClass, what: &str) -> ProviderError {
        ProviderError::new(class, format!("{}: {what}", self.child.name))
    }

    async fn receive_reply<E: DeserializeOwned>(&mut self) -> Result<Reply<E>, ProviderError> {
        let frame = self.receive().await?;
        reply(&self.child, &frame)
    }
}

/// Hands a frame to a worker.
pub(crate) async fn send(stdin: &mut ChildStdin, frame: &Frame) -> Result<(), ProviderError> {
    match timeout(WRITE_LIMIT, frame::write_async(stdin, frame)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(e)) => {
            Err(ProviderError::new(FailureClass::Closed, format!("writing to a worker: {e}")))
        }
        Err(_) => Err(ProviderError::new(
            FailureClass::Stalled,
            format!("a worker took nothing for {} s", WRITE_LIMIT.as_secs()),
        )),
    }
}

/// The next frame; `None` when the worker closed its output, as it does when it ends.
pub(crate) async fn receive(child: &mut Child) -> Result<Option<Frame>, ProviderError> {
    match frame::read_async(&mut child.stdout).await {
        Ok(frame) => Ok(frame),
        Err(e) if e.kind() == io::ErrorKind::InvalidData => {
            Err(ProviderError::new(FailureClass::Protocol, format!("{}: {e}", child.name)))
        }
        Err(_) => Err(ProviderError::new(FailureClass::Closed, child.obituary().await)),
    }
}

/// Reads a frame that must be a reply.
pub(crate) fn reply<E: DeserializeOwned>(
    child: &Child,
    frame: &Frame,
) -> Result<Reply<E>, ProviderError> {
    let protocol =
        |what| ProviderError::new(FailureClass::Protocol, format!("{}: {what}", child.name));
    match frame {
        Frame::Json(body) => frame::parse(body).map_err(|e| protocol(e.to_string())),
        Frame::Audio(_) => Err(protocol("audio where a reply is due".into())),
    }
}

async fn first_line(mut stderr: ChildStderr) -> String {
    let mut kept = Vec::new();
    let mut piece = [0; STDERR_KEPT];
    // All of it is read, so that the child never waits for us.
    while let Ok(length @ 1..) = stderr.read(&mut piece).await {
        let room = STDERR_KEPT - kept.len();
        kept.extend_from_slice(&piece[..length.min(room)]);
    }
    String::from_utf8_lossy(&kept).lines().next().unwrap_or_default().trim().to_owned()
}
